/** `Held`: what arrives while the page is paused, merged as far as it can be. */

import { signal } from "@preact/signals";
import type { ChangedLogs, ChangedTraces, LogNow, Running, Summary } from "../live/contract";
import type { LiveTraceAnswer } from "../live/traceAnswer";

/** What models do with changes. */
export interface Changes {
  traces: (event: ChangedTraces, sequence: number) => void;
  trace: (answer: LiveTraceAnswer) => void;
  logs: (event: ChangedLogs) => void;
  running: (running: Running) => void;
}

const MOST_LOGS = 5_000;

export class Held implements Changes {
  /** How many changes wait, by what they are of. */
  readonly counts = signal({ traces: 0, trace: 0, logs: 0, running: 0 });
  private summaries = new Map<string, Summary>();
  private hasMore = false;
  private sequence = 0;
  private answers: LiveTraceAnswer[] = [];
  private spans = new Set<string>();
  private newLogs: LogNow[] = [];
  private hasMoreLogs = false;
  private last: Running | null = null;

  traces({ traces, more }: ChangedTraces, sequence: number): void {
    for (const one of traces) this.summaries.set(one.trace_id, one);
    this.hasMore ||= more;
    this.sequence = sequence;
    this.counts.value = { ...this.counts.value, traces: this.summaries.size };
  }

  trace(answer: LiveTraceAnswer): void {
    this.answers.push(answer);
    for (const id of answer.spans.id) this.spans.add(id);
    this.counts.value = { ...this.counts.value, trace: this.spans.size };
  }

  logs({ logs, more }: ChangedLogs): void {
    const all = [...this.newLogs, ...logs];
    this.newLogs = all.slice(-MOST_LOGS);
    this.hasMoreLogs ||= more || all.length > MOST_LOGS;
    this.counts.value = { ...this.counts.value, logs: this.newLogs.length };
  }

  running(running: Running): void {
    this.last = running;
    this.counts.value = { ...this.counts.value, running: this.counts.value.running + 1 };
  }

  /** Hands on what waits, and forgets it. */
  release(to: Changes): void {
    if (this.summaries.size > 0 || this.hasMore)
      to.traces({ traces: [...this.summaries.values()], more: this.hasMore }, this.sequence);
    for (const answer of this.answers) to.trace(answer);
    if (this.newLogs.length > 0) to.logs({ logs: this.newLogs, more: this.hasMoreLogs });
    if (this.last) to.running(this.last);
    this.forget();
  }

  forget(): void {
    this.summaries = new Map();
    this.hasMore = false;
    this.answers = [];
    this.spans = new Set();
    this.newLogs = [];
    this.hasMoreLogs = false;
    this.last = null;
    this.counts.value = { traces: 0, trace: 0, logs: 0, running: 0 };
  }
}
