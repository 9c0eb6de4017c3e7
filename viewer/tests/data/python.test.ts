/** The document that Python writes, `tests/cases/report/states.json`, is decoded and shown. */

import { beforeEach, expect, test, vi } from "vitest";
import errors from "../../../tests/cases/report/errors.json";
import written from "../../../tests/cases/report/states.json";
import { STATES, type State } from "../../src/data/contract";
import { decode } from "../../src/data/decode";
import { DetailsLoader } from "../../src/data/details";
import { errorsIn, groupErrors } from "../../src/model/errors";
import type { Trace } from "../../src/model/trace";
import { eventually, mounted, press, selectedName, settled } from "../view/mounting";

const data = decode(written);
const trace = data.traces[0] as Trace;
const span = (name: string) => trace.ids.findIndex((_, at) => trace.name(at) === name);

test("every state is known, and told apart", () => {
  const found = new Set(trace.ids.map((_, at) => trace.stateOf(at)));
  expect(found).toEqual(new Set<State>(STATES));
  expect(trace.stateOf(span("watch"))).toBe("open");
  expect(trace.worst).toBe("error");
  expect(trace.hasOpen).toBe(true);
});

test("events have times relative to the base, and whole numbers are exact", async () => {
  const loader = new DetailsLoader(data.chunks[trace.details]);
  await loader.load();
  const details = loader.spans.value ?? [];
  expect(details[span("charge")]?.events?.map((event) => event.time)).toEqual([130e6, 190e6]);
  expect(details[span("charge")]?.events?.[0]?.attributes).toEqual({ attempt: 2n ** 60n });
  expect(details[0]?.attributes?.["order.id"]).toBe(2n ** 63n - 1n);
  expect(details[span("load cart")]?.links).toHaveLength(1);
});

test("processes, places, what is left out and when it was written", () => {
  expect(data.processes.map((process) => process.state)).toEqual(["alive", "alive", "lost"]);
  expect(trace.processOf(span("(not recorded)")).label).toBe("unknown process");
  expect(trace.where(span("wait for lock"))).toBe("shop/locks.py:41 wait");
  expect(trace.place(span("wait for lock"))).toBe("shop/app.py:20");
  expect(data.writtenNs).toBe(1e9);
  expect(data.note).toBe("left out: 1 span beyond 19");
  expect(data.traces[1]?.leftOut).toBe(1);
  expect(data.traces[1]?.note).toContain("of the deepest levels");
});

test("errors are those that the terminal finds", () => {
  const found = errorsIn(trace).map(({ isSwallowed, ...one }) => ({
    ...one,
    is_swallowed: isSwallowed,
  }));
  expect(found).toEqual(errors.errors);
  expect(groupErrors(trace).map(({ members, ...group }) => group)).toEqual(errors.groups);
  const members = groupErrors(trace).flatMap((group) => group.members.map((one) => one.span));
  expect(members.sort((a, b) => a - b)).toEqual(errors.errors.map((one) => one.span));
});

let root: HTMLElement;

beforeEach(async () => {
  root = mounted(structuredClone(written));
  await settled();
});

test("the waterfall says where a span hangs, which is open, and as of when", async () => {
  vi.spyOn(Element.prototype, "getBoundingClientRect").mockReturnValue(
    new DOMRect(0, 0, 1600, 800),
  );
  root = mounted(structuredClone(written));
  await settled();
  await press("Enter");
  vi.restoreAllMocks();
  const text = root.querySelector(".rows")?.textContent ?? "";
  for (const words of [
    "stalled at locks.py:41",
    "hung, opened at app.py:22",
    "blocked, opened at app.py:21",
    ", open",
    "process lost",
    "abandoned: garbage-collected",
    "cancelled",
    "no record of this span",
  ])
    expect(text).toContain(words);
  expect(root.querySelector(".status")?.textContent).toContain("as of 18:46:41 +01:00");
  expect(root.querySelector(".header")?.textContent).toContain("so far");
});

test("events are on the bar, and the pane shows exact numbers", async () => {
  await press("Enter", "Enter");
  await eventually(() => root.querySelector(".details .value")?.textContent);
  const details = () => root.querySelector(".details")?.textContent ?? "";
  expect(details()).toContain("9223372036854775807");
  expect(details()).toContain("9007199254740993");
  const tab = [...root.querySelectorAll<HTMLElement>('.details [role="tab"]')].at(-1);
  tab?.click();
  await settled();
  expect(details()).toContain('"order.id": 9223372036854775807');
  const [first, second] = [...root.querySelectorAll<HTMLElement>(".event")].map((event) =>
    Number.parseFloat(event.style.left),
  );
  const width = (first ?? 0) / 0.13; // 130 ms of a second
  expect(width).toBeGreaterThan(100);
  expect((second ?? 0) / width).toBeCloseTo(0.19, 3);
});

test("exact numbers are searched, and `running` does not find what is open", async () => {
  await press("Enter");
  for (const [text, count] of [
    ["user.id=9007199254740993", "1 match"],
    ["user.id=9007199254740992", "0 matches"],
    ["running", "1 match"],
  ] as const) {
    const input = root.querySelector<HTMLInputElement>(".search > input");
    if (!input) throw new Error("no search");
    input.value = text;
    input.dispatchEvent(new Event("input", { bubbles: true }));
    await eventually(() => root.querySelector(".found")?.textContent?.startsWith(count));
  }
  root.querySelector<HTMLElement>(".chip.state-open")?.click();
  await eventually(() => root.querySelector(".found")?.textContent?.startsWith("1 match"));
  await press("n");
  expect(selectedName(root)).toBe("watch");
});

test("the errors with their stack traces; a click goes to the span", async () => {
  await press("Enter", "g", "e");
  await eventually(() => root.querySelector(".exception pre"));
  const text = root.querySelector(".errors")?.textContent ?? "";
  for (const words of [
    "× 2",
    "origin, caught by fallback",
    "propagated, caught by fallback",
    "client.api.Declined: no cover",
    "line 58, in charge",
  ])
    expect(text).toContain(words);
  expect(root.querySelector(".exception .dim")?.textContent).toContain("site-packages");
  await press("j", "j");
  await press("Enter");
  expect(selectedName(root)).toBe("look up");
  expect(root.querySelector(".details h2")?.textContent).toBe("look up");
  await press("g", "e");
  const line = [...root.querySelectorAll<HTMLElement>(".error-line")].find((one) =>
    one.textContent?.includes("POST /charges"),
  );
  line?.click();
  await settled();
  expect(selectedName(root)).toBe("POST /charges");
});
