/** Critical paths are those of the cases that Python's tests read too, and tile their roots. */

// @vitest-environment node

import { describe, expect, test } from "vitest";
import data from "../../../tests/cases/critical_path/cases.json";
import { KINDS, type Kind, type PathEntry, STATES } from "../../src/data/contract";
import { criticalPath, pathRoots, type TimedSpans, timed } from "../../src/model/criticalPath";
import { treeOf } from "../../src/model/forest";
import { dice, shuffled } from "../random";

type CaseSpan = [string, string, number, number | null, string?, Kind?, number?, number?];
interface Case {
  title: string;
  spans: CaseSpan[];
  paths: { [root: string]: [string, number, number][] };
}

const CASES = data.cases as unknown as Case[];

interface Known {
  spans: TimedSpans;
  ids: string[];
}

/** Returns the columns of spans; `tasks` has those of spans that do not name one themselves. */
function known(
  given: CaseSpan[],
  tasks: { [id: string]: number } = {},
  lastSeen?: ReadonlyMap<number, number>,
): Known {
  const tree = treeOf(
    given.map(
      ([id, parent, start, end, process = "p", kind = "internal", thread = 1, task = 0]) => {
        return { id, parent, start, end, process, kind, runs: 10 * thread + task };
      },
    ),
  );
  const names = [...new Set(given.map(([, , , , process]) => process ?? "p"))];
  const process = tree.spans.map((span) => (span ? names.indexOf(span.process) : -1));
  const spans = {
    ...tree,
    seen: tree.spans.map((span, at) => span?.end ?? (tree.start[at] as number)),
    state: tree.spans.map((span) =>
      STATES.indexOf(span ? (span.end === null ? "running" : "ended") : "missing"),
    ),
    kind: tree.spans.map((span) => KINDS.indexOf(span?.kind ?? "internal")),
    process,
    lineage: tree.spans.map((span, at) => {
      const own = 1000 * (tasks[tree.ids[at] as string] ?? 0) + (span?.runs ?? 0);
      return (process[at] as number) * 1_000_000 + own;
    }),
  };
  return { spans: timed(spans, lastSeen), ids: tree.ids };
}

/** Returns a path with the ids of spans. */
function named({ ids }: Known, { segments }: PathEntry): [string, number, number][] {
  return segments.map(([span, start, end]) => [ids[span] as string, start, end]);
}

function paths(all: Known): [string, [string, number, number][]][] {
  return pathRoots(all.spans).map((root) => [
    all.ids[root] as string,
    named(all, criticalPath(all.spans, root)),
  ]);
}

test("there are cases", () => {
  expect(CASES.length).toBeGreaterThanOrEqual(19);
});

describe("the shared cases", () => {
  test.each(CASES)("$title", ({ spans, paths: expected }) => {
    expect(paths(known(spans))).toEqual(Object.entries(expected));
    expect(paths(known([...spans].reverse()))).toEqual(Object.entries(expected));
  });
});

test("of overlapping siblings the last counts, and what ran beside it is named", () => {
  const all = known([
    ["a", "", 0, 100],
    ["b", "a", 10, 60],
    ["c", "a", 40, 90],
  ]);
  expect(criticalPath(all.spans, 0)).toEqual({
    root: 0,
    lower_bound: false,
    segments: [
      [0, 0, 40, 1, 0],
      [2, 40, 90, -1, 0],
      [0, 90, 100, -1, 0],
    ],
  });
});

test("a task goes on from what it did before", () => {
  const all = known(
    [
      ["a", "", 0, 100],
      ["one", "a", 0, 40],
      ["two", "a", 50, 100],
      ["other", "a", 0, 49],
    ],
    { one: 1, two: 1, other: 2 },
  );
  expect(named(all, criticalPath(all.spans, 0))).toEqual([
    ["one", 0, 40],
    ["a", 40, 50],
    ["two", 50, 100],
  ]);
});

test("where only the time connects two tasks, the path says so", () => {
  const all = known(
    [
      ["a", "", 0, 100],
      ["b", "a", 0, 50],
      ["c", "a", 0, 40],
      ["d", "a", 50, 100],
    ],
    { b: 1, c: 2, d: 3 },
  );
  const inferred = criticalPath(all.spans, 0).segments.map((segment) => segment[4]);
  expect(named(all, criticalPath(all.spans, 0))).toEqual([
    ["b", 0, 50],
    ["d", 50, 100],
  ]);
  expect(inferred).toEqual([1, 0]);
});

test("an ended span has not waited for an open one of its process", () => {
  const all = known([
    ["a", "", 0, 100],
    ["b", "a", 10, 60],
    ["c", "a", 70, null],
  ]);
  expect(paths(all).map(([root]) => root)).toEqual(["a", "c"]);
});

test("an open span has lasted until the last that is known of its process", () => {
  const spans: CaseSpan[] = [
    ["a", "", 0, null],
    ["b", "a", 10, 70],
  ];
  const all = known(spans);
  expect(criticalPath(all.spans, 0).lower_bound).toBe(true);
  expect(named(all, criticalPath(all.spans, 0)).at(-1)).toEqual(["b", 10, 70]);
  const live = known(spans, {}, new Map([[0, 200]]));
  expect(named(live, criticalPath(live.spans, 0)).at(-1)).toEqual(["a", 70, 200]);
});

test("an open span of another process may end later than its parent seems to", () => {
  const all = known([
    ["a", "", 0, null],
    ["b", "a", 10, null, "q"],
    ["c", "b", 20, 90, "q"],
  ]);
  expect([...all.spans.until]).toEqual([90, 90, 90]);
});

test("a missing parent waits for all that is known below it", () => {
  const all = known([
    ["b", "x", -20, -5],
    ["c", "x", -10, null],
    ["d", "c", -8, -2],
  ]);
  expect(paths(all)).toEqual([
    [
      "x",
      [
        ["x", -20, -10],
        ["c", -10, -8],
        ["d", -8, -2],
      ],
    ],
  ]);
});

test("every path tiles its root, whatever the spans", () => {
  const roll = dice(17);
  for (let round = 0; round < 300; round++) {
    const count = 1 + roll(20);
    const tasks: { [id: string]: number } = {};
    const spans = Array.from({ length: count }, (_, at): CaseSpan => {
      const start = roll(100);
      tasks[`${at}`] = roll(3);
      const kind = (["internal", "producer", "consumer"] as const)[roll(3)] as Kind;
      const end = roll(3) === 0 ? null : start + roll(60);
      return [`${at}`, at === 0 ? "" : `${roll(at)}`, start, end, "pq"[roll(2)] as string, kind];
    });
    const all = known(shuffled(spans, roll), tasks);
    const { start, until } = all.spans;
    for (const root of pathRoots(all.spans)) {
      let at = start[root] as number;
      for (const [span, from, to, beside] of criticalPath(all.spans, root).segments) {
        expect(from).toBe(at);
        expect(to).toBeGreaterThan(from);
        expect(start[span]).toBeLessThanOrEqual(from);
        expect(until[span]).toBeGreaterThanOrEqual(to);
        if (beside >= 0) expect(all.spans.parent[beside]).toBe(span);
        at = to;
      }
      expect(at).toBe(until[root]);
    }
  }
});

test.each([
  ["a chain", 199_999, (at: number) => [at - 1, at, 200_000 - at, 0]],
  ["one after the other", 100_001, (at: number) => [0, at, at + 1, 0]],
  ["at the same time, in three tasks", 3, (at: number) => [0, 1, 2 + (at % 1000), at % 3]],
])("100,000 spans: %s", (_, pieces, numbersOf) => {
  const tasks: { [id: string]: number } = {};
  const given = Array.from({ length: 100_000 }, (_, at): CaseSpan => {
    const [parent = 0, start = 0, end = 0, task = 0] = numbersOf(at);
    tasks[`${at}`] = task;
    return at ? [`${at}`, `${parent}`, start, end] : ["0", "", 0, 200_000];
  });
  const all = known(given, tasks);
  const before = performance.now();
  const found = pathRoots(all.spans).map((root) => criticalPath(all.spans, root));
  expect(performance.now() - before).toBeLessThan(5000);
  expect(found[0]?.segments).toHaveLength(pieces);
});
