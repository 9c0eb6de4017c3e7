/** The list of traces: pages, changes that move no row, marks, and traces that are unfolded. */

import { beforeEach, expect, test, vi } from "vitest";
import { choiceOf, TracesModel } from "../../src/app/traces/model";
import { listRows } from "../../src/app/traces/rows";
import { termsOf } from "../../src/app/traces/terms";
import { type Summary, summary } from "../../src/live/contract";
import { answerOf, NOW, summaryOf } from "../live/answers";
import { answer, FakeServer } from "../live/fakes";

const id = (number: number) => number.toString(16).padStart(32, "0");
const given = (number: number, more: { [key: string]: unknown } = {}) =>
  summaryOf(id(number), { start_ns: String(BigInt(NOW) + BigInt(number)), ...more });
const checked = (number: number, more = {}): Summary => summary(given(number, more), "summary");

let server: FakeServer;
let model: TracesModel;

beforeEach(async () => {
  server = new FakeServer();
  server.routes.set("traces", (url) => {
    const isSecond = url.searchParams.get("cursor") === "c";
    return {
      traces: isSecond ? [given(1)] : [given(3), given(2)],
      next: isSecond ? null : "c",
      searched_until_ns: null,
      sequence: 10,
      now_ns: NOW,
    };
  });
  model = new TracesModel(server.client);
  await model.show(choiceOf({}));
});

const take = (traces: Summary[], sequence: number, more = false) =>
  model.take({ traces, more }, sequence);
const listsAsked = () => server.asked.filter((path) => path.startsWith("traces?"));
const shown = () => model.ids.value.map((one) => Number.parseInt(one, 16));

test("the first page, then the next at its end, and no more", async () => {
  expect(shown()).toEqual([3, 2]);
  await model.more();
  expect(shown()).toEqual([3, 2, 1]);
  await model.more();
  expect(listsAsked()).toHaveLength(2);
});

test("a new trace comes in at its place, unless the reader looks at the rows", () => {
  take([checked(4), checked(5)], 11);
  expect(shown()).toEqual([5, 4, 3, 2]);
  model.isHeld = true;
  take([checked(6)], 12);
  expect(shown()).toEqual([5, 4, 3, 2]);
  expect([...model.waiting.value]).toEqual([id(6)]);
});

test("what waits is asked for when it is wanted", async () => {
  model.isHeld = true;
  take([checked(6)], 12);
  await model.showWaiting();
  expect(model.waiting.value.size).toBe(0);
  expect(listsAsked()).toHaveLength(2);
});

test("a row changes in its place", () => {
  model.isHeld = true;
  take([checked(2, { spans: 9 })], 11);
  expect(model.summaries.value.get(id(2))?.spans).toBe(9);
  expect(shown()).toEqual([3, 2]);
});

test("the list is asked for again where changes do not hold all that is new, once for several", async () => {
  vi.useFakeTimers();
  try {
    server.routes.set("traces", () => ({
      traces: [given(9), given(8), given(6)],
      next: "d",
      searched_until_ns: null,
      sequence: 20,
      now_ns: NOW,
    }));
    take([checked(6)], 11, true);
    take([], 12, true);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(shown()).toEqual([9, 8, 6]);
    expect(model.next.value).toBe("d");
    expect(listsAsked()).toHaveLength(2);
    model.isHeld = true;
    take([checked(6, { spans: 4 })], 21, true);
    server.routes.set("traces", () => ({
      traces: [given(10), given(9, { spans: 7 })],
      next: "d",
      searched_until_ns: null,
      sequence: 22,
      now_ns: NOW,
    }));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(shown()).toEqual([9, 8, 6]);
    expect(model.summaries.value.get(id(9))?.spans).toBe(7);
    expect([...model.waiting.value]).toEqual([id(10)]);
  } finally {
    vi.useRealTimers();
  }
});

test("a trace that waited and comes in with its next change does not wait any more", () => {
  model.isHeld = true;
  take([checked(6), checked(7)], 11);
  model.isHeld = false;
  take([checked(6, { spans: 4 })], 12);
  expect(shown()).toEqual([6, 3, 2]);
  expect([...model.waiting.value]).toEqual([id(7)]);
});

test("what waits does not wait any more once the list holds it; what is later does", async () => {
  model.isHeld = true;
  take([checked(6)], 9);
  take([checked(7)], 11);
  model.isHeld = false;
  server.routes.set("traces", () => ({
    traces: [given(9), given(8)],
    next: "d",
    searched_until_ns: null,
    sequence: 10,
    now_ns: NOW,
  }));
  await model.show(choiceOf({}));
  expect(shown()).toEqual([9, 8]);
  expect([...model.waiting.value]).toEqual([id(7)]);
});

test("a change that is older than one before is ignored", () => {
  take([checked(2, { spans: 9 })], 12);
  take([checked(2, { spans: 4 })], 11);
  expect(model.summaries.value.get(id(2))?.spans).toBe(9);
});

test("where the list has another order, or ends at a time, new traces do not come in", async () => {
  await model.show(choiceOf({ order: "longest" }));
  take([checked(7)], 13);
  expect(shown()).not.toContain(7);
  expect(model.waiting.value.size).toBe(1);
  await model.show(choiceOf({ until: NOW }));
  take([checked(8)], 14);
  expect(model.waiting.value.size).toBe(0);
});

test("coming back to the same choice keeps the rows and takes what is new", async () => {
  await model.more();
  await model.show(choiceOf({}));
  expect(shown()).toEqual([3, 2, 1]);
});

test("coming back after more new traces than a page leaves none out", async () => {
  const found = { searched_until_ns: null, sequence: 20, now_ns: NOW };
  server.routes.set("traces", () => ({ ...found, traces: [given(9), given(8)], next: "d" }));
  await model.show(choiceOf({}));
  expect(shown()).toEqual([9, 8]);
  expect(model.next.value).toBe("d");
  model.isHeld = true;
  server.routes.set("traces", () => ({ ...found, traces: [given(15), given(14)], next: "e" }));
  await model.show(choiceOf({}));
  expect(shown()).toEqual([9, 8]);
  expect([...model.waiting.value]).toEqual([id(15), id(14)]);
});

test("an answer for a choice that was left is ignored", async () => {
  const waiting: (() => void)[] = [];
  server.routes.set("traces", (url) => {
    const traces = url.searchParams.has("q") ? [given(5)] : [given(7), given(3)];
    return { traces, next: null, searched_until_ns: null, sequence: 20, now_ns: NOW };
  });
  server.routes.set("traces/histogram", (url) => ({
    from_ns: NOW,
    to_ns: NOW,
    width_ns: url.searchParams.has("q") ? 2 : 1,
    traces: [1],
    errors: [0],
  }));
  server.delay = () => new Promise((resolve) => waiting.push(() => resolve()));
  const before = model.show(choiceOf({}));
  const histogramBefore = model.loadHistogram();
  server.delay = null;
  await model.show(choiceOf({ q: "x" }));
  await model.loadHistogram();
  for (const go of waiting) go();
  await before;
  await histogramBefore;
  expect(shown()).toEqual([5]);
  expect(model.histogram.value?.width_ns).toBe(2);
});

test("a choice that cannot be asked for shows no rows of another; a wrong search keeps them", async () => {
  server.routes.set("traces", () => answer({ error: { message: "wrong", hint: "", at: 0 } }, 400));
  await model.show(choiceOf({ q: "x" }));
  expect(model.problem.value).toMatchObject({ message: "wrong", at: 0 });
  expect(shown()).toEqual([3, 2]);
  server.isAway = true;
  await model.show(choiceOf({ q: "y" }));
  expect(shown()).toEqual([]);
});

test("what an address says wrongly is ignored", () => {
  expect(choiceOf({ since: "soon", until: "1", order: "best", q: "a" })).toEqual({
    q: "a",
    order: "newest",
    since: "",
    until: "1",
  });
});

test("two traces are marked at most, the latest", () => {
  for (const one of ["a", "b", "c"]) model.mark(one);
  expect(model.marked.value).toEqual(["b", "c"]);
  model.mark("b");
  expect(model.marked.value).toEqual(["c"]);
});

test("a trace unfolds in its place, and folds again", async () => {
  server.routes.set(`traces/${id(3)}`, () =>
    answerOf([{ id: "a" }, { id: "b", parent: "a", start: 1, end: 5 }], { trace_id: id(3) }),
  );
  model.toggle(id(3));
  await model.unfolded.value.get(id(3))?.load();
  await Promise.resolve();
  const kinds = () =>
    listRows(model.ids.value, model.summaries.value, model.unfolded.value).map((row) => row.kind);
  await expect.poll(kinds).toEqual(["trace", "span", "span", "trace"]);
  model.toggle(id(3));
  expect(kinds()).toEqual(["trace", "trace"]);
});

test("a very large trace is not loaded for a look into it", () => {
  take([checked(3, { spans: 50_000 })], 11);
  model.toggle(id(3));
  const rows = listRows(model.ids.value, model.summaries.value, model.unfolded.value);
  expect(rows.map((row) => row.kind)).toEqual(["trace", "note", "trace"]);
  expect(server.asked).not.toContain(`traces/${id(3)}`);
});

test.each([
  ["a b:1", ["a", "b:1"]],
  ['"two words" x', ['"two words"', "x"]],
  ["not error service:shop", ["not error", "service:shop"]],
  ["under:(a b) c", ["under:(a b)", "c"]],
  ["a or b", ["a or b"]],
  ["", []],
])("the terms of %j", (search, terms) => {
  expect(termsOf(search)).toEqual(terms);
});
