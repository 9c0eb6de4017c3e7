/** Details of a live trace: asked for one by one, or all of them for a search, and again when they change. */

import { beforeEach, expect, test } from "vitest";
import { LiveDetailsStore } from "../../src/live/liveDetails";
import { LiveTrace } from "../../src/live/liveTrace";
import type { Trace } from "../../src/model/trace";
import { answerOf, TRACE } from "./answers";
import { answer, FakeServer } from "./fakes";

let server: FakeServer;
let store: LiveDetailsStore;
let trace: Trace;
const path = (span: string) => `traces/${TRACE}/spans/${span}`;
const asked = () => server.asked.map((one) => one.replace(`traces/${TRACE}/`, ""));

beforeEach(() => {
  server = new FakeServer();
  for (const span of ["a", "b"])
    server.routes.set(path(span), () => ({ attributes: { of: span }, record: { seq: 1 } }));
  server.routes.set(`traces/${TRACE}/details`, () => ({
    details: { a: { attributes: { of: "a" } }, b: { attributes: { of: "b" }, events: [] } },
  }));
  const live = new LiveTrace(TRACE);
  live.apply(answerOf([{ id: "a" }, { id: "b", parent: "a" }]));
  trace = live.build();
  store = new LiveDetailsStore(server.client, TRACE);
});

test("a span is asked for once, with its record", async () => {
  const source = store.of(trace);
  expect(source.spans.value).toBeNull();
  source.loadOne(1);
  source.loadOne(1);
  await expect.poll(() => source.spans.value?.[1]?.attributes).toEqual({ of: "b" });
  expect(source.spans.value?.[0]).toBeNull();
  source.loadOne(1);
  expect(asked()).toEqual(["spans/b"]);
  expect(source.isWhole.value).toBe(false);
});

test("a span that has changed is asked for again", async () => {
  const source = store.of(trace);
  source.loadOne(0);
  await expect.poll(() => source.spans.value?.[0]).not.toBeNull();
  store.changed(["a"]);
  source.loadOne(0);
  await expect.poll(asked).toEqual(["spans/a", "spans/a"]);
});

test("a search loads the details of all, and again after changes", async () => {
  const source = store.of(trace);
  await source.load();
  expect(source.isWhole.value).toBe(true);
  expect(source.spans.value?.map((one) => one?.attributes?.of)).toEqual(["a", "b"]);
  store.changed(["b"]);
  expect(source.isWhole.value).toBe(false);
  await source.load(); // not at once again: the first answer is a moment old
  expect(asked()).toEqual(["details"]);
});

test("a parent that was not recorded is not a problem, a server that fails is", async () => {
  server.routes.delete(path("a"));
  server.routes.set(path("b"), () => answer({ error: { message: "it is busy" } }, 503));
  const source = store.of(trace);
  source.loadOne(0);
  await expect.poll(asked).toEqual(["spans/a"]);
  expect(source.problem.value).toBe("");
  source.loadOne(1);
  await expect.poll(() => source.problem.value).toContain("it is busy");
});

test("numbers that a number cannot hold stay exact", async () => {
  server.routes.set(
    path("a"),
    () => new Response('{"attributes": {"n": 12345678901234567890}, "record": {"seq": 1}}'),
  );
  const source = store.of(trace);
  source.loadOne(0);
  await expect.poll(() => source.spans.value?.[0]?.attributes?.n).toBe(12345678901234567890n);
});
