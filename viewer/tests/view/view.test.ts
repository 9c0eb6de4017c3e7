/** The viewer in a page: rows, keys, search, details, and newer data. */

import { beforeEach, expect, test } from "vitest";
import { checkout, large } from "../../demo/data";
import { fitted } from "../../src/view/look";
import { documentOf } from "../documents";
import { eventually, mounted, names, press, rerendered, selectedName, settled } from "./mounting";

let root: HTMLElement;

beforeEach(async () => {
  const data = await checkout();
  data.traces.length = 1;
  root = mounted(data);
  await settled();
});

test("every row is a row of a treegrid, with its level and place", () => {
  const grid = root.querySelector('[role="treegrid"]');
  const rows = [...root.querySelectorAll('[role="row"]')];
  expect(grid?.getAttribute("aria-rowcount")).toBe(String(rows.length));
  expect(rows[0]?.getAttribute("aria-level")).toBe("1");
  expect(rows[1]?.getAttribute("aria-level")).toBe("2");
  expect(rows[0]?.getAttribute("aria-expanded")).toBe("true");
  expect(rows.some((row) => row.querySelector(".count")?.textContent === "× 8")).toBe(true);
});

test("each state has words of its own beside its colour", () => {
  const text = root.querySelector(".rows")?.textContent ?? "";
  for (const words of [
    "stalled at locks.py:41",
    "process lost",
    "355 ms, abandoned",
    "cancelled: deadline",
    "no record of this span",
    "✗ Declined: no cover",
    "1.48 s ▶",
  ]) {
    expect(text).toContain(words);
  }
});

test("keys move, fold, step through errors and open details", async () => {
  expect(selectedName(root)).toBe("POST /checkout");
  await press("j");
  expect(selectedName(root)).toBe("load cart");
  const before = names(root).length;
  await press("h");
  expect(names(root).length).toBeLessThan(before);
  await press("h");
  expect(selectedName(root)).toBe("POST /checkout");
  await press("e");
  expect(selectedName(root)).toBe("charge");
  await press("Enter");
  await eventually(() => root.querySelector(".details")?.textContent?.includes("payment.amount"));
  await press("Escape");
  expect(root.querySelector(".details")).toBeNull();
  await press("x");
  expect(names(root)).toEqual(["POST /checkout", "(missing)"]);
  await press("X", "End");
  expect(selectedName(root)).toBe("audit");
});

test("a search fades what does not match; only matches can be left", async () => {
  await search("state:error");
  await eventually(() => root.querySelector(".found"));
  expect(root.querySelector(".found")?.textContent).toContain("3 matches");
  expect(root.querySelectorAll(".row.faded").length).toBeGreaterThan(5);
  root.querySelector<HTMLInputElement>(".found input")?.click();
  await settled();
  expect(names(root)).toHaveLength(4);
  await search("under:error");
  await eventually(() => root.querySelector(".problem u"));
  expect(root.querySelector(".problem u")?.textContent).toBe("error");
});

test("attributes are read when a search needs them", async () => {
  await search("payment.currency=EUR");
  await eventually(() => root.querySelector(".found")?.textContent?.startsWith("1 match"));
});

test("the other views, and the zoom", async () => {
  await press("w");
  expect(root.querySelector(".status")?.textContent).toContain("zoomed");
  await press("Escape");
  expect(root.querySelector(".status")?.textContent).not.toContain("zoomed");
  await press("v");
  expect(root.querySelector(".flame canvas")).not.toBeNull();
  await press("v");
  expect(root.querySelector(".table-row")?.textContent).toContain("POST /checkout");
  await press("v");
  expect(root.querySelectorAll(".logs .table-row")).toHaveLength(6);
});

test("newer data keeps what is selected and folded", async () => {
  await press("e");
  const data = await checkout();
  data.traces.length = 1;
  const entry = data.traces[0];
  if (!entry) throw new Error("no trace");
  entry.spans.name[0] = entry.spans.name[1] ?? 0;
  rerendered(root, data);
  await settled();
  expect(selectedName(root)).toBe("charge");
  expect(names(root)[0]).toBe("load cart");
});

test("few of many rows are in the page", async () => {
  root = mounted(await large(5_000));
  await settled();
  await press("X", "End");
  expect(root.querySelectorAll('[role="row"]').length).toBeLessThan(80);
});

test("several traces are a list first; no traces say what to do", async () => {
  root = mounted(await checkout());
  await settled();
  expect(root.querySelectorAll(".traces .table-row")).toHaveLength(2);
  await press("j", "Enter");
  await eventually(() => names(root).join() === "GET /health,SELECT 1");
  const empty = documentOf([]);
  empty.traces = [];
  root = mounted(empty);
  await settled();
  expect(root.textContent).toContain("otel-ext run -- python app.py");
});

async function search(text: string): Promise<void> {
  const input = root.querySelector<HTMLInputElement>('input[type="search"]');
  if (!input) throw new Error("no search");
  input.value = text;
  input.dispatchEvent(new Event("input", { bubbles: true }));
  await settled();
}

test("the share of the critical path is of the root of that path", async () => {
  const data = documentOf([
    { id: "a", end: 100e6 },
    { id: "b", name: "later", start: 100e6, end: 300e6, kind: "consumer" },
    { id: "c", parent: "b", name: "part", start: 150e6, end: 200e6 },
  ]);
  const path = { root: 1, lower_bound: false };
  const segments: [number, number, number, number, number][] = [
    [1, 100e6, 150e6, -1, 0],
    [2, 150e6, 200e6, -1, 0],
    [1, 200e6, 300e6, -1, 0],
  ];
  if (data.traces[0]) data.traces[0].paths = [{ ...path, segments }];
  root = mounted(data);
  await settled();
  await press("End", "Enter");
  await eventually(() => root.querySelector(".facts"));
  expect(root.querySelector(".facts")?.textContent).toContain("Critical path50.0 ms, 25.0 %");
});

test("the name of an attribute breaks after its dots", async () => {
  await press("e", "Enter");
  const name = () => root.querySelector('.attributes dt[title="payment.amount"]');
  await eventually(name);
  expect([...(name()?.childNodes ?? [])].map((node) => node.textContent || node.nodeName)).toEqual([
    "payment.",
    "WBR",
    "amount",
  ]);
});

test("words on a canvas are cut to what it draws of them", () => {
  let measured = 0;
  const context = {
    font: "a font",
    measureText: (text: string) => {
      measured += 1;
      return { width: text.length * 10 };
    },
  } as unknown as CanvasRenderingContext2D;
  expect(fitted(context, "a long name", 110)).toBe("a long name");
  expect(fitted(context, "a long name", 109)).toHaveLength(10);
  expect(fitted(context, "a long name", 5)).toBe("");
  const before = measured;
  fitted(context, "a long name", 109);
  expect(measured).toBe(before);
});
