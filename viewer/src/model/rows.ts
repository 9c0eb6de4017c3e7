/** Which rows of a trace are seen: its tree, less what is folded or filtered. */

import { at1, ENDED, type Trace } from "./trace";

/** From how many equal siblings on they are shown as one row. */
export const LEAST_GROUP = 5;

export interface Row {
  /** The span; of a group, its first one. */
  span: number;
  depth: number;
  /** The spans that a group stands for; null for a single span. */
  group: number[] | null;
  /** Whether it is unfolded; null if there is nothing to unfold. */
  open: boolean | null;
}

export interface Folding {
  /** Spans whose children are folded. */
  collapsed: ReadonlySet<number>;
  /** Groups, by their first span, that are unfolded. */
  openGroups: ReadonlySet<number>;
  /** 1 for each span that is kept; null keeps all. Groups are not formed while it filters. */
  kept: Uint8Array | null;
  /** Shows this subtree alone; -1 shows the trace. */
  top: number;
}

/** Returns the rows in order, without recursion, so that a deep trace cannot exhaust the stack. */
export function visibleRows(trace: Trace, folding: Folding): Row[] {
  const rows: Row[] = [];
  const pending = rowsOf(
    trace,
    folding.top >= 0 ? [folding.top] : trace.roots,
    0,
    folding,
  ).reverse();
  for (let row = pending.pop(); row !== undefined; row = pending.pop()) {
    rows.push(row);
    if (row.open !== true) continue;
    const below = row.group
      ? row.group.map((span) => single(trace, span, row.depth + 1, folding))
      : rowsOf(trace, trace.children(row.span), row.depth + 1, folding);
    for (let at = below.length - 1; at >= 0; at--) pending.push(below[at] as Row);
  }
  return rows;
}

/** Returns the rows of siblings; equal ones that are fine become one row. */
function rowsOf(trace: Trace, siblings: number[], depth: number, folding: Folding): Row[] {
  const { kept } = folding;
  if (kept) {
    return siblings.filter((span) => kept[span]).map((span) => single(trace, span, depth, folding));
  }
  if (siblings.length < LEAST_GROUP)
    return siblings.map((span) => single(trace, span, depth, folding));
  const groups = groupsOf(trace, siblings);
  const rows: Row[] = [];
  for (const span of siblings) {
    const group = trace.trouble[span] ? undefined : groups.get(groupKey(trace, span));
    if (!group || group.length < LEAST_GROUP) {
      rows.push(single(trace, span, depth, folding));
    } else if (group[0] === span) {
      rows.push({ span, depth, group, open: folding.openGroups.has(span) });
    }
  }
  return rows;
}

function groupsOf(trace: Trace, siblings: number[]): Map<number, number[]> {
  const groups = new Map<number, number[]>();
  for (const span of siblings) {
    if (trace.trouble[span]) continue;
    const key = groupKey(trace, span);
    const group = groups.get(key);
    if (group) group.push(span);
    else groups.set(key, [span]);
  }
  return groups;
}

function groupKey(trace: Trace, span: number): number {
  return (trace.nameIndex(span) + 1) * (trace.processes.length + 1) + at1(trace.process, span) + 1;
}

function single(trace: Trace, span: number, depth: number, folding: Folding): Row {
  const child = at1(trace.firstChild, span);
  if (child < 0) return { span, depth, group: null, open: null };
  const { kept } = folding;
  if (kept && !trace.children(span).some((one) => kept[one])) {
    return { span, depth, group: null, open: null };
  }
  return { span, depth, group: null, open: !folding.collapsed.has(span) };
}

/** Returns the duration that 95 of 100 spans do not exceed. */
export function p95(trace: Trace, spans: readonly number[]): number {
  const durations = spans.map((span) => trace.duration(span)).sort((a, b) => a - b);
  return durations[Math.max(0, Math.ceil(durations.length * 0.95) - 1)] ?? 0;
}

/** Marks the found spans and all their ancestors. */
export function withAncestors(trace: Trace, found: Uint8Array): Uint8Array {
  const kept = Uint8Array.from(found);
  for (let span = trace.count - 1; span >= 0; span--) {
    const parent = at1(trace.parent, span);
    if (kept[span] && parent >= 0) kept[parent] = 1;
  }
  return kept;
}

/** Returns the spans with children at a depth or below it, to fold a trace to that depth. */
export function foldedTo(trace: Trace, depth: number): Set<number> {
  const folded = new Set<number>();
  for (let span = 0; span < trace.count; span++) {
    if (at1(trace.depth, span) >= depth && at1(trace.firstChild, span) >= 0) folded.add(span);
  }
  return folded;
}

/** Unfolds what hides a span: returns the changed sets. */
export function revealed(
  trace: Trace,
  span: number,
  folding: Folding,
): { collapsed: Set<number>; openGroups: Set<number> } {
  const collapsed = new Set(folding.collapsed);
  const openGroups = new Set(folding.openGroups);
  for (let one = span; one >= 0; one = at1(trace.parent, one)) {
    if (one !== span) collapsed.delete(one);
    if (trace.state[one] !== ENDED || trace.trouble[one]) continue;
    const key = groupKey(trace, one);
    const siblings = trace.children(at1(trace.parent, one));
    if (siblings.length < LEAST_GROUP) continue;
    const group = groupsOf(trace, siblings).get(key);
    if (group && group.length >= LEAST_GROUP) openGroups.add(group[0] as number);
  }
  return { collapsed, openGroups };
}
