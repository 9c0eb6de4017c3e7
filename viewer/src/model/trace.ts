/** `Trace`: the spans of one trace as columns, with the tree that they form. */

import {
  KINDS,
  type LogEntry,
  type PathEntry,
  type ProcessState,
  STATES,
  type State,
  type TraceEntry,
} from "../data/contract";
import { worstOf } from "./states";

export const ENDED = STATES.indexOf("ended");
export const ERROR = STATES.indexOf("error");
export const MISSING = STATES.indexOf("missing");

/** The states of spans whose process is alive. */
const GOING_ON: ReadonlySet<number> = new Set(
  (["running", "stalled", "blocked", "hung"] as const).map((state) => STATES.indexOf(state)),
);

export interface Process {
  id: string;
  label: string;
  service: string;
  state: ProcessState;
}

/** The process of a span that nothing is known of, such as a missing parent. */
const UNKNOWN_PROCESS: Process = {
  id: "",
  label: "unknown process",
  service: "",
  state: "unknown",
};

/** A log, with its texts. */
export interface Log {
  span: number;
  time: number;
  level: string;
  text: string;
  attributes: string;
}

export class Trace {
  readonly id: string;
  readonly note: string;
  readonly leftOut: number;
  readonly details: string;
  readonly count: number;
  readonly ids: string[];
  readonly parent: Int32Array;
  readonly state: Uint8Array;
  readonly process: Int32Array;
  readonly start: Float64Array;
  readonly until: Float64Array;
  readonly self: Float64Array;
  /** Children, as linked lists: the first child of a span, the next sibling; -1 at the end. */
  readonly firstChild: Int32Array;
  readonly nextSibling: Int32Array;
  readonly depth: Int32Array;
  /** How many spans are below a span. */
  readonly below: Int32Array;
  /** The latest known time of a span and all below it. */
  readonly untilBelow: Float64Array;
  /** 1 where the span or one below it is in another state than ended. */
  readonly trouble: Uint8Array;
  readonly roots: number[] = [];
  /** How many spans are in each state, by the numbers of `STATES`. */
  readonly counts = new Uint32Array(STATES.length);
  /** The worst state of its spans. */
  readonly worst: State;
  /** Whether one of its recorded spans has no end. */
  readonly hasOpen: boolean;
  /** Whether one of its spans goes on, so that the trace lasts until now. */
  readonly goesOn: boolean;
  readonly paths: PathEntry[];
  readonly logs: Log[];
  /** The first start and the last known time. */
  readonly from: number;
  readonly to: number;
  private readonly spans: TraceEntry["spans"];

  /** Expects an entry that `decode` has checked. */
  constructor(
    entry: TraceEntry,
    private readonly strings: string[],
    readonly processes: Process[],
  ) {
    const { spans } = entry;
    this.spans = spans;
    this.id = String(entry.trace_id);
    this.note = String(entry.note ?? "");
    this.leftOut = Number(entry.left_out) || 0;
    this.details = String(entry.details ?? "");
    this.count = spans.id.length;
    this.ids = spans.id.map(String);
    this.parent = new Int32Array(spans.parent);
    this.state = new Uint8Array(spans.state);
    this.process = new Int32Array(spans.process);
    this.start = new Float64Array(spans.start);
    this.until = new Float64Array(spans.until);
    for (let span = 0; span < this.count; span++)
      this.until[span] = Math.max(at1(this.until, span), at1(this.start, span));
    this.self = new Float64Array(spans.self);
    this.untilBelow = new Float64Array(this.until);
    this.firstChild = new Int32Array(this.count).fill(-1);
    this.nextSibling = new Int32Array(this.count).fill(-1);
    this.depth = new Int32Array(this.count);
    this.below = new Int32Array(this.count);
    this.trouble = new Uint8Array(this.count);
    this.link();
    for (const state of this.state) this.counts[state] = at1(this.counts, state) + 1;
    this.worst = worstOf(this.counts);
    this.hasOpen = spans.end.some((end, span) => end === null && this.state[span] !== MISSING);
    this.goesOn = this.state.some((state) => GOING_ON.has(state));
    this.paths = entry.paths;
    this.logs = this.logsOf(entry.logs);
    this.from = this.start.reduce((least, one) => Math.min(least, one), Number.POSITIVE_INFINITY);
    this.to = this.until.reduce((most, one) => Math.max(most, one), Number.NEGATIVE_INFINITY);
    if (this.count === 0) {
      this.from = 0;
      this.to = 0;
    }
  }

  name(span: number): string {
    const name = this.text(this.spans.name[span]);
    return name || (this.state[span] === MISSING ? "(missing)" : "(no name)");
  }

  stateOf(span: number): State {
    return STATES[at1(this.state, span)] ?? "ended";
  }

  /** The columns that tell which spans waited for which. */
  get columns() {
    const { start, until, process, state } = this;
    return { start, until, end: this.spans.end, kind: this.spans.kind, process, state };
  }

  kind(span: number): string {
    return KINDS[at1(this.spans.kind, span)] ?? "internal";
  }

  processOf(span: number): Process {
    return this.processes[at1(this.process, span)] ?? UNKNOWN_PROCESS;
  }

  service(span: number): string {
    return this.processOf(span).service;
  }

  error(span: number): string {
    return this.text(this.spans.error[span]);
  }

  cause(span: number): string {
    return this.text(this.spans.cause[span]);
  }

  thread(span: number): string {
    return this.text(this.spans.thread?.[span]);
  }

  task(span: number): string {
    return this.text(this.spans.task?.[span]);
  }

  functionOf(span: number): string {
    return this.text(this.spans.function[span]);
  }

  /** Returns where an open span is now, as `file:line function`; empty if that is not known. */
  where(span: number): string {
    return this.text(this.spans.where[span]);
  }

  /** Returns where a span was opened as `file:line`, or nothing if the place is not known. */
  place(span: number): string {
    const file = this.text(this.spans.file[span]);
    const line = at1(this.spans.line, span);
    return file && line > 0 ? `${file}:${line}` : file;
  }

  /** Whether a span goes on, so that it lasts until now: it is open, and so is its process. */
  isGoingOn(span: number): boolean {
    return GOING_ON.has(at1(this.state, span));
  }

  isOpen(span: number): boolean {
    return this.spans.end[span] === null;
  }

  duration(span: number): number {
    return at1(this.until, span) - at1(this.start, span);
  }

  /** Returns the children of a span, or the roots for -1, in order. */
  children(span: number): number[] {
    if (span < 0) return this.roots;
    const found: number[] = [];
    let child = at1(this.firstChild, span);
    while (child >= 0) {
      found.push(child);
      child = at1(this.nextSibling, child);
    }
    return found;
  }

  nameIndex(span: number): number {
    return at1(this.spans.name, span);
  }

  private text(index: number | undefined): string {
    return index === undefined || index < 0 ? "" : (this.strings[index] ?? "");
  }

  private link(): void {
    for (let span = this.count - 1; span >= 0; span--) {
      const parent = at1(this.parent, span);
      if (at1(this.state, span) !== ENDED) this.trouble[span] = 1;
      if (parent < 0) {
        this.roots.push(span);
        continue;
      }
      this.nextSibling[span] = at1(this.firstChild, parent);
      this.firstChild[parent] = span;
      this.untilBelow[parent] = Math.max(at1(this.untilBelow, parent), at1(this.untilBelow, span));
      this.below[parent] = at1(this.below, parent) + at1(this.below, span) + 1;
      if (this.trouble[span]) this.trouble[parent] = 1;
    }
    this.roots.reverse();
    for (let span = 0; span < this.count; span++) {
      const parent = at1(this.parent, span);
      this.depth[span] = parent < 0 ? 0 : at1(this.depth, parent) + 1;
    }
  }

  private logsOf(entries: LogEntry[]): Log[] {
    return entries.map(([span, time, level, text, attributes]) => ({
      span,
      time,
      level: this.text(level),
      text: this.text(text),
      attributes: this.text(attributes),
    }));
  }
}

/** Returns a value of a list whose index is known to exist. */
export function at1(values: ArrayLike<number>, index: number): number {
  return values[index] as number;
}
