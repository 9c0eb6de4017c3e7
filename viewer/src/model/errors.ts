/** Where errors began, how far they went, and whether something caught them; as in the terminal. */

import { waitsFor } from "./criticalPath";
import { at1, ERROR, type Trace } from "./trace";

/** `origin`: no child failed; `propagated`: one did. */
export type Role = "origin" | "propagated";

export interface SpanError {
  span: number;
  role: Role;
  /** Whether the span above it ended, did not fail, and may have waited for it. */
  isSwallowed: boolean;
  /** The span where it began: down the failed children, the last to end. */
  origin: number;
}

/** Errors that began in one operation with one text. */
export interface ErrorGroup {
  name: string;
  service: string;
  text: string;
  /** How many began there. */
  errors: number;
  /** How many of those did not reach the top of the trace. */
  swallowed: number;
  /** Those, each followed by the errors above that it caused. */
  members: SpanError[];
}

/** Returns the failed spans of a trace, parents first. */
export function errorsIn(trace: Trace): SpanError[] {
  const origins = new Map<number, number>();
  for (let span = trace.count - 1; span >= 0; span--) {
    if (trace.state[span] !== ERROR) continue;
    let last = -1;
    for (const child of trace.children(span)) {
      if (!origins.has(child)) continue;
      if (last < 0 || at1(trace.until, child) >= at1(trace.until, last)) last = child;
    }
    origins.set(span, last < 0 ? span : (origins.get(last) ?? span));
  }
  return [...origins]
    .sort(([one], [other]) => one - other)
    .map(([span, origin]) => ({
      span,
      role: origin === span ? "origin" : "propagated",
      isSwallowed: isSwallowed(trace, span),
      origin,
    }));
}

function isSwallowed(trace: Trace, span: number): boolean {
  const parent = at1(trace.parent, span);
  return (
    parent >= 0 &&
    ["ended", "cancelled"].includes(trace.stateOf(parent)) &&
    waitsFor(trace.columns, parent, span)
  );
}

/** Returns the errors of a trace by where they began, the most frequent first. */
export function groupErrors(trace: Trace): ErrorGroup[] {
  const errors = errorsIn(trace);
  const groups = new Map<string, ErrorGroup>();
  const groupOf = new Map<number, ErrorGroup>();
  const stopped = new Set<number>();
  for (const one of errors) {
    if (one.isSwallowed || stopped.has(at1(trace.parent, one.span))) stopped.add(one.span);
    if (one.role === "propagated") continue;
    const [name, service, text] = [
      trace.name(one.span),
      trace.service(one.span),
      trace.error(one.span),
    ];
    const key = JSON.stringify([name, service, text]);
    const group = groups.get(key) ?? { name, service, text, errors: 0, swallowed: 0, members: [] };
    groups.set(key, group);
    groupOf.set(one.span, group);
    group.errors += 1;
    if (stopped.has(one.span)) group.swallowed += 1;
    group.members.push(one);
  }
  for (const one of errors) {
    if (one.role === "propagated") groupOf.get(one.origin)?.members.push(one);
  }
  for (const group of groups.values()) {
    group.members.sort((a, b) => a.origin - b.origin || b.span - a.span);
  }
  return [...groups.values()].sort(
    (a, b) =>
      b.errors - a.errors ||
      compare(a.service, b.service) ||
      compare(a.name, b.name) ||
      compare(a.text, b.text),
  );
}

function compare(a: string, b: string): number {
  return Number(a > b) - Number(a < b);
}
