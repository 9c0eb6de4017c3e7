/**
 * The data that the viewer shows: what `otel-ext report` and the server write.
 *
 * Every text stands once in `strings`; other lists hold indexes into it. Times are nanoseconds
 * relative to `base_ns`, so that they fit into a number exactly.
 */

export const FORMAT = "otel-ext-traces";
export const VERSION = 1;

/**
 * The states of a span. `open`: it has no end, and nothing is known of its process, so that it may
 * run or not; `missing`: named as a parent, but there is no record of it.
 */
export const STATES = [
  "running",
  "stalled",
  "blocked",
  "hung",
  "lost",
  "open",
  "abandoned",
  "error",
  "cancelled",
  "ended",
  "missing",
] as const;
export type State = (typeof STATES)[number];

export const KINDS = ["internal", "server", "client", "producer", "consumer"] as const;
export type Kind = (typeof KINDS)[number];

/** What is known of a process when the document is written; a report has the first three. */
export const PROCESS_STATES = ["unknown", "alive", "lost", "hung", "ended"] as const;
export type ProcessState = (typeof PROCESS_STATES)[number];

/** A JSON value of an attribute; a `bigint` where a number cannot hold it exactly. */
export type Json = null | boolean | number | bigint | string | Json[] | { [key: string]: Json };
export type Attributes = { [key: string]: Json };

export interface TracesDocument {
  format: typeof FORMAT;
  version: typeof VERSION;
  /** Nanoseconds since the epoch, as text because a number cannot hold them exactly. */
  base_ns: string;
  /** The writer's clock while live; null in a report. */
  now_ns: number | null;
  /** When the document was written. */
  written_ns: number;
  /** The offset of the host's local time, such as `+02:00`. */
  zone: string;
  /** What the reader should know of all traces, such as: some are left out. */
  note: string;
  strings: string[];
  processes: ProcessEntry[];
  traces: TraceEntry[];
  /** Base64 of gzip of a JSON list of `SpanDetails`, one entry a span. */
  chunks: { [name: string]: string };
}

/** A process; id, label and service are indexes of strings. */
export interface ProcessEntry {
  id: number;
  label: number;
  service: number;
  state: ProcessState;
}

export interface TraceEntry {
  /** 32 hexadecimal digits. */
  trace_id: string;
  /** What the reader should know, such as: other processes use the same ids. */
  note: string;
  /** How many spans the writer left out; times and paths count them. */
  left_out: number;
  spans: SpanColumns;
  paths: PathEntry[];
  logs: LogEntry[];
  /** The chunk in which attributes, events and links of the spans are. */
  details: string;
}

/** Spans by column; a span is its index. Parents come before children, siblings by start. */
export interface SpanColumns {
  id: string[];
  /** Index of the parent, -1 for a root. */
  parent: number[];
  name: number[];
  /** Index of `STATES`. */
  state: number[];
  /** Index of `KINDS`. */
  kind: number[];
  /** Index of `processes`, or -1 for a missing span. */
  process: number[];
  start: number[];
  /** Null while the span is open. */
  end: (number | null)[];
  /** Up to when a bar is drawn: the end, or as far as an open span is known. */
  until: number[];
  /** The span's own time, without that of its children. */
  self: number[];
  /** Index of a string, or -1. */
  error: number[];
  file: number[];
  line: number[];
  function: number[];
  /** Where an open span is now, as `file:line function`: index of a string, or -1. */
  where: number[];
  /** Why a span is abandoned: index of a string, or -1. */
  cause: number[];
  /** Where it runs: indexes of strings, or -1; not in a report. */
  thread?: number[];
  task?: number[];
}

/** The critical path below one root. */
export interface PathEntry {
  root: number;
  /** Whether the path may still grow, because its root is open. */
  lower_bound: boolean;
  /** Span, start, end, span that runs beside it or -1, and whether it is inferred (0 or 1). */
  segments: [number, number, number, number, number][];
}

/** Span or -1, time, and indexes of strings: level, text, attributes as JSON or -1. */
export type LogEntry = [number, number, number, number, number];

/** What is read when it is first needed; null for a span without any. */
export type SpanDetails = {
  attributes?: Attributes;
  events?: { name: string; time: number | bigint; attributes?: Attributes }[];
  links?: { trace_id: string; span_id: string; attributes?: Attributes }[];
  /** The whole record, and the spans that link to this one; only from a server. */
  record?: Attributes;
  linked_from?: { trace_id: string; span_id: string }[];
} | null;
