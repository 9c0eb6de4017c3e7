/** Format, time scale and rows. */

import { expect, test } from "vitest";
import { decode } from "../../src/data/decode";
import { errorsIn, groupErrors } from "../../src/model/errors";
import {
  axisTime,
  axisTimes,
  dateTime,
  duration,
  middleCut,
  number,
  timeOfDay,
  visible,
} from "../../src/model/format";
import { foldedTo, p95, revealed, visibleRows, withAncestors } from "../../src/model/rows";
import { around, clamp, fraction, pan, ticks, zoomAt } from "../../src/model/timescale";
import { documentOf, type Given, traceOf } from "../documents";

const NOTHING = {
  collapsed: new Set<number>(),
  openGroups: new Set<number>(),
  chains: true,
  kept: null,
  top: -1,
};

test.each([
  [420_000, "0.42 ms"],
  [12_345_678, "12.3 ms"],
  [1_240_000_000, "1.24 s"],
  [125e9, "2 min 05 s"],
  [59_990_000_000, "1 min 00 s"],
  [7_380e9, "2 h 03 min"],
  [356_400e9, "4 d 03 h"],
  [-420_000, "-0.42 ms"],
  [999_400_000, "999 ms"],
  [999_500_000, "1.00 s"],
  [0, "0.00 ms"],
])("a duration of %d ns", (nanoseconds, text) => {
  expect(duration(nanoseconds)).toBe(text);
});

test("times are those of the host's zone", () => {
  expect(timeOfDay(1795967377357913200n, 0, "+00:00")).toBe("15:49:37.357");
  expect(dateTime(1795967377357913200n, 1e9, "+02:00")).toBe("2026-11-29 17:49:38.357 +02:00");
  expect(timeOfDay(10n ** 29n, 0, "+00:00")).toBe("--:--:--.---");
  expect(timeOfDay(0n, 1e308, "+00:00")).toBe("--:--:--.---");
});

test("numbers, cuts and hidden characters", () => {
  expect(number(1234567)).toBe("1,234,567");
  expect(middleCut("abcdefghij", 5)).toBe("abc…j");
  expect(middleCut("abc", 5)).toBe("abc");
  expect(visible("a\u202eb\u0000c\nd")).toBe("a\ufffdb\u2400c⏎d");
  expect(axisTime(1_500_000, 500_000)).toBe("1500 µs");
  expect(axisTime(0, 1)).toBe("0");
});

test("far from the start the axis counts from its first time", () => {
  expect(axisTimes([0, 1e6, 2e6], 0, 1e6)).toEqual(["0", "1 ms", "2 ms"]);
  const far = [102_011_000, 102_012_000];
  expect(axisTimes(far, 0, 1000)).toEqual(["102.011 ms", "+1 µs"]);
  expect(axisTimes([3_600e9, 3_600e9 + 500], 0, 500)).toEqual(["3600.0000000 s", "+500 ns"]);
  expect(axisTimes([], 0, 1)).toEqual([]);
});

test("a window zooms about a place and stays within bounds", () => {
  const bounds = { from: 0, to: 1000 };
  expect(zoomAt(bounds, 0.5, 0.5, bounds)).toEqual({ from: 250, to: 750 });
  expect(zoomAt({ from: 250, to: 750 }, 0, 4, bounds)).toEqual(bounds);
  expect(pan({ from: 0, to: 100 }, -1, bounds)).toEqual({ from: 0, to: 100 });
  expect(clamp({ from: 950, to: 1050 }, bounds)).toEqual({ from: 900, to: 1000 });
  expect(around({ from: 400, to: 600 }, bounds)).toEqual({ from: 350, to: 650 });
  expect(fraction({ from: 5, to: 5 }, 5)).toBe(0);
});

test("ticks are round and not too many", () => {
  expect(ticks({ from: 0, to: 1e9 }, 5, 0)).toEqual({
    step: 2e8,
    times: [0, 2e8, 4e8, 6e8, 8e8, 1e9],
  });
  expect(ticks({ from: 0, to: 0 }, 5, 0).times).toEqual([]);
  expect(ticks({ from: 0, to: 3.3e17 }, 6, 0).times.length).toBeLessThan(10);
});

const SIBLINGS: Given[] = [
  { id: "r" },
  ...Array.from(
    { length: 8 },
    (_, at): Given => ({ id: `s${at}`, parent: "r", name: "item", end: at + 1 }),
  ),
  { id: "e", parent: "r", name: "item", state: "error" },
  { id: "x", parent: "r", name: "other" },
  { id: "y", parent: "x", name: "deep" },
];

test("equal siblings that are fine are one row; an error among them is not", () => {
  const trace = traceOf(SIBLINGS);
  const rows = visibleRows(trace, NOTHING);
  expect(rows.map((row) => [trace.ids[row.span], row.group?.length ?? 0])).toEqual([
    ["r", 0],
    ["s0", 8],
    ["e", 0],
    ["x", 0],
    ["y", 0],
  ]);
  expect(p95(trace, rows[1]?.group ?? [])).toBe(8);
  const open = visibleRows(trace, { ...NOTHING, openGroups: new Set([1]) });
  expect(open).toHaveLength(13);
  expect(open[2]?.depth).toBe(2);
});

test("folding, filtering, one subtree alone and revealing", () => {
  const trace = traceOf(SIBLINGS);
  const names = (rows: { span: number }[]) => rows.map((row) => trace.ids[row.span]);
  expect(names(visibleRows(trace, { ...NOTHING, collapsed: new Set([10]) }))).not.toContain("y");
  expect(names(visibleRows(trace, { ...NOTHING, collapsed: foldedTo(trace, 0) }))).toEqual(["r"]);
  expect(names(visibleRows(trace, { ...NOTHING, top: 10 }))).toEqual(["x", "y"]);
  const found = new Uint8Array(trace.count);
  found[11] = 1;
  const kept = withAncestors(trace, found);
  expect(names(visibleRows(trace, { ...NOTHING, kept }))).toEqual(["r", "x", "y"]);
  const changed = revealed(trace, 3, { ...NOTHING, collapsed: new Set([0]) });
  expect(changed.collapsed.size).toBe(0);
  expect(changed.openGroups).toEqual(new Set([1]));
});

test("a trace of 100,000 levels does not exhaust the stack", () => {
  const trace = traceOf([{ id: "r" }]);
  const deep = documentOf([{ id: "r" }]);
  const [entry] = deep.traces;
  if (!entry) throw new Error("no trace");
  const count = 100_000;
  for (const column of Object.values(entry.spans) as unknown[][]) {
    while (column.length < count) column.push(column[0]);
  }
  entry.spans.parent = entry.spans.id.map((_, at) => at - 1);
  const chain = decode(deep).traces[0] ?? trace;
  expect(visibleRows(chain, NOTHING)).toHaveLength(1);
  const { openGroups } = revealed(chain, count - 1, NOTHING);
  expect(visibleRows(chain, { ...NOTHING, openGroups })).toHaveLength(count);
});

test("a parent that comes after its child is refused", () => {
  const wrong = documentOf([{ id: "a" }, { id: "b" }]);
  if (wrong.traces[0]) wrong.traces[0].spans.parent = [1, -1];
  expect(() => decode(wrong)).toThrow("traces[0].spans.parent[0] is out of range");
});

test.each<[string, Partial<Given>, Partial<Given>, boolean]>([
  ["its parent ended after it", {}, {}, true],
  ["its parent was cancelled", { state: "cancelled" }, {}, true],
  ["its parent failed", { state: "error" }, {}, false],
  ["its parent is open", { state: "running", end: null, until: 10 }, {}, false],
  ["it ended after its parent", {}, { end: 11 }, false],
  ["it ended after its parent, in another process", {}, { end: 11, process: 1 }, true],
  ["it consumed a message", { kind: "producer" }, { kind: "consumer", process: 1 }, false],
])("an error is caught only by a parent that waited for it: %s", (_, above, below, isCaught) => {
  const trace = traceOf([
    { id: "a", start: 0, end: 10, ...above },
    { id: "b", parent: "a", start: 2, end: 8, state: "error", ...below },
  ]);
  expect(errorsIn(trace).find((one) => one.span === 1)?.isSwallowed).toBe(isCaught);
  expect(groupErrors(trace)[0]?.swallowed).toBe(Number(isCaught));
});
