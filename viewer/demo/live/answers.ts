/** Answers of the demo server from its store, in the form of the API. */

import { KINDS, STATES } from "../../src/data/contract";
import type { LiveTraceAnswer } from "../../src/live/traceAnswer";
import { worstOf } from "../../src/model/states";
import type { Store, StoredLog, StoredProcess, StoredSpan } from "./store";

export const ns = (store: Store, relative: number) =>
  String(store.base + BigInt(Math.round(relative)));

export function summaryOf(store: Store, trace: string) {
  const spans = [...(store.traces.get(trace)?.values() ?? [])];
  const roots = spans.filter((span) => !span.parent);
  const root = roots[0] ?? spans[0];
  const start = spans.reduce((least, span) => Math.min(least, span.start), Infinity);
  const open = spans.filter((span) => span.end === null);
  const last = spans.reduce((most, span) => Math.max(most, span.end ?? span.start), 0);
  const to = spans.reduce((most, span) => Math.max(most, span.end ?? span.start), -Infinity);
  const end = open.length > 0 ? Math.max(store.now(), last) : to;
  const counts = STATES.map((state) => spans.filter((span) => span.state === state).length);
  const count = (state: (typeof STATES)[number]) => counts[STATES.indexOf(state)] ?? 0;
  const services = [...new Set(spans.map((span) => serviceOf(store, span.process)))];
  return {
    trace_id: trace,
    start_ns: ns(store, start),
    end_ns: open.length > 0 ? null : ns(store, to),
    duration_ns: end - start,
    name: root?.name ?? "",
    service: serviceOf(store, root?.process ?? ""),
    services: services.slice(0, 8),
    state: worstOf(counts),
    spans: spans.length,
    open: open.length,
    errors: count("error"),
    abandoned: count("abandoned"),
    stalled: count("stalled"),
    missing_root: roots.length === 0,
    repeated: false,
  };
}

export type Summary = ReturnType<typeof summaryOf>;

export function liveTraceOf(store: Store, trace: string, after: number): LiveTraceAnswer {
  const all = store.traces.get(trace) ?? new Map<string, StoredSpan>();
  const spans = [...all.values()].filter((span) => span.sequence > after);
  const logs = store.logs.filter((log) => log.trace === trace && log.sequence > after);
  const numbers = new Map<string, number>();
  const text = (one: string) => {
    const number = numbers.get(one) ?? numbers.size;
    numbers.set(one, number);
    return number;
  };
  const optional = (one: string | undefined) => (one ? text(one) : -1);
  const ids = [...new Set(spans.map((span) => span.process))];
  const processNumbers = new Map(ids.map((id, at) => [id, at]));
  const processes = ids.map((id) => {
    const process = store.processes.get(id);
    const state = { alive: "alive", hung: "hung", dead: "lost", ended: "ended" } as const;
    return {
      id: text(id),
      label: text(process?.label ?? id),
      service: text(process?.service ?? ""),
      state: state[process?.condition ?? "ended"],
    };
  });
  const placeOf = (span: StoredSpan) => /^(.*):(\d+) (.*)$/.exec(span.place ?? "") ?? [];
  const known = (span: StoredSpan) => {
    const process = store.processes.get(span.process);
    return process?.condition === "alive" ? store.now() : (process?.lastSeen ?? span.start);
  };
  return {
    format: "otel-ext-live-trace",
    version: 1,
    trace_id: trace,
    sequence: store.sequence,
    base_ns: String(store.base),
    now_ns: store.now(),
    zone: "+00:00",
    note: "",
    processes,
    total: all.size,
    left_out: 0,
    spans: {
      id: spans.map((span) => span.id),
      parent: spans.map((span) => span.parent),
      name: spans.map((span) => text(span.name)),
      state: spans.map((span) => STATES.indexOf(span.state)),
      kind: spans.map((span) => KINDS.indexOf(span.kind)),
      process: spans.map((span) => processNumbers.get(span.process) ?? 0),
      start: spans.map((span) => span.start),
      end: spans.map((span) => span.end),
      until: spans.map((span) => Math.max(span.end ?? known(span), span.start)),
      error: spans.map((span) => optional(span.error)),
      file: spans.map((span) => optional(placeOf(span)[1])),
      line: spans.map((span) => Number(placeOf(span)[2] ?? 0)),
      function: spans.map((span) => optional(placeOf(span)[3])),
      where: spans.map((span) => optional(span.where)),
      cause: spans.map((span) => optional(span.cause)),
      thread: spans.map((span) => optional(span.thread)),
      task: spans.map((span) => optional(span.task)),
    },
    logs: logs.map((log) => [
      log.span,
      log.time,
      text(log.level),
      text(log.text),
      text(JSON.stringify(log.attributes)),
      log.id,
    ]),
    strings: [...numbers.keys()],
  };
}

export function runningOf(store: Store) {
  const open = store.open();
  const now = store.now();
  return {
    now_ns: ns(store, now),
    sequence: store.runningSequence,
    total: open.length,
    spans: open.slice(0, 1000).map((span) => {
      const process = store.processes.get(span.process);
      const until = process?.condition === "alive" ? now : (process?.lastSeen ?? now);
      return {
        trace_id: span.trace,
        span_id: span.id,
        parent_span_id: span.parent,
        name: span.name,
        service: process?.service ?? "",
        process: span.process,
        state: span.state,
        start_ns: ns(store, span.start),
        age_ns: until - span.start,
        where: span.where ?? "",
        opened_at: span.place ?? "",
        root: !span.parent,
        thread: span.thread ?? "",
        task: span.task ?? "",
        depth: span.parent ? 1 : 0,
      };
    }),
    processes: [...store.processes.values()].map((process) => processOf(store, process, open)),
  };
}

function processOf(store: Store, process: StoredProcess, open: StoredSpan[]) {
  const own = open.filter((span) => span.process === process.id);
  return {
    id: process.id,
    label: process.label,
    service: process.service,
    pid: process.pid,
    host: "demo",
    command: `python ${process.label.split(" ")[1]}`,
    condition: process.condition,
    last_seen_ns: ns(store, process.lastSeen),
    open: own.length,
    stalled: own.filter((span) => span.state === "stalled").length,
    dropped: 0,
    source: "folder",
  };
}

export function logOf(store: Store, log: StoredLog) {
  return {
    id: log.id,
    time_ns: ns(store, log.time),
    level: log.level,
    text: log.text,
    attributes: log.attributes,
    trace_id: log.trace,
    span_id: log.span,
    service: serviceOf(store, log.process),
    process: log.process,
    kind: "log",
  };
}

function serviceOf(store: Store, process: string): string {
  return store.processes.get(process)?.service ?? "";
}
