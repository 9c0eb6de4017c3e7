/** Spans that arrive in pieces make one trace: tree, self times and critical path. */

import { describe, expect, test } from "vitest";
import type { State } from "../../src/data/contract";
import { LiveTrace } from "../../src/live/liveTrace";
import { liveTrace } from "../../src/live/traceAnswer";
import type { Trace } from "../../src/model/trace";
import { answerOf, TRACE } from "./answers";

function traceOf(...answers: ReturnType<typeof answerOf>[]): Trace {
  const live = new LiveTrace(TRACE);
  for (const answer of answers) live.apply(liveTrace(answer, "trace"));
  return live.build();
}

const shape = (trace: Trace) =>
  trace.ids.map((id, span) => [id, trace.ids[trace.parent[span] ?? -1] ?? ""]);

test("spans of several answers are merged by their ids, whatever the indexes are", () => {
  const trace = traceOf(
    answerOf([
      { id: "a", end: null, until: 50 },
      { id: "b", parent: "a", start: 5, end: 9 },
    ]),
    answerOf([
      { id: "c", parent: "a", name: "later", start: 20, end: 30 },
      { id: "a", end: 60 },
    ]),
  );
  expect(shape(trace)).toEqual([
    ["a", ""],
    ["b", "a"],
    ["c", "a"],
  ]);
  expect(trace.name(2)).toBe("later");
  expect(trace.isOpen(0)).toBe(false);
  expect(trace.duration(0)).toBe(60);
});

test("self times and the critical path are those of the terminal", () => {
  const trace = traceOf(
    answerOf([
      { id: "a", end: 100 },
      { id: "b", parent: "a", start: 10, end: 50 },
      { id: "c", parent: "a", start: 50, end: 90 },
    ]),
  );
  expect([...trace.self]).toEqual([20, 40, 40]);
  expect(trace.paths[0]?.segments.map(([span, from, to]) => [span, from, to])).toEqual([
    [0, 0, 10],
    [1, 10, 50],
    [2, 50, 90],
    [0, 90, 100],
  ]);
});

test("an open span is as long as is known of its process, and its path a lower bound", () => {
  const trace = traceOf(
    answerOf([
      { id: "a", end: null, until: 5 },
      { id: "b", parent: "a", start: 1, end: 70 },
    ]),
  );
  expect(trace.duration(0)).toBe(70);
  expect(trace.paths[0]?.lower_bound).toBe(true);
  expect(trace.isGoingOn(0)).toBe(true);
});

test("a parent that is not there yet is missing, until it arrives", () => {
  const live = new LiveTrace(TRACE);
  live.apply(answerOf([{ id: "b", parent: "a", start: 3 }]));
  const before = live.build();
  expect(before.stateOf(0)).toBe("missing");
  expect(before.service(0)).toBe("");
  live.apply(answerOf([{ id: "a" }]));
  expect(shape(live.build())).toEqual([
    ["a", ""],
    ["b", "a"],
  ]);
});

test("spans that are each other's parents do not keep it from being made", () => {
  const trace = traceOf(
    answerOf([
      { id: "a", parent: "b" },
      { id: "b", parent: "a" },
    ]),
  );
  expect(trace.count).toBe(2);
  expect(trace.roots).toHaveLength(1);
});

test("logs are kept by their ids, in the order of time, at their spans", () => {
  const first = answerOf([{ id: "a" }], { logs: [["a", 9, "info", "second", "2"]] });
  const again = answerOf([], {
    logs: [
      ["a", 9, "info", "second", "2"],
      ["", 1, "warning", "first", "1"],
    ],
  });
  const logs = traceOf(first, again).logs;
  expect(logs.map((log) => [log.text, log.span])).toEqual([
    ["first", -1],
    ["second", 0],
  ]);
});

test("a process keeps its number, and its state is the latest", () => {
  const trace = traceOf(
    answerOf([{ id: "a", end: null }]),
    answerOf([{ id: "b", parent: "a", process: "q" }]),
    answerOf([{ id: "a", end: null, state: "lost" }], { processState: "lost" }),
  );
  expect(trace.processOf(0).state).toBe("lost");
  expect(trace.processOf(1).id).toBe("q");
  expect(trace.isGoingOn(0)).toBe(false);
});

test("another base of the times moves them", () => {
  const trace = traceOf(
    answerOf([{ id: "a" }], { base_ns: "1000" }),
    answerOf([{ id: "b", start: 5, end: 6 }], { base_ns: "1100" }),
  );
  expect([...trace.start]).toEqual([0, 105]);
});

test("thread and task are there", () => {
  const trace = traceOf(answerOf([{ id: "a", thread: "Main", task: "Task-1" }]));
  expect([trace.thread(0), trace.task(0)]).toEqual(["Main", "Task-1"]);
});

describe("answers that are wrong are refused", () => {
  const wrongs: [string, (answer: ReturnType<typeof answerOf>) => void][] = [
    ["format", (one) => Object.assign(one, { format: "else" })],
    ["version", (one) => Object.assign(one, { version: 2 })],
    ["base_ns", (one) => Object.assign(one, { base_ns: "soon" })],
    ["spans.name[0]", (one) => one.spans.name.fill(99)],
    ["spans.state[0]", (one) => one.spans.state.fill("running" as State as never)],
    ["spans.start[0]", (one) => one.spans.start.fill(Number.NaN)],
    ["spans.until", (one) => one.spans.until.push(1)],
    ["spans.id[0]", (one) => one.spans.id.fill("")],
    ["logs[0]", (one) => one.logs.push(["a", 1, 0, 99, -1, "1"])],
    [
      "processes[0].label",
      (one) => one.processes.fill({ id: 0, label: -1, service: 0, state: "alive" }),
    ],
  ];
  test.each(wrongs)("%s", (where, spoil) => {
    const answer = answerOf([{ id: "a" }]);
    spoil(answer);
    expect(() => liveTrace(answer, "trace")).toThrow(`trace.${where}`);
  });
});
