/** Mounts the application on a server that is not there. */

import { h, render } from "preact";
import { afterAll } from "vitest";
import { App } from "../../src/app/app";
import { Shell } from "../../src/app/shell/Shell";
import { answerOf, NOW, summaryOf } from "../live/answers";
import { FakeServer } from "../live/fakes";
import { eventually, settled } from "../view/mounting";
import { OTHER, runningOf, spanOf, TRACE } from "./running";

export interface Mounted {
  app: App;
  server: FakeServer;
  root: HTMLElement;
}

/** Returns a server with two traces, one of which has a span that runs. */
export function usualServer(): FakeServer {
  const server = new FakeServer();
  const { routes } = server;
  routes.set("running", () => runningOf([spanOf("a", { name: "import" })]));
  routes.set("traces", () => ({
    traces: [
      summaryOf(TRACE, { name: "import", end_ns: null, open: 1, state: "running" }),
      summaryOf(OTHER, { name: "GET /", services: ["shop", "bank"] }),
    ],
    next: null,
    searched_until_ns: null,
    sequence: 5,
    now_ns: NOW,
  }));
  routes.set("traces/histogram", () => ({
    from_ns: NOW,
    to_ns: String(BigInt(NOW) + 10n),
    width_ns: 5,
    traces: [1, 1],
    errors: [0, 0],
  }));
  routes.set(`traces/${TRACE}`, () =>
    answerOf(
      [
        { id: "a", name: "import", end: null, until: 50 },
        { id: "b", parent: "a", name: "item 1", start: 5, end: 30 },
      ],
      { sequence: 5 },
    ),
  );
  routes.set(`traces/${OTHER}`, () => answerOf([{ id: "x", name: "GET /" }], { trace_id: OTHER }));
  routes.set(`traces/${TRACE}/spans/a`, () => ({
    attributes: { file: "catalogue.csv" },
    events: [],
    links: [],
    record: { seq: 1 },
    linked_from: [{ trace_id: OTHER, span_id: "x" }],
  }));
  routes.set("logs", () => ({ logs: [], next: null }));
  routes.set("operations", () => ({ from_ns: NOW, to_ns: NOW, operations: [] }));
  routes.set("errors", () => ({ errors: [] }));
  routes.set("completion", () => ({ words: [{ text: "service:shop", count: 7 }] }));
  return server;
}

// What is mounted has timers, which must not outlive the page of the tests.
afterAll(unmountAll);

function unmountAll(): void {
  for (const old of [...document.body.children]) {
    render(null, old);
    old.remove();
  }
}

export async function mountApp(hash: string, server = usualServer()): Promise<Mounted> {
  unmountAll();
  history.replaceState(null, "", hash);
  const root = document.createElement("div");
  document.body.append(root);
  const app = new App(server.client, server.newSource as never);
  render(h(Shell, { app }), root);
  await eventually(() => server.sources.length > 0);
  server.hello();
  await settled();
  return { app, server, root };
}

/** Presses keys where the focus is. */
export async function type(...keys: string[]): Promise<void> {
  for (const key of keys) {
    const target = document.activeElement ?? document.body;
    target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
    await settled(5);
  }
  await settled();
}

/** Returns the texts of the first cells of the rows in sight. */
export function rowTexts(root: HTMLElement): string[] {
  return [...root.querySelectorAll('.filler [role="row"]')].map((row) => row.textContent ?? "");
}
