/** Trees are those of the cases that Python's tests read too, in any order of the spans. */

// @vitest-environment node

import { describe, expect, test } from "vitest";
import data from "../../../tests/cases/forest/cases.json";
import { type Tree, type TreeSpan, treeOf } from "../../src/model/forest";
import { dice, shuffled } from "../random";

interface Case {
  title: string;
  spans: [string, string, number, number | null][];
  tree: [string, number][];
  missing?: { [id: string]: [number, number | null] };
  cycles?: string[];
}

const CASES = data.cases as unknown as Case[];

function given(spans: Case["spans"]): TreeSpan[] {
  return spans.map(([id, parent, start, end]) => ({ id, parent, start, end }));
}

/** Returns what a case says of a tree. */
function shape(tree: Tree): Pick<Case, "tree" | "missing" | "cycles"> {
  const depths: number[] = [];
  for (const parent of tree.parent) depths.push(parent < 0 ? 0 : (depths[parent] as number) + 1);
  const missing = tree.ids.flatMap((id, at) =>
    tree.spans[at] ? [] : [[id, [tree.start[at], tree.end[at]]]],
  );
  return {
    tree: tree.ids.map((id, at) => [id, depths[at] as number]),
    missing: Object.fromEntries(missing),
    cycles: tree.cycles.map((at) => tree.ids[at] as string),
  };
}

/** Expects that the columns agree with each other. */
function checkLinks(tree: Tree): void {
  const count = tree.ids.length;
  const reached = new Set(tree.roots);
  expect(tree.roots).toEqual([...tree.roots].sort((one, other) => one - other));
  for (const root of tree.roots) expect(tree.parent[root]).toBe(-1);
  for (let at = 0; at < count; at++) {
    const span = tree.spans[at];
    if (span)
      expect([span.id, span.start, span.end]).toEqual([tree.ids[at], tree.start[at], tree.end[at]]);
    let before = -1;
    for (
      let child = tree.firstChild[at] as number;
      child >= 0;
      child = tree.nextSibling[child] as number
    ) {
      expect(tree.parent[child]).toBe(at);
      expect(child).toBeGreaterThan(Math.max(at, before));
      if (before >= 0)
        expect(tree.start[child]).toBeGreaterThanOrEqual(tree.start[before] as number);
      reached.add(child);
      before = child;
    }
  }
  expect(reached.size).toBe(count);
}

test("there are cases", () => {
  expect(CASES.length).toBeGreaterThanOrEqual(8);
});

describe.each(CASES)("$title", ({ spans, tree, missing = {}, cycles = [] }) => {
  test("in any order", () => {
    const roll = dice(5);
    const orders = [spans, [...spans].reverse()];
    for (let round = 0; round < 20; round++) orders.push(shuffled(spans, roll));
    for (const order of orders) {
      const found = treeOf(given(order));
      expect(shape(found)).toEqual({ tree, missing, cycles });
      checkLinks(found);
    }
  });
});

test("no spans, no tree", () => {
  const tree = treeOf([]);
  expect(tree.ids).toEqual([]);
  expect(tree.roots).toEqual([]);
});

test("what hangs on a cycle stays below it, and only the first of the cycle is a root", () => {
  const tree = treeOf(
    given([
      ["hangs", "b", 0, 9],
      ["a", "c", 3, 9],
      ["b", "a", 2, 9],
      ["c", "b", 4, 9],
      ["d", "d", 1, 9],
      ["e", "d", 0, 9],
    ]),
  );
  expect(shape(tree)).toEqual({
    tree: [
      ["d", 0],
      ["e", 1],
      ["b", 0],
      ["hangs", 1],
      ["c", 1],
      ["a", 2],
    ],
    missing: {},
    cycles: ["d", "b"],
  });
  checkLinks(tree);
});

test("a tree keeps the spans that it is given", () => {
  const span = { ...(given([["a", "x", 1, 2]])[0] as TreeSpan), name: "job" };
  const tree = treeOf([span]);
  expect(tree.spans).toEqual([null, span]);
  expect(tree.spans[1]?.name).toBe("job");
});

test("any spans make one tree, whatever their order", () => {
  const roll = dice(11);
  for (let round = 0; round < 200; round++) {
    const count = 1 + roll(12);
    const spans = Array.from({ length: count }, (_, at): Case["spans"][0] => {
      const parent = roll(count + 3);
      const start = roll(5);
      const end = roll(4) === 0 ? null : start + roll(9);
      return [
        `${at}`,
        parent < count ? `${parent}` : (["", "x", "y"][parent - count] ?? ""),
        start,
        end,
      ];
    });
    const tree = treeOf(given(spans));
    checkLinks(tree);
    expect(shape(treeOf(given(shuffled(spans, roll))))).toEqual(shape(tree));
  }
});

test.each([
  ["a chain", (at: number) => (at === 0 ? "" : `${at - 1}`)],
  ["a cycle", (at: number) => `${(at + 99_999) % 100_000}`],
  ["one parent", (at: number) => (at === 0 ? "" : "0")],
  ["one missing parent", () => "x"],
  ["roots", () => ""],
  ["parents of themselves", (at: number) => `${at}`],
])("100,000 spans: %s", (_, parentOf) => {
  const spans = Array.from({ length: 100_000 }, (_, at) => ({
    id: `${at}`,
    parent: parentOf(at),
    start: at,
    end: at + 1,
  }));
  const before = performance.now();
  const tree = treeOf(spans.reverse());
  expect(performance.now() - before).toBeLessThan(5000);
  expect(tree.spans.filter((span) => span !== null)).toHaveLength(100_000);
});
