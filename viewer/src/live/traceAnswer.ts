/** The spans of one trace that changed, as the server answers them, by column. */

import { list } from "../data/checks";
import { KINDS, STATES } from "../data/contract";
import { count, number, type Of, object, optional, type Shape, text, wrong } from "./shape";

export const FORMAT = "otel-ext-live-trace";
export const VERSION = 1;

/** What is known of a process; a newer word counts as unknown. */
export const PROCESS_WORDS = ["unknown", "alive", "hung", "lost", "ended"] as const;

/** Spans by column; indexes lead into the texts and processes of the same answer. */
export interface LiveColumns {
  id: string[];
  /** The parent's id; empty for a root. */
  parent: string[];
  name: number[];
  state: number[];
  kind: number[];
  process: number[];
  start: number[];
  end: (number | null)[];
  /** The end, or up to when an open span is known. */
  until: number[];
  error: number[];
  file: number[];
  line: number[];
  function: number[];
  where: number[];
  cause: number[];
  thread: number[];
  task: number[];
}

/** Span id or empty, time, indexes of level, text and attributes as JSON or -1, the log's id. */
export type LiveLog = [string, number, number, number, number, string];

const head = object({
  format: text,
  version: number,
  trace_id: text,
  sequence: count,
  base_ns: text,
  now_ns: number,
  zone: optional(text, "+00:00"),
  note: optional(text, ""),
  total: count,
  left_out: optional(count, 0),
});

export interface LiveProcess {
  id: number;
  label: number;
  service: number;
  state: (typeof PROCESS_WORDS)[number];
}

export interface LiveTraceAnswer extends Of<typeof head> {
  strings: string[];
  processes: LiveProcess[];
  spans: LiveColumns;
  logs: LiveLog[];
}

const OPTIONAL_TEXTS = ["error", "file", "function", "where", "cause", "thread", "task"] as const;

/** Checks an answer: all columns of one length, every index leads somewhere. */
export const liveTrace: Shape<LiveTraceAnswer> = (value, where) => {
  const checked = head(value, where);
  if (checked.format !== FORMAT) throw wrong(`${where}.format`, `not ${FORMAT}`);
  if (checked.version !== VERSION) throw wrong(`${where}.version`, `not ${VERSION}`);
  if (!/^-?\d{1,30}$/.test(checked.base_ns)) throw wrong(`${where}.base_ns`, "not a time");
  const given = value as { [name: string]: unknown };
  const strings = list(given.strings as unknown[], `${where}.strings`).map(String);
  const processes = list(given.processes as unknown[], `${where}.processes`).map((one, at) =>
    processOf(one, `${where}.processes[${at}]`, strings.length),
  );
  const spans = columns(given.spans, `${where}.spans`, strings.length, processes.length);
  const logs = list(given.logs as unknown[], `${where}.logs`);
  logs.forEach((one, at) => {
    if (!isLog(one, strings.length)) throw wrong(`${where}.logs[${at}]`, "not a log");
  });
  return { ...checked, strings, processes, spans, logs: logs as LiveLog[] };
};

function processOf(value: unknown, where: string, strings: number): LiveProcess {
  if (typeof value !== "object" || value === null) throw wrong(where, "not an object");
  const given = value as LiveProcess;
  for (const key of ["id", "label", "service"] as const) {
    if (!whole(given[key], 0, strings)) throw wrong(`${where}.${key}`, "out of range");
  }
  const { id, label, service } = given;
  const state = PROCESS_WORDS.includes(given.state) ? given.state : "unknown";
  return { id, label, service, state };
}

function columns(value: unknown, where: string, strings: number, processes: number): LiveColumns {
  if (typeof value !== "object" || value === null) throw wrong(where, "not an object");
  const spans = value as LiveColumns;
  const { length } = list(spans.id, `${where}.id`);
  const column = <T>(key: keyof LiveColumns, isRight: (value: T) => boolean) => {
    const values = list(spans[key] as T[], `${where}.${key}`);
    if (values.length !== length) throw wrong(`${where}.${key}`, `not of ${length} values`);
    const at = values.findIndex((one) => !isRight(one));
    if (at >= 0) throw wrong(`${where}.${key}[${at}]`, "out of range");
  };
  column("id", (one) => typeof one === "string" && one !== "");
  column("parent", (one) => typeof one === "string");
  column("state", (one) => whole(one, 0, STATES.length));
  column("kind", (one) => whole(one, 0, KINDS.length));
  column("process", (one) => whole(one, 0, processes));
  column("line", Number.isFinite);
  column("start", Number.isFinite);
  column("until", Number.isFinite);
  column("end", (one) => one === null || Number.isFinite(one));
  column("name", (one) => whole(one, 0, strings));
  for (const key of OPTIONAL_TEXTS) column(key, (one) => whole(one, -1, strings));
  return spans;
}

function isLog(value: unknown, strings: number): boolean {
  return (
    Array.isArray(value) &&
    typeof value[0] === "string" &&
    Number.isFinite(value[1]) &&
    whole(value[2], 0, strings) &&
    whole(value[3], 0, strings) &&
    whole(value[4], -1, strings) &&
    typeof value[5] === "string"
  );
}

/** Whether a value is a whole number from `low` to below `high`. */
function whole(value: unknown, low: number, high: number): boolean {
  return Number.isInteger(value) && (value as number) >= low && (value as number) < high;
}
