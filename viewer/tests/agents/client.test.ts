/** The view of a server's trace: it asks for details once, then for those that may have changed. */

import { signal } from "@preact/signals";
import { h, render } from "preact";
import { beforeEach, expect, test } from "vitest";
import { agentRun, columnsOf } from "../../demo/agents";
import {
  type AgentsClient,
  AgentsView,
  agentTraceOf,
  type SpanDetailsById,
  type TraceColumns,
} from "../../src/agents/AgentsView";
import type { Trace } from "../../src/model/trace";
import { traceOf } from "../documents";
import { eventually } from "../view/mounting";

let root: HTMLElement;

beforeEach(() => {
  root = document.createElement("div");
  document.body.replaceChildren(root);
});

const columnsAfter = (seconds: number) => columnsOf(agentRun(seconds).spans);

class FakeServer implements AgentsClient {
  readonly columns = signal<TraceColumns | null>(null);
  readonly asked: (readonly string[] | undefined)[] = [];
  seconds = 0;
  problem = "";

  at(seconds: number): void {
    this.seconds = seconds;
    this.columns.value = columnsAfter(seconds);
  }

  trace(): TraceColumns | null {
    return this.columns.value;
  }

  now(): number {
    return this.seconds * 1e9;
  }

  async details(_: string, changed?: readonly string[]): Promise<SpanDetailsById> {
    this.asked.push(changed);
    if (this.problem) throw new Error(this.problem);
    const { details } = agentRun(this.seconds);
    return Object.fromEntries(
      (changed ?? Object.keys(details)).map((id) => [id, details[id] ?? null]),
    );
  }
}

function show(server: AgentsClient, traceId = "t"): void {
  render(h(AgentsView, { client: server, traceId }), root);
}

test("nothing is shown before the trace is there; then it is, and grows", async () => {
  const server = new FakeServer();
  show(server);
  expect(root.querySelector("[aria-busy]")).not.toBeNull();
  expect(server.asked).toEqual([]);
  server.at(12);
  await eventually(() => root.textContent?.includes("The nightly build is red"));
  expect(server.asked).toEqual([undefined]);
  expect(root.textContent).not.toContain("All 214 tests pass.");
  server.at(64);
  await eventually(() => root.textContent?.includes("All 214 tests pass."));
});

test("only details of spans that may have changed are asked for again", async () => {
  const server = new FakeServer();
  server.at(12);
  show(server);
  await eventually(() => server.asked.length === 1);
  server.at(20);
  await eventually(() => server.asked.length === 2);
  const open = columnsAfter(12);
  const still = open.ids.filter((_, span) => open.isOpen(span));
  const before = new Set(open.ids);
  const fresh = columnsAfter(20).ids.filter((id) => !before.has(id));
  expect([...(server.asked[1] ?? [])].sort()).toEqual([...still, ...fresh].sort());
});

test("what a server says when it fails is shown, and it can be asked again", async () => {
  const server = new FakeServer();
  server.problem = "status 503";
  server.at(12);
  show(server);
  await eventually(() => root.querySelector("[role=alert]")?.textContent?.includes("status 503"));
  server.problem = "";
  root.querySelector<HTMLElement>("[role=alert] button")?.click();
  await eventually(() => root.textContent?.includes("The nightly build is red"));
  expect(root.querySelector("[role=alert]")).toBeNull();
});

test("another trace is not mixed with the one before", async () => {
  const server = new FakeServer();
  server.at(64);
  show(server, "one");
  await eventually(() => root.textContent?.includes("All 214 tests pass."));
  server.seconds = 1;
  server.columns.value = columnsAfter(1);
  show(server, "two");
  await eventually(() => server.asked.length === 2);
  expect(server.asked[1]).toBeUndefined();
  await eventually(() => !root.textContent?.includes("All 214 tests pass."));
});

test("the viewer's own traces have the columns that are needed", () => {
  const trace: Trace = traceOf([
    { id: "a", name: "agent", start: 1, end: null, until: 9, state: "running" },
    { id: "b", parent: "a", name: "call", start: 2, end: 4, error: "no", logs: [["info", "x"]] },
  ]);
  const { spans, logs } = agentTraceOf(trace);
  expect(spans).toMatchObject([
    { id: "a", parent: "", name: "agent", state: "running", start: 1, end: null, until: 9 },
    { id: "b", parent: "a", name: "call", start: 2, end: 4, error: "no", service: "shop" },
  ]);
  expect(logs).toEqual([{ span: "b", text: "x", attributes: "" }]);
});
