/** Spans and logs in memory, numbered by one sequence, as the server's store has them. */

import type { Attributes, Kind, SpanDetails, State } from "../../src/data/contract";

export interface StoredSpan {
  trace: string;
  id: string;
  parent: string;
  name: string;
  state: State;
  kind: Kind;
  process: string;
  /** Nanoseconds since the epoch, as numbers relative to the start of the demo. */
  start: number;
  end: number | null;
  error?: string;
  place?: string;
  where?: string;
  cause?: string;
  thread?: string;
  task?: string;
  details: NonNullable<SpanDetails>;
  sequence: number;
}

export interface StoredLog {
  id: string;
  trace: string;
  span: string;
  process: string;
  time: number;
  level: string;
  text: string;
  attributes: Attributes;
  sequence: number;
}

export type Condition = "alive" | "hung" | "dead" | "ended";

export interface StoredProcess {
  id: string;
  label: string;
  service: string;
  pid: number;
  condition: Condition;
  lastSeen: number;
}

export class Store {
  sequence = 1;
  readonly base = BigInt(Date.now()) * 1_000_000n;
  readonly traces = new Map<string, Map<string, StoredSpan>>();
  readonly traceSequence = new Map<string, number>();
  readonly logs: StoredLog[] = [];
  readonly processes = new Map<string, StoredProcess>();
  runningSequence = 1;

  /** Returns the time now, relative to the start of the demo. */
  now(): number {
    return Number(BigInt(Date.now()) * 1_000_000n - this.base);
  }

  put(span: Omit<StoredSpan, "sequence">): StoredSpan {
    this.sequence += 1;
    const stored = { ...span, sequence: this.sequence };
    const spans = this.traces.get(span.trace) ?? new Map<string, StoredSpan>();
    spans.set(span.id, stored);
    this.traces.set(span.trace, spans);
    this.traceSequence.set(span.trace, this.sequence);
    this.runningSequence = this.sequence;
    return stored;
  }

  log(log: Omit<StoredLog, "sequence" | "id">): void {
    this.sequence += 1;
    this.logs.push({ ...log, id: String(this.sequence), sequence: this.sequence });
    if (log.trace) this.traceSequence.set(log.trace, this.sequence);
  }

  open(): StoredSpan[] {
    const found: StoredSpan[] = [];
    for (const spans of this.traces.values()) {
      for (const span of spans.values()) if (span.end === null) found.push(span);
    }
    return found.sort((one, other) => one.start - other.start);
  }
}
