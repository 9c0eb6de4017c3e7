/** Checks the columns of a document: lengths, numbers, and indexes that lead somewhere. */

import {
  KINDS,
  type LogEntry,
  type PathEntry,
  PROCESS_STATES,
  type ProcessEntry,
  STATES,
  type TraceEntry,
} from "./contract";

/** The document is not one that the viewer can show. */
export class DataError extends Error {}

/** How many texts and processes a document has. */
export interface Counts {
  strings: number;
  processes: number;
}

const INDEXES = ["name", "file", "function", "error", "cause", "where"] as const;
const TIMES = ["start", "until", "self"] as const;

export function list<T>(value: T[] | undefined, where: string): T[] {
  if (!Array.isArray(value)) throw new DataError(`${where} is not a list`);
  return value;
}

export function checkProcess(entry: ProcessEntry, where: string, strings: number): void {
  object(entry, where);
  for (const key of ["id", "label", "service"] as const)
    check(whole(entry[key], 0, strings), `${where}.${key}`);
  check(PROCESS_STATES.includes(entry.state), `${where}.state`);
}

export function checkTrace(entry: TraceEntry, where: string, counts: Counts): void {
  object(entry, where);
  const spans = checkSpans(entry.spans, `${where}.spans`, counts);
  list(entry.paths, `${where}.paths`).forEach((path, at) => {
    checkPath(path, `${where}.paths[${at}]`, spans);
  });
  list(entry.logs, `${where}.logs`).forEach((log, at) => {
    check(isLog(log, spans, counts.strings), `${where}.logs[${at}]`);
  });
}

/** Checks that all columns are of one length and that every index leads somewhere; returns the length. */
function checkSpans(
  spans: TraceEntry["spans"],
  where: string,
  { strings, processes }: Counts,
): number {
  object(spans, where);
  const count = list(spans.id, `${where}.id`).length;
  const column = <T>(key: string, values: T[], isRight: (value: T, at: number) => boolean) => {
    if (list(values, `${where}.${key}`).length !== count)
      throw new DataError(`${where}.${key} has not ${count} values`);
    const wrong = values.findIndex((value, at) => !isRight(value, at));
    check(wrong < 0, `${where}.${key}[${wrong}]`);
  };
  column("id", spans.id, (value) => typeof value === "string");
  column("parent", spans.parent, (value, at) => whole(value, -1, at));
  column("state", spans.state, (value) => whole(value, 0, STATES.length));
  column("kind", spans.kind, (value) => whole(value, 0, KINDS.length));
  column("process", spans.process, (value) => whole(value, -1, processes));
  column("line", spans.line, Number.isFinite);
  for (const key of INDEXES) column(key, spans[key], (value) => whole(value, -1, strings));
  for (const key of TIMES) column(key, spans[key], Number.isFinite);
  column("end", spans.end, (value) => value === null || Number.isFinite(value));
  return count;
}

function checkPath(path: PathEntry, where: string, spans: number): void {
  object(path, where);
  check(whole(path.root, 0, spans), `${where}.root`);
  check(typeof path.lower_bound === "boolean", `${where}.lower_bound`);
  list(path.segments, `${where}.segments`).forEach((segment, at) => {
    const isRight =
      Array.isArray(segment) &&
      whole(segment[0], 0, spans) &&
      Number.isFinite(segment[1]) &&
      Number.isFinite(segment[2]) &&
      whole(segment[3], -1, spans) &&
      whole(segment[4], 0, 2);
    check(isRight, `${where}.segments[${at}]`);
  });
}

function isLog(log: LogEntry, spans: number, strings: number): boolean {
  return (
    Array.isArray(log) &&
    whole(log[0], -1, spans) &&
    Number.isFinite(log[1]) &&
    whole(log[2], 0, strings) &&
    whole(log[3], 0, strings) &&
    whole(log[4], -1, strings)
  );
}

function object(value: unknown, where: string): void {
  if (typeof value !== "object" || value === null) throw new DataError(`${where} is not an object`);
}

function check(isRight: boolean, where: string): void {
  if (!isRight) throw new DataError(`${where} is out of range`);
}

/** Whether a value is a whole number from `low` to below `high`. */
function whole(value: unknown, low: number, high: number): boolean {
  return Number.isInteger(value) && (value as number) >= low && (value as number) < high;
}
