/** A server that is not there: answers requests by their paths, and sends events when a test says so. */

import { Client } from "../../src/live/client";
import { INFO, NOW } from "./answers";

export type Route = (url: URL, init: RequestInit) => unknown;

export class FakeServer {
  readonly asked: string[] = [];
  readonly routes = new Map<string, Route>();
  readonly sources: FakeSource[] = [];
  /** Set to make every request fail as if nothing listened. */
  isAway = false;
  /** Set to keep the answers of the requests that follow back. */
  delay: (() => Promise<void>) | null = null;

  readonly client = new Client("http://server/api/v1/", async (input, init = {}) => {
    const url = new URL(String(input));
    const path = url.pathname.replace("/api/v1/", "");
    this.asked.push(`${path}${url.search}`);
    await this.delay?.();
    if (this.isAway) throw new TypeError("Failed to fetch");
    const route = this.routes.get(path);
    if (!route) return answer({ error: { message: `${path} is not known`, hint: "" } }, 404);
    const body = route(url, init);
    return body instanceof Response ? body : answer(body, 200);
  });

  readonly newSource = (url: string): FakeSource => {
    const source = new FakeSource(url);
    this.sources.push(source);
    return source;
  };

  /** Returns the connection that is open now. */
  get source(): FakeSource {
    const source = this.sources.filter((one) => !one.isClosed).at(-1);
    if (!source) throw new Error("no connection is open");
    return source;
  }

  hello(sequence = 1): void {
    this.source.send("hello", { sequence, now_ns: NOW, info: INFO });
  }
}

export function answer(body: unknown, status: number): Response {
  return new Response(JSON.stringify(body), { status });
}

type Listener = (event: Event) => void;

/** An `EventSource` whose events a test sends. */
export class FakeSource {
  readyState = 0;
  isClosed = false;
  private readonly listeners = new Map<string, Listener[]>();

  constructor(readonly url: string) {}

  addEventListener(name: string, listener: unknown): void {
    this.listeners.set(name, [...(this.listeners.get(name) ?? []), listener as Listener]);
  }

  close(): void {
    this.isClosed = true;
    this.readyState = 2;
  }

  send(name: string, data: unknown, id = 0): void {
    const json = typeof data === "string" ? data : JSON.stringify(data);
    const event = { data: json, lastEventId: id ? String(id) : "" } as MessageEvent;
    for (const listener of this.listeners.get(name) ?? []) listener(event);
  }

  /** Loses the connection; `forGood` as if the server had answered with an error. */
  fail(forGood = false): void {
    this.readyState = forGood ? 2 : 0;
    for (const listener of this.listeners.get("error") ?? []) listener(new Event("error"));
  }
}
