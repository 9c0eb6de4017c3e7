/** Now: the order of rows, and that they keep their places while the reader looks at them. */

import { beforeEach, expect, test } from "vitest";
import { NowModel } from "../../src/app/now/model";
import { running } from "../../src/live/contract";
import { parse } from "../../src/search/parse";
import { before, NOW, processOf, runningOf, spanOf } from "./running";

let time = 0;
let model: NowModel;

beforeEach(() => {
  time = 0;
  model = new NowModel(() => time);
});

const take = (...spans: Parameters<typeof runningOf>[0]) =>
  model.take(running(runningOf(spans), "running"));
const names = () =>
  model.rows.value.map((row) => (row.isGone ? `(${row.span.name})` : row.span.name));

test("what hangs comes first, then the oldest", () => {
  take(
    spanOf("young", { start_ns: before(1) }),
    spanOf("old", { start_ns: before(60) }),
    spanOf("stuck", { start_ns: before(5), state: "stalled" }),
  );
  expect(names()).toEqual(["stuck", "old", "young"]);
});

test("a span that ended keeps its place for a moment, then its row goes", () => {
  const [a, b, c] = [3, 2, 1].map((age) => spanOf(`${age}`, { start_ns: before(age) })) as [
    ReturnType<typeof spanOf>,
    ReturnType<typeof spanOf>,
    ReturnType<typeof spanOf>,
  ];
  take(a, b, c);
  take(a, c);
  expect(names()).toEqual(["3", "(2)", "1"]);
  time = 60_000;
  model.arrange();
  expect(names()).toEqual(["3", "1"]);
});

test("a span that ended before it could be read leaves no row behind", () => {
  const long = spanOf("long", { start_ns: before(60) });
  take(long, spanOf("short", { start_ns: before(0), age_ns: 5e7 }));
  take(long);
  expect(names()).toEqual(["long"]);
});

test("while the reader looks at the rows none moves; how many would is said", () => {
  const old = spanOf("old", { start_ns: before(60) });
  const young = spanOf("young", { start_ns: before(2) });
  take(old, young);
  model.hold(true);
  take(old, { ...young, state: "stalled" }, spanOf("new", { start_ns: before(0) }));
  time = 60_000;
  model.arrange();
  expect(names()).toEqual(["old", "young", "new"]);
  expect(model.rows.value[1]?.span.state).toBe("stalled");
  expect(model.moved.value).toBe(2);
  model.arrange(true);
  expect(names()).toEqual(["young", "old", "new"]);
  model.hold(false);
  expect(model.moved.value).toBe(0);
});

test("a row that is gone stays while it is looked at, however long", () => {
  take(spanOf("a"), spanOf("b"));
  model.hold(true);
  take(spanOf("b"));
  time = 60_000;
  model.arrange();
  expect(names()).toEqual(["(a)", "b"]);
  model.hold(false);
  expect(names()).toEqual(["b"]);
});

test("a process that died does not tear the list: its spans stay in their places", () => {
  const lost = spanOf("lost", { start_ns: before(30), process: "q", state: "running" });
  const other = spanOf("other", { start_ns: before(10) });
  take(lost, other);
  take({ ...lost, state: "lost" }, other);
  expect(names()).toEqual(["lost", "other"]);
});

test("an answer that is older than the last is ignored", () => {
  const old = running(runningOf([spanOf("old")]), "running");
  take(spanOf("new"));
  model.take(old);
  expect(names()).toEqual(["new"]);
});

test("the number of stalled spans is that of all processes", () => {
  const processes = [processOf("p", { stalled: 2 }), processOf("q", { stalled: 1 })];
  model.take(running(runningOf([], processes), "running"));
  expect(model.stalled.value).toBe(3);
});

test.each([
  ["state:stalled", ["stuck"]],
  ["stalled", ["stuck"]],
  ["age:>30s", ["old"]],
  ["dur:>30s", ["old"]],
  ["process:q", ["old"]],
  ["thread:Main*", ["stuck", "old", "young"]],
  ["is:root -name:young", ["stuck", "old"]],
  ["locks.py or young", ["stuck", "young"]],
  ["has:task", []],
  ["user.id:7", []],
])("the search %s", (search, found) => {
  take(
    spanOf("stuck", { start_ns: before(5), state: "stalled", where: "locks.py:41 wait" }),
    spanOf("old", { start_ns: before(60), process: "q" }),
    spanOf("young", { start_ns: before(1) }),
  );
  const rows = model.shown(model.rows.value, parse(search), false, "", BigInt(NOW));
  expect(rows.map((row) => row.span.name)).toEqual(found);
});

test("only roots, and only one process", () => {
  take(spanOf("root"), spanOf("child", { root: false }), spanOf("other", { process: "q" }));
  const shown = (onlyRoots: boolean, process: string) =>
    model
      .shown(model.rows.value, null, onlyRoots, process, BigInt(NOW))
      .map((row) => row.span.name);
  expect(shown(true, "")).toEqual(["root", "other"]);
  expect(shown(false, "q")).toEqual(["other"]);
});
