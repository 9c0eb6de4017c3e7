/** Smaller parts: what is held while paused, sorting, times, copies, keys. */

import { expect, test } from "vitest";
import { Held } from "../../src/app/held";
import { moveKeys } from "../../src/app/list";
import { clicked, sortedOperations, sortOf } from "../../src/app/tables/sort";
import { clockTime, exactTime, fullTime, timeBeside } from "../../src/app/times";
import { inSlices } from "../../src/app/trace/model";
import { log, type OperationNow, summary } from "../../src/live/contract";
import { liveTrace } from "../../src/live/traceAnswer";
import { commandOf, spanAsJson, spanAsMarkdown } from "../../src/model/copies";
import { View } from "../../src/model/view";
import { tracesOf } from "../documents";
import { answerOf, OTHER, summaryOf, TRACE } from "../live/answers";

test("what comes while paused is merged, counted, and handed on in one go", () => {
  const held = new Held();
  const checked = (id: string, more = {}) => summary(summaryOf(id, more), "s");
  held.traces({ traces: [checked(TRACE), checked(OTHER)], more: true }, 3);
  held.traces({ traces: [checked(TRACE, { spans: 9 })], more: false }, 4);
  held.logs({ logs: [], more: true });
  const one = { id: "1", time_ns: "1", level: "", text: "", attributes: {}, trace_id: "" };
  const rest = { span_id: "", service: "", process: "p", kind: "log" };
  held.logs({ logs: [log({ ...one, ...rest }, "log")], more: false });
  held.trace(liveTrace(answerOf([{ id: "a" }, { id: "b" }]), "t"));
  held.trace(liveTrace(answerOf([{ id: "a" }]), "t"));
  expect(held.counts.value).toEqual({ traces: 2, trace: 2, logs: 1, running: 0 });
  const got: unknown[] = [];
  held.release({
    traces: ({ traces, more }, sequence) =>
      got.push([traces.map((one) => one.spans), more, sequence]),
    trace: (answer) => got.push(answer.spans.id),
    logs: ({ logs, more }) => got.push([logs.length, more]),
    running: () => got.push("running"),
  });
  expect(got).toEqual([[[9, 3], true, 4], ["a", "b"], ["a"], [1, true]]);
  expect(held.counts.value.traces).toBe(0);
});

const operation = (name: string, more: Partial<OperationNow> = {}): OperationNow => ({
  service: "shop",
  name,
  kind: "internal",
  count: 1,
  errors: 0,
  open: 0,
  p50_ns: 1,
  p95_ns: 1,
  p99_ns: 1,
  max_ns: 1,
  total_ns: 1,
  last: null,
  buckets: [],
  ...more,
});

test("operations are sorted by a column, both ways, and filtered by words", () => {
  const all = [
    operation("a", { p95_ns: 5 }),
    operation("b", { p95_ns: null }),
    operation("c", { p95_ns: 9, service: "bank" }),
  ];
  const names = (sort: string, search = "") =>
    sortedOperations(all, sortOf(sort), search).map((one) => one.name);
  expect(names("-p95")).toEqual(["c", "a", "b"]);
  expect(names("p95")).toEqual(["b", "a", "c"]);
  expect(names("-p95", "SHOP")).toEqual(["a", "b"]);
  expect(clicked(sortOf("-p95"), "p95")).toBe("p95");
  expect(clicked(sortOf("-p95"), "count")).toBe("-count");
  expect(clicked(sortOf("-p95"), "name")).toBe("name");
  expect(sortOf("unheard-of")).toEqual({ key: "total", down: true });
});

test("times are those of the browser's zone; beyond the calendar there are none", () => {
  const ns = BigInt(new Date(2026, 10, 28, 9, 5, 7, 42).getTime()) * 1_000_000n;
  expect(clockTime(ns)).toBe("09:05:07");
  expect(exactTime(ns)).toBe("09:05:07.042");
  expect(fullTime(ns)).toMatch(/^2026-11-28 09:05:07\.042 [+-]\d\d:\d\d$/);
  expect(timeBeside(ns, ns + 1_000_000_000n)).toBe("09:05:07.042");
  expect(timeBeside(ns, ns + 86_400_000_000_000n)).toBe("11-28 09:05:07");
  expect(clockTime(10n ** 29n)).toBe("–");
});

test("a span is copied as JSON and Markdown, without breaking out of its table", () => {
  const traces = tracesOf([{ id: "a", name: "pipe | `x`\n<b>", error: "bad" }]);
  const view = new View(traces, { folder: () => "my traces" });
  const trace = view.trace.value;
  if (!trace) throw new Error("no trace");
  const details = { attributes: { n: 12345678901234567890n, "a|b": "c" } };
  expect(spanAsJson(trace, 0, details)).toContain('"n": 12345678901234567890');
  const markdown = spanAsMarkdown(view, trace, 0, details);
  expect(markdown).toContain("**pipe \\| \\`x\\`⏎\\<b\\>**");
  expect(markdown).toContain("| `a\\|b` | c |");
  expect(commandOf(view, trace)).toBe("otel-ext tree --trace t 'my traces'");
});

test("keys that move stay within the rows", () => {
  let at = -1;
  const press = (key: string) =>
    moveKeys(3, at, (row) => {
      at = row;
    })[key]?.();
  press("j");
  expect(at).toBe(0);
  press("k");
  expect(at).toBe(0);
  press("End");
  expect(at).toBe(2);
  press("j");
  expect(at).toBe(2);
  press("Home");
  expect(at).toBe(0);
});

test("work in steps hands on each part and returns the result", async () => {
  function* steps(): Generator<number, string> {
    yield 1;
    yield 2;
    return "done";
  }
  const parts: number[] = [];
  expect(await inSlices(steps(), (part) => parts.push(part))).toBe("done");
  expect(parts).toEqual([1, 2]);
});
