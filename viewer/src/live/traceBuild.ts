/** Makes the trace that the views show of spans as they are stored: tree, self times, critical paths. */

import type { LogEntry, PathEntry, SpanColumns } from "../data/contract";
import { criticalPath, pathRoots, timed } from "../model/criticalPath";
import { type Tree, type TreeSpan, treeOf } from "../model/forest";
import { MISSING, type Process, Trace } from "../model/trace";
import { selfTimes } from "./selfTimes";

/** A span as it arrived; texts and process are numbers in the lists of the trace, -1 for none. */
export interface LiveSpan extends TreeSpan {
  until: number;
  name: number;
  state: number;
  kind: number;
  process: number;
  line: number;
  error: number;
  file: number;
  function: number;
  where: number;
  cause: number;
  thread: number;
  task: number;
}

export interface StoredLog {
  span: string;
  time: number;
  level: number;
  text: number;
  attributes: number;
}

export interface Stored {
  traceId: string;
  note: string;
  leftOut: number;
  strings: string[];
  processes: Process[];
  spans: Iterable<LiveSpan>;
  logs: StoredLog[];
}

/** How many paths are found between two pauses. */
const PATHS_AT_ONCE = 500;

/**
 * Yields where the page may draw; returns the trace.
 *
 * If `isEarly` is set, it also yields the trace without its critical paths, as soon as it is there.
 */
export function* traceSteps(stored: Stored, isEarly = false): Generator<Trace | null, Trace> {
  const tree = treeOf(stored.spans);
  yield null;
  const columns = columnsOf(tree);
  yield null;
  const spans = timed({
    parent: tree.parent,
    firstChild: tree.firstChild,
    nextSibling: tree.nextSibling,
    start: tree.start,
    end: columns.end,
    seen: tree.spans.map((span) => span?.until ?? Number.NEGATIVE_INFINITY),
    state: columns.state,
    kind: columns.kind,
    process: columns.process,
    lineage: lineages(tree),
  });
  columns.until = [...spans.until];
  columns.self = selfTimes(spans);
  yield null;
  const paths: PathEntry[] = [];
  const entry = {
    trace_id: stored.traceId,
    note: stored.note,
    left_out: stored.leftOut,
    spans: columns,
    paths,
    logs: logsOf(stored.logs, tree.ids),
    details: "",
  };
  if (isEarly) yield new Trace({ ...entry, paths: [] }, stored.strings, stored.processes);

  for (const root of pathRoots(spans)) {
    paths.push(criticalPath(spans, root));
    if (paths.length % PATHS_AT_ONCE === 0) yield null;
  }
  yield null;
  return new Trace(entry, stored.strings, stored.processes);
}

/** Returns logs in the order of time, with the numbers of their spans. */
function logsOf(stored: StoredLog[], ids: string[]): LogEntry[] {
  const wanted = new Set(stored.map((log) => log.span));
  const places = new Map<string, number>();
  if (wanted.size > 0) {
    ids.forEach((id, place) => {
      if (wanted.has(id)) places.set(id, place);
    });
  }
  const logs = stored.map(({ span, time, level, text, attributes }): LogEntry => {
    return [places.get(span) ?? -1, time, level, text, attributes];
  });
  return logs.sort((one, other) => one[1] - other[1]);
}

function columnsOf(tree: Tree<LiveSpan>): SpanColumns {
  const count = tree.ids.length;
  const column = (key: Exclude<keyof LiveSpan, "id" | "parent" | "end">, missing = -1) => {
    const found = new Array<number>(count);
    for (let at = 0; at < count; at++) {
      const span = tree.spans[at];
      found[at] = span ? span[key] : missing;
    }
    return found;
  };
  return {
    id: tree.ids,
    parent: [...tree.parent],
    name: column("name"),
    state: column("state", MISSING),
    kind: column("kind", 0),
    process: column("process"),
    start: [...tree.start],
    end: tree.spans.map((span) => span?.end ?? null),
    until: [],
    self: [],
    error: column("error"),
    file: column("file"),
    line: column("line", 0),
    function: column("function"),
    where: column("where"),
    cause: column("cause"),
    thread: column("thread"),
    task: column("task"),
  };
}

/** Returns a number for each process with thread and task, in which spans run one after another. */
function lineages(tree: Tree<LiveSpan>): Int32Array {
  const numbers = new Map<string, number>();
  const found = new Int32Array(tree.ids.length);
  let last: LiveSpan | null | undefined;
  let number = 0;
  tree.spans.forEach((span, at) => {
    // Mostly the same as the one before, which is found out without making a text.
    const isSame =
      span?.process === last?.process && span?.thread === last?.thread && span?.task === last?.task;
    if (!isSame || at === 0) {
      const key = span ? `${span.process} ${span.thread} ${span.task}` : "";
      number = numbers.get(key) ?? numbers.size;
      numbers.set(key, number);
    }
    last = span;
    found[at] = number;
  });
  return found;
}
