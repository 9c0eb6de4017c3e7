/** Running spans, for tests. */

import { NOW, OTHER, TRACE } from "../live/answers";

export { NOW, OTHER, TRACE };

export function spanOf(id: string, more: { [key: string]: unknown } = {}) {
  return {
    trace_id: TRACE,
    span_id: id,
    parent_span_id: "",
    name: id,
    service: "shop",
    process: "p",
    state: "running",
    start_ns: NOW,
    age_ns: 1e9,
    where: "",
    opened_at: "app.py:12 main",
    root: true,
    thread: "MainThread",
    task: "",
    depth: 0,
    ...more,
  };
}

export function processOf(id: string, more: { [key: string]: unknown } = {}) {
  return {
    id,
    label: `${id} app.py`,
    service: "shop",
    pid: 4711,
    host: "h",
    command: "python app.py",
    condition: "alive",
    last_seen_ns: NOW,
    open: 1,
    stalled: 0,
    dropped: 0,
    source: "folder",
    ...more,
  };
}

export function agentOf(id: string, more: { [key: string]: unknown } = {}) {
  return {
    id,
    process: "p",
    state: "idle",
    recorded_ns: NOW,
    age_ns: 5e9,
    attributes: {},
    trace_id: "",
    span_id: "",
    span: "",
    span_age_ns: 0,
    ...more,
  };
}

let sequence = 0;

export function runningOf(
  spans: ReturnType<typeof spanOf>[],
  processes = [processOf("p")],
  agents: ReturnType<typeof agentOf>[] = [],
): { [key: string]: unknown } {
  sequence += 1;
  const registered = { agents, agents_total: agents.length };
  return { now_ns: NOW, sequence, spans, total: spans.length, processes, ...registered };
}

/** Returns a time so many seconds before now. */
export function before(seconds: number): string {
  return String(BigInt(NOW) - BigInt(Math.round(seconds * 1e9)));
}
