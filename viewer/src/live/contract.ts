/**
 * What the server answers below `/api/v1/`: each answer as a shape, which is both its type and the
 * check of what arrives.
 *
 * Absolute times (`..._ns` of the type `instant`) are nanoseconds since the epoch; durations and
 * ages are numbers of nanoseconds. A `sequence` is the number of the last change that an answer holds.
 */

import { KINDS, STATES } from "../data/contract";
import {
  attributes,
  choice,
  count,
  flag,
  instant,
  listOf,
  nullable,
  number,
  type Of,
  object,
  optional,
  type Shape,
  text,
  traceId,
  wrong,
} from "./shape";

const state = choice(STATES, "open");
const texts = listOf(text);

/** A trace in a list. */
export const summary = object({
  trace_id: traceId,
  start_ns: instant,
  /** Null while a span is open. */
  end_ns: nullable(instant),
  duration_ns: number,
  name: text,
  service: text,
  services: texts,
  state,
  spans: count,
  open: count,
  errors: count,
  abandoned: count,
  stalled: count,
  missing_root: flag,
  repeated: flag,
  matches: optional(texts, []),
  match_count: optional(count, 0),
});
export type Summary = Of<typeof summary>;

export const traceList = object({
  traces: listOf(summary),
  next: nullable(text),
  searched_until_ns: nullable(instant),
  sequence: count,
  now_ns: instant,
});
export type TraceList = Of<typeof traceList>;

export const ORDERS = ["newest", "oldest", "longest", "shortest"] as const;
export type Order = (typeof ORDERS)[number];

export const histogram = object({
  from_ns: instant,
  to_ns: instant,
  width_ns: number,
  traces: listOf(count),
  errors: listOf(count),
  sampled: optional(flag, false),
});
export type Histogram = Of<typeof histogram>;

const link = object({ trace_id: text, span_id: text });

/** One span, with its whole record. */
export const spanDetails = object({
  attributes: optional(attributes, {}),
  events: optional(
    listOf(object({ name: text, time: number, attributes: optional(attributes, {}) })),
    [],
  ),
  links: optional(
    listOf(object({ trace_id: text, span_id: text, attributes: optional(attributes, {}) })),
    [],
  ),
  record: optional(attributes, {}),
  linked_from: optional(listOf(link), []),
});

/** The details of all spans of a trace, by the ids of the spans. */
export const allDetails = object({ details: mapOf(spanDetails) });

export const CONDITIONS = [
  "alive",
  "hung",
  "stopped",
  "blocked",
  "dead",
  "silent",
  "ended",
] as const;
export type Condition = (typeof CONDITIONS)[number];

export const processNow = object({
  id: text,
  label: text,
  service: text,
  pid: nullable(number),
  host: optional(text, ""),
  command: optional(text, ""),
  condition: choice(CONDITIONS, "silent"),
  last_seen_ns: nullable(instant),
  open: count,
  stalled: count,
  dropped: optional(count, 0),
  source: choice(["folder", "received"], "folder"),
});
export type ProcessNow = Of<typeof processNow>;
export const processes = object({ processes: listOf(processNow) });

export const runningSpan = object({
  trace_id: traceId,
  span_id: text,
  parent_span_id: optional(text, ""),
  name: text,
  service: text,
  /** The id of a process. */
  process: text,
  state,
  start_ns: instant,
  age_ns: number,
  /** Where it is now, as `app.py:41 wait`. */
  where: optional(text, ""),
  opened_at: optional(text, ""),
  root: flag,
  thread: optional(text, ""),
  task: optional(text, ""),
  depth: count,
});
export type RunningSpan = Of<typeof runningSpan>;

/** An agent that a program has registered. */
export const registeredAgent = object({
  id: text,
  /** The id of its process. */
  process: text,
  state: choice(["idle", ...STATES], "idle"),
  recorded_ns: instant,
  age_ns: number,
  attributes: optional(attributes, {}),
  /** The newest open span of its thread or task; empty if it has none. */
  trace_id: text,
  span_id: text,
  span: text,
  span_age_ns: number,
});
export type RegisteredAgent = Of<typeof registeredAgent>;

export const running = object({
  now_ns: instant,
  sequence: count,
  spans: listOf(runningSpan),
  total: count,
  processes: listOf(processNow),
  agents: optional(listOf(registeredAgent), []),
  agents_total: optional(count, 0),
});
export type Running = Of<typeof running>;

const bucket: Shape<[number, number]> = (value, where) => {
  if (!Array.isArray(value)) throw wrong(where, "not a pair");
  return [number(value[0], `${where}[0]`), count(value[1], `${where}[1]`)];
};

export const operation = object({
  service: text,
  name: text,
  kind: choice(KINDS, "internal"),
  count,
  errors: count,
  open: count,
  p50_ns: nullable(number),
  p95_ns: nullable(number),
  p99_ns: nullable(number),
  max_ns: nullable(number),
  total_ns: number,
  last: nullable(text),
  /** Upper end in nanoseconds, and how many. */
  buckets: listOf(bucket),
});
export type OperationNow = Of<typeof operation>;
export const operations = object({
  from_ns: instant,
  to_ns: instant,
  operations: listOf(operation),
});

export const errorGroup = object({
  type: text,
  text,
  service: text,
  name: text,
  place: optional(text, ""),
  count,
  first_ns: instant,
  last_ns: instant,
  trace_id: traceId,
  span_id: text,
});
export type ErrorGroupNow = Of<typeof errorGroup>;
export const errors = object({ errors: listOf(errorGroup) });

export const log = object({
  id: text,
  time_ns: instant,
  level: text,
  text,
  attributes: optional(attributes, {}),
  trace_id: optional(text, ""),
  span_id: optional(text, ""),
  service: optional(text, ""),
  process: optional(text, ""),
  kind: choice(["log", "event"], "log"),
});
export type LogNow = Of<typeof log>;
export const logs = object({ logs: listOf(log), next: nullable(text) });
export type LogList = Of<typeof logs>;

export const completion = object({
  words: listOf(object({ text, count: optional(count, 0) })),
});

export const info = object({
  version: text,
  folder: optional(text, ""),
  listening: optional(
    object({ otlp_http: nullable(text), otlp_grpc: nullable(text), ui: nullable(text) }),
    { otlp_http: null, otlp_grpc: null, ui: null },
  ),
  editor: nullable(object({ scheme: text, roots: texts })),
  traces: count,
  spans: count,
  since_ns: nullable(instant),
});
export type Info = Of<typeof info>;

export const hello = object({ sequence: count, now_ns: instant, info });
export type Hello = Of<typeof hello>;

export const changedTraces = object({
  traces: listOf(summary),
  /** Whether more traces changed than the event holds. */
  more: optional(flag, false),
});
export type ChangedTraces = Of<typeof changedTraces>;
export const changedLogs = object({
  logs: listOf(log),
  /** Whether more logs came than the event holds. */
  more: optional(flag, false),
});
export type ChangedLogs = Of<typeof changedLogs>;

const statistics = nullable(object({ calls: count, self_ns: number }));
/** Two traces by operation, as `otel-ext diff --json`. */
export const comparison = object({
  self_ns: number,
  differences: listOf(
    object({
      service: nullable(text),
      name: text,
      change: text,
      before: statistics,
      after: statistics,
      self_ns: number,
      share: number,
    }),
  ),
});
export type Comparison = Of<typeof comparison>;

/** The form of an error. */
export const failure = object({
  error: object({ message: text, hint: optional(text, ""), at: nullable(number) }),
});

function mapOf<T>(shape: Shape<T>): Shape<Map<string, T>> {
  return (value, where) =>
    new Map(
      Object.entries(attributes(value, where)).map(([key, one]) => [
        key,
        shape(one, `${where}.${key}`),
      ]),
    );
}

/** What became of lines of records that were sent. */
export const received = object({ accepted: count, rejected: count, reasons: text });
