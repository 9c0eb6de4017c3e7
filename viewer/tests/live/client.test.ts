/** Requests: answers are checked, and failures say what went wrong and what to do. */

import { expect, test } from "vitest";
import { type ApiError, Client } from "../../src/live/client";
import { hello, summary, traceList } from "../../src/live/contract";
import { INFO, NOW, summaryOf, TRACE } from "./answers";
import { answer, FakeServer } from "./fakes";

const LIST = { next: null, searched_until_ns: null, sequence: 4, now_ns: NOW };

test("a list of traces is returned with exact times", async () => {
  const server = new FakeServer();
  server.routes.set("traces", () => ({ ...LIST, traces: [summaryOf(TRACE)] }));
  const found = await server.client.get("traces", traceList, { query: { q: "a b", limit: 50 } });
  expect(found.traces[0]?.start_ns).toBe(1795967377000000000n);
  expect(found.traces[0]?.matches).toEqual([]);
  expect(server.asked).toEqual(["traces?q=a+b&limit=50"]);
});

test("empty values are left out of the address", () => {
  const client = new Client("/api/v1/");
  expect(client.url("logs", { q: "", cursor: null, level: undefined, limit: 0 })).toBe(
    "/api/v1/logs?limit=0",
  );
});

test("an error of the server has its message, hint and place", async () => {
  const server = new FakeServer();
  const error = { message: "a value without a key", hint: "Write key:value.", at: 3 };
  server.routes.set("traces", () => answer({ error }, 400));
  expect(await failureOf(server)).toMatchObject({ ...error, status: 400 });
});

test("no server, no JSON, and JSON of another form are errors with a hint", async () => {
  const server = new FakeServer();
  server.routes.set("traces", () => new Response("<html>", { status: 502 }));
  expect(await failureOf(server)).toMatchObject({ status: 502 });
  server.routes.set("traces", () => new Response("{"));
  expect((await failureOf(server)).hint).toContain("Reload");
  server.routes.set("traces", () => ({ ...LIST, traces: [summaryOf("no id")] }));
  expect((await failureOf(server)).message).toContain("traces.traces[0].trace_id");
  server.isAway = true;
  expect(await failureOf(server)).toMatchObject({
    status: 0,
    hint: expect.stringContaining("serve"),
  });
});

test("a request that is given up rejects as the browser does", async () => {
  const client = new Client("/", async (_, init) => {
    init?.signal?.throwIfAborted();
    return new Response("{}");
  });
  const abort = new AbortController();
  abort.abort();
  await expect(client.get("traces", traceList, { signal: abort.signal })).rejects.toThrow(
    DOMException,
  );
});

test("a word that this page does not know is not an error", () => {
  expect(summary(summaryOf(TRACE, { state: "resting" }), "s").state).toBe("open");
});

test("fields of a prototype are not taken for those of an answer", () => {
  const given = JSON.parse(`{"__proto__": {"sequence": 1}, "now_ns": "1"}`);
  expect(() => hello({ ...given, info: INFO }, "hello")).toThrow("hello.sequence");
});

async function failureOf(server: FakeServer): Promise<ApiError> {
  return server.client.get("traces", traceList).then(
    () => expect.unreachable(),
    (error) => error,
  );
}
