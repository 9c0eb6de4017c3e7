/** Answers of a server, for tests. */

import { KINDS, STATES, type State } from "../../src/data/contract";
import type { LiveTraceAnswer } from "../../src/live/traceAnswer";

export const TRACE = "0af7651916cd43dd8448eb211c80319c";
export const OTHER = "1bf7651916cd43dd8448eb211c80319d";
export const NOW = "1795967377000000000";

export interface GivenSpan {
  id: string;
  parent?: string;
  name?: string;
  state?: State;
  kind?: (typeof KINDS)[number];
  process?: string;
  start?: number;
  end?: number | null;
  until?: number;
  error?: string;
  file?: string;
  line?: number;
  where?: string;
  thread?: string;
  task?: string;
}

interface Rest {
  sequence?: number;
  now_ns?: number;
  base_ns?: string;
  trace_id?: string;
  logs?: [string, number, string, string, string][];
  processState?: LiveTraceAnswer["processes"][number]["state"];
}

/** Returns what the server answers for these spans; logs are span, time, level, text, id. */
export function answerOf(spans: GivenSpan[], rest: Rest = {}): LiveTraceAnswer {
  const strings: string[] = [];
  const text = (one: string) => {
    const known = strings.indexOf(one);
    return known >= 0 ? known : strings.push(one) - 1;
  };
  const optional = (one: string | undefined) => (one ? text(one) : -1);
  const ids = [...new Set(spans.map((span) => span.process ?? "p"))];
  return {
    format: "otel-ext-live-trace",
    version: 1,
    trace_id: rest.trace_id ?? TRACE,
    sequence: rest.sequence ?? 1,
    base_ns: rest.base_ns ?? NOW,
    now_ns: rest.now_ns ?? 100,
    zone: "+01:00",
    note: "",
    strings,
    processes: ids.map((id) => ({
      id: text(id),
      label: text(`${id} app.py`),
      service: text("shop"),
      state: rest.processState ?? "alive",
    })),
    total: spans.length,
    left_out: 0,
    spans: {
      id: spans.map((span) => span.id),
      parent: spans.map((span) => span.parent ?? ""),
      name: spans.map((span) => text(span.name ?? span.id)),
      state: spans.map((span) =>
        STATES.indexOf(span.state ?? (span.end === null ? "running" : "ended")),
      ),
      kind: spans.map((span) => KINDS.indexOf(span.kind ?? "internal")),
      process: spans.map((span) => ids.indexOf(span.process ?? "p")),
      start: spans.map((span) => span.start ?? 0),
      end: spans.map((span) => (span.end === undefined ? 10 : span.end)),
      until: spans.map((span) => span.until ?? span.end ?? 10),
      error: spans.map((span) => optional(span.error)),
      file: spans.map((span) => optional(span.file)),
      line: spans.map((span) => span.line ?? 0),
      function: spans.map(() => -1),
      where: spans.map((span) => optional(span.where)),
      cause: spans.map(() => -1),
      thread: spans.map((span) => optional(span.thread)),
      task: spans.map((span) => optional(span.task)),
    },
    logs: (rest.logs ?? []).map(([span, time, level, log, id]) => [
      span,
      time,
      text(level),
      text(log),
      -1,
      id,
    ]),
  };
}

export function summaryOf(id: string, more: { [key: string]: unknown } = {}) {
  return {
    trace_id: id,
    start_ns: NOW,
    end_ns: NOW,
    duration_ns: 5e6,
    name: "GET /",
    service: "shop",
    services: ["shop"],
    state: "ended",
    spans: 3,
    open: 0,
    errors: 0,
    abandoned: 0,
    stalled: 0,
    missing_root: false,
    repeated: false,
    ...more,
  };
}

export const INFO = {
  version: "1.0",
  folder: "traces",
  listening: { otlp_http: "http://127.0.0.1:4318", otlp_grpc: null, ui: "http://127.0.0.1:8318" },
  editor: { scheme: "vscode", roots: ["/home/me/app"] },
  traces: 3,
  spans: 12,
  since_ns: NOW,
};
