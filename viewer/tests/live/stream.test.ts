/** The stream: how it stands is known, events are checked, and it is opened again. */

import { afterEach, beforeEach, expect, type Mock, test, vi } from "vitest";
import { type Handlers, Stream } from "../../src/live/stream";
import { answerOf, INFO, NOW, summaryOf, TRACE } from "./answers";
import { FakeServer } from "./fakes";

let server: FakeServer;
let handlers: { [name in keyof Handlers]: Mock<Handlers[name]> };
let stream: Stream;

beforeEach(() => {
  vi.useFakeTimers();
  server = new FakeServer();
  handlers = {
    hello: vi.fn(),
    traces: vi.fn(),
    trace: vi.fn(),
    logs: vi.fn(),
    running: vi.fn(),
    problem: vi.fn(),
  };
  stream = new Stream(server.client, handlers, server.newSource);
  stream.open({ topics: ["running", "traces"], trace: TRACE, after: 7 });
});

afterEach(() => {
  stream.close();
  vi.useRealTimers();
});

test("the address names what is asked for", () => {
  const { searchParams } = new URL(server.source.url);
  expect(Object.fromEntries(searchParams)).toEqual({
    topics: "running,traces",
    trace: TRACE,
    after: "7",
  });
});

test("each event goes to its handler, with the number of the change", () => {
  expect(stream.connection.value).toEqual({ state: "connecting" });
  server.hello();
  expect(stream.connection.value).toEqual({ state: "live" });
  expect(handlers.hello).toHaveBeenCalledTimes(1);
  server.source.send("traces", { traces: [summaryOf(TRACE)], more: true }, 9);
  expect(handlers.traces.mock.calls[0]?.[0].more).toBe(true);
  expect(handlers.traces.mock.calls[0]?.[1]).toBe(9);
  server.source.send("trace", answerOf([{ id: "a" }]), 10);
  expect(handlers.trace.mock.calls[0]?.[0].spans.id).toEqual(["a"]);
  const running = { now_ns: NOW, sequence: 1, spans: [], total: 0, processes: [] };
  server.source.send("running", running);
  expect(handlers.running).toHaveBeenCalledOnce();
});

test("attributes of logs have exact numbers", () => {
  const log = `{"id":"1","time_ns":"${NOW}","level":"info","text":"x","kind":"log","attributes":{"n":12345678901234567890}}`;
  server.source.send("logs", `{"logs":[${log}]}`);
  expect(handlers.logs.mock.calls[0]?.[0].logs[0]?.attributes.n).toBe(12345678901234567890n);
});

test("an event of another form is reported, and the next one is taken", () => {
  server.source.send("traces", { traces: [{ trace_id: 5 }] }, 8);
  server.source.send("traces", "{", 8);
  expect(handlers.problem).toHaveBeenCalledTimes(2);
  expect(handlers.traces).not.toHaveBeenCalled();
  server.source.send("traces", { traces: [] }, 9);
  expect(handlers.traces).toHaveBeenCalledOnce();
});

test("a lost connection is away until the browser has it again", () => {
  server.hello();
  server.source.fail();
  expect(stream.connection.value.state).toBe("away");
  expect(server.sources).toHaveLength(1);
  server.hello(12);
  expect(stream.connection.value.state).toBe("live");
  expect(handlers.hello).toHaveBeenCalledTimes(2);
});

test("where the browser gives up, it is opened again after the last event, later each time", () => {
  server.hello();
  server.source.send("traces", { traces: [] }, 21);
  server.source.fail(true);
  vi.advanceTimersByTime(1_000);
  expect(server.sources).toHaveLength(2);
  expect(new URL(server.source.url).searchParams.get("after")).toBe("21");
  server.source.fail(true);
  vi.advanceTimersByTime(1_999);
  expect(server.sources).toHaveLength(2);
  vi.advanceTimersByTime(1);
  expect(server.sources).toHaveLength(3);
  server.hello();
  expect(handlers.hello).toHaveBeenCalledTimes(2);
});

test("the reader can try again at once", () => {
  server.source.fail(true);
  stream.retry();
  expect(server.sources).toHaveLength(2);
});

test("events of a connection that was replaced are ignored", () => {
  const old = server.source;
  stream.open({ topics: ["running"] });
  old.send("hello", { sequence: 1, now_ns: NOW, info: INFO });
  expect(handlers.hello).not.toHaveBeenCalled();
});
