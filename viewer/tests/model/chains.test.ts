/** Chains of only children, which are one row. */

import { expect, test } from "vitest";
import type { State } from "../../src/data/contract";
import { fold, foldToDepth, moveRow, select, toggle, unfoldAll } from "../../src/model/commands";
import { joined } from "../../src/model/timescale";
import type { Trace } from "../../src/model/trace";
import { View } from "../../src/model/view";
import { type Given, tracesOf } from "../documents";

const WELL: Given[] = [
  { id: "r" },
  { id: "a", parent: "r" },
  { id: "c1", parent: "r" },
  { id: "c2", parent: "c1" },
  { id: "c3", parent: "c2" },
  { id: "c4", parent: "c3" },
  { id: "c5", parent: "c4" },
  { id: "x", parent: "c5" },
  { id: "y", parent: "c5" },
];
const ALL = WELL.map((span) => span.id);
const FOLDED = ["r", "a", "c1", "x", "y"];

/** Returns the spans with other fields for some of them. */
function given(changed: { [id: string]: Partial<Given> } = {}): Given[] {
  return WELL.map((span) => ({ ...span, ...changed[span.id] }));
}

const viewOf = (spans: Given[]) => new View(tracesOf(spans));
const idsOf = (view: View) => view.rows.value.map((row) => view.trace.value?.ids[row.span]);
const placeOf = (view: View, id: string) => (view.trace.value as Trace).ids.indexOf(id);
const selectedId = (view: View) => view.trace.value?.ids[view.selected.value];

test("a chain is one row, and what its last span has below is below it", () => {
  const view = viewOf(WELL);
  expect(idsOf(view)).toEqual(FOLDED);
  expect(view.rows.value.map((row) => row.depth)).toEqual([0, 1, 1, 2, 2]);
  expect(view.rows.value[2]).toMatchObject({ chain: [2, 3, 4, 5, 6], open: false });
});

test.each<[string, Given[]]>([
  ["one of its spans runs", given({ c5: { state: "running", end: null } })],
  ["a span below failed", given({ x: { state: "error" } })],
  ["one of its spans is in another process", given({ c3: { process: 1 } })],
  ["one of its spans has another child", [...WELL, { id: "z", parent: "c4" }]],
])("none is formed where %s", (_, spans) => {
  expect(idsOf(viewOf(spans))).toContain("c3");
});

test("a filter shows the spans of a chain", () => {
  const view = viewOf(given({ c4: { name: "match" } }));
  view.search.value = "name:match";
  view.onlyFound.value = true;
  expect(idsOf(view)).toEqual(["r", "c1", "c2", "c3", "c4"]);
});

test("Right unfolds a chain; Left folds it, then what is below it, then goes to the parent", () => {
  const view = viewOf(WELL);
  select(view, placeOf(view, "c1"));
  fold(view, true);
  expect(idsOf(view)).toEqual(ALL);
  expect(view.rows.value[2]?.open).toBe(true);
  fold(view, true);
  expect(selectedId(view)).toBe("c2");
  fold(view, false);
  expect(idsOf(view)).toEqual(["r", "a", "c1", "c2"]);
  fold(view, true);
  expect(idsOf(view)).toEqual(ALL);
  moveRow(view, -1);
  fold(view, false);
  expect(idsOf(view)).toEqual(FOLDED);
  fold(view, false);
  expect(idsOf(view)).toEqual(["r", "a", "c1"]);
  fold(view, false);
  expect(selectedId(view)).toBe("r");
});

test("from below a chain Left goes to its row, which stays folded", () => {
  const view = viewOf(WELL);
  select(view, placeOf(view, "x"));
  moveRow(view, 1);
  fold(view, false);
  expect(selectedId(view)).toBe("c1");
  expect(idsOf(view)).toEqual(FOLDED);
});

test("what leads to a span unfolds the chain that hides it, and no other", () => {
  const view = viewOf(WELL);
  toggle(view, { span: 0, depth: 0, group: null, chain: null, open: true });
  select(view, placeOf(view, "y"));
  expect(idsOf(view)).toEqual(FOLDED);
  select(view, placeOf(view, "c3"));
  expect(idsOf(view)).toEqual(ALL);
});

test("one subtree alone may begin within a chain", () => {
  const long: Given = { id: "c0", parent: "r" };
  const view = viewOf(
    WELL.flatMap((one) => (one.id === "c1" ? [long, { ...one, parent: "c0" }] : [one])),
  );
  expect(idsOf(view)).toEqual(["r", "a", "c0", "x", "y"]);
  view.top.value = placeOf(view, "c1");
  expect(idsOf(view)).toEqual(["c1", "x", "y"]);
});

test("folded to a depth, each folded span has a row of its own, and none vanishes unfolded", () => {
  const chain = Array.from({ length: 20 }, (_, at): Given => {
    return at > 0 ? { id: `s${at}`, parent: `s${at - 1}` } : { id: "s0" };
  });
  const view = viewOf(chain);
  foldToDepth(view, 6);
  expect(idsOf(view)).toEqual(["s0", "s6"]);
  select(view, 6);
  fold(view, true);
  expect(idsOf(view)).toHaveLength(8);
  expect(selectedId(view)).toBe("s6");
  foldToDepth(view, 0);
  expect(idsOf(view)).toEqual(["s0"]);
  select(view, 12);
  unfoldAll(view);
  expect(idsOf(view)).toContain("s12");
});

test("a chain that ends in view stays unfolded; one that was folded stays so as it grows", () => {
  const view = viewOf(given({ c1: { state: "running", end: null } }));
  select(view, placeOf(view, "c3"));
  view.update(tracesOf(WELL));
  expect(idsOf(view)).toEqual(ALL);
  expect(selectedId(view)).toBe("c3");

  const other = viewOf(WELL);
  const grown = [...WELL.slice(0, 7), { id: "c6", parent: "c5" }, ...given().slice(7)];
  other.update(
    tracesOf(grown.map((one) => (/[xy]/.test(one.id) ? { ...one, parent: "c6" } : one))),
  );
  expect(idsOf(other)).toEqual(FOLDED);
  expect(other.rows.value[2]?.chain).toHaveLength(6);
});

test("a folded chain that is selected does not vanish in a longer one", () => {
  const spans = (state: State): Given[] => [
    { id: "r", state: "running", end: null },
    { id: "a", parent: "r" },
    { id: "c0", parent: "r", state },
    ...WELL.slice(2).map((one) => (one.id === "c1" ? { ...one, parent: "c0" } : one)),
  ];
  for (const [chosen, rows] of [
    ["c1", 10],
    ["a", 5],
  ] as const) {
    const view = viewOf(spans("running"));
    expect(idsOf(view)).toEqual(["r", "a", "c0", "c1", "x", "y"]);
    select(view, placeOf(view, chosen));
    view.update(tracesOf(spans("ended")));
    expect(idsOf(view)).toHaveLength(rows);
    expect(idsOf(view)).toContain(chosen);
  }
});

test("times that touch are one", () => {
  const times: [number, number][] = [
    [5, 6],
    [0, 2],
    [2, 3],
    [1, 2],
  ];
  expect(joined(times)).toEqual([
    [0, 3],
    [5, 6],
  ]);
});
