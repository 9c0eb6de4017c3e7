/** The stream of changes: keeps it open, says how it stands, and checks each event. */

import { signal } from "@preact/signals";
import { DataError } from "../data/checks";
import { parseExact } from "../data/exact";
import type { Client } from "./client";
import {
  type ChangedTraces,
  changedLogs,
  changedTraces,
  type Hello,
  hello,
  type Running,
  running,
} from "./contract";
import type { Of, Shape } from "./shape";
import { type LiveTraceAnswer, liveTrace } from "./traceAnswer";

/** How the page is connected; times in milliseconds of the browser's clock. */
export type Connection =
  | { state: "connecting" }
  | { state: "live" }
  | { state: "away"; retryAt: number };

/** What is asked for. */
export interface Topics {
  topics: readonly string[];
  trace?: string;
  q?: string;
  /** The last change that is known already. */
  after?: number;
}

/**
 * What the page does with each event.
 *
 * `sequence` is the number of the last change that the event holds; 0 if the event has no number.
 */
export interface Handlers {
  hello: (event: Hello) => void;
  traces: (event: ChangedTraces, sequence: number) => void;
  trace: (event: LiveTraceAnswer) => void;
  logs: (event: Of<typeof changedLogs>, sequence: number) => void;
  running: (event: Running) => void;
  /** An event that cannot be shown. */
  problem: (message: string) => void;
}

type Source = Pick<EventSource, "addEventListener" | "close" | "readyState">;
export type NewSource = (url: string) => Source;

const CLOSED = 2;
/** After how long browsers try again by themselves, about. */
const USUAL_RETRY_MS = 3_000;
const MOST_RETRY_MS = 10_000;

/**
 * One connection at a time.
 *
 * A connection that is lost is opened again by the browser, which tells the server the last event it
 * has seen. Where the browser gives up, because the server answered with an error, this class
 * tries again, and names the last event in the address.
 */
export class Stream {
  readonly connection = signal<Connection>({ state: "connecting" });
  private source: Source | null = null;
  private topics: Topics = { topics: [] };
  private lastEvent = 0;
  private tries = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly client: Client,
    private readonly handlers: Handlers,
    private readonly newSource: NewSource = (url) => new EventSource(url),
  ) {}

  /** Asks for other changes than before. */
  open(topics: Topics): void {
    this.topics = topics;
    this.lastEvent = topics.after ?? 0;
    this.tries = 0;
    this.connect();
  }

  close(): void {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }

  /** Tries again at once. */
  retry(): void {
    if (this.connection.value.state === "away") this.connect();
  }

  private connect(): void {
    this.close();
    const { topics, trace, q } = this.topics;
    const query = { topics: topics.join(","), trace, q, after: this.lastEvent || undefined };
    const source = this.newSource(this.client.url("stream", query));
    this.source = source;
    const listen = <T>(name: string, shape: Shape<T>, act: (event: T, id: number) => void) =>
      source.addEventListener(name, (event) => {
        if (source === this.source) this.take(name, event as MessageEvent, shape, act);
      });
    listen("hello", hello, (event) => {
      this.tries = 0;
      this.connection.value = { state: "live" };
      this.handlers.hello(event);
    });
    listen("traces", changedTraces, this.handlers.traces);
    listen("trace", liveTrace, this.handlers.trace);
    listen("logs", changedLogs, this.handlers.logs);
    listen("running", running, this.handlers.running);
    source.addEventListener("error", () => {
      if (source === this.source) this.lost(source);
    });
  }

  private take<T>(
    name: string,
    event: MessageEvent,
    shape: Shape<T>,
    act: (event: T, id: number) => void,
  ): void {
    const id = /^\d{1,15}$/.test(event.lastEventId) ? Number(event.lastEventId) : 0;
    let checked: T;
    try {
      const data = String(event.data);
      checked = shape(name === "logs" ? parseExact(data) : JSON.parse(data), name);
    } catch (error) {
      if (!(error instanceof DataError || error instanceof SyntaxError)) throw error;
      this.handlers.problem(`An event of the server cannot be shown: ${error.message}.`);
      return;
    }
    if (id > 0) this.lastEvent = id;
    act(checked, id);
  }

  private lost(source: Source): void {
    if (source.readyState !== CLOSED) {
      this.connection.value = { state: "away", retryAt: Date.now() + USUAL_RETRY_MS };
      return;
    }
    const wait = Math.min(1000 * 2 ** this.tries, MOST_RETRY_MS);
    this.tries += 1;
    this.connection.value = { state: "away", retryAt: Date.now() + wait };
    this.close();
    this.timer = setTimeout(() => this.connect(), wait);
  }
}
