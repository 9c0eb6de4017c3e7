/** Which rows of a trace are seen: its tree, less what is folded or filtered. */

import { at1, ENDED, type Trace } from "./trace";

/** From how many equal siblings on they are shown as one row. */
export const LEAST_GROUP = 5;
/** From how many spans on a chain of only children is shown as one row. */
export const LEAST_CHAIN = 5;

export interface Row {
  /** The span; of a group or a chain, its first one. */
  span: number;
  depth: number;
  /** The spans that a group stands for; null for a single span. */
  group: number[] | null;
  /** The spans of the chain that begins here, from the top; null where none does. */
  chain: number[] | null;
  /** Whether it is unfolded; null if there is nothing to unfold. */
  open: boolean | null;
}

export interface Folding {
  /** Spans whose children are folded. */
  collapsed: ReadonlySet<number>;
  /** Groups, by their first span, and chains, by their second one, that are unfolded. */
  openGroups: ReadonlySet<number>;
  /** Whether chains are formed. */
  chains: boolean;
  /** 1 for each span that is kept; null keeps all. It forms no groups and chains while it filters. */
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
    const hidden = hiddenChain(row);
    if (row.open !== true && !hidden) continue;
    const span = hidden?.at(-1) ?? row.span;
    const below = row.group
      ? row.group.map((one) => single(trace, one, row.depth + 1, folding))
      : rowsOf(trace, trace.children(span), row.depth + 1, folding);
    for (let at = below.length - 1; at >= 0; at--) pending.push(below[at] as Row);
  }
  return rows;
}

/** Returns the spans of a folded chain; null if the row is another one. */
export function hiddenChain(row: Row): number[] | null {
  return row.open === false ? row.chain : null;
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
      rows.push({ span, depth, group, chain: null, open: folding.openGroups.has(span) });
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
  const row: Row = { span, depth, group: null, chain: null, open: null };
  if (child < 0) return row;
  const { kept } = folding;
  if (kept && !trace.children(span).some((one) => kept[one])) return row;
  const chain = chainFrom(trace, span, folding);
  const second = chain?.[1];
  if (second !== undefined) return { ...row, chain, open: folding.openGroups.has(second) };
  return { ...row, open: !folding.collapsed.has(span) };
}

/**
 * Returns the chain that begins with a span; null if none does.
 *
 * A span whose children are folded is in none, so that its own row says so.
 */
function chainFrom(trace: Trace, span: number, folding: Folding): number[] | null {
  const { collapsed, top } = folding;
  if (!folding.chains || folding.kept || collapsed.has(span)) return null;
  if (span !== top && isLink(trace, span)) return null;
  const chain = [span];
  for (
    let one = at1(trace.firstChild, span);
    one >= 0 && isLink(trace, one) && !collapsed.has(one);
    one = at1(trace.firstChild, one)
  ) {
    chain.push(one);
  }
  return chain.length < LEAST_CHAIN ? null : chain;
}

/**
 * Whether a span is the only child of its parent, in the same process, and all is well from there
 * down: what runs is in no chain, and neither is a step into another program.
 */
function isLink(trace: Trace, span: number): boolean {
  const parent = at1(trace.parent, span);
  return (
    parent >= 0 &&
    !trace.trouble[parent] &&
    at1(trace.firstChild, parent) === span &&
    at1(trace.nextSibling, span) < 0 &&
    at1(trace.process, parent) === at1(trace.process, span)
  );
}

/**
 * Returns the folded chains that hide what the reader had in view, by their second spans.
 *
 * A span that ends while its trace is looked at may complete a chain. That one is to begin unfolded,
 * so that a live trace stays still and no row vanishes under the reader. A chain that was folded
 * stays so when it grows, unless the row that stood for it is selected and would vanish.
 */
export function formedInView(
  now: { trace: Trace; rows: readonly Row[] },
  seen: { trace: Trace; rows: readonly Row[]; selected: number },
): number[] {
  const folded = now.rows.flatMap((row) => {
    const chain = hiddenChain(row);
    return chain ? [chain.slice(1)] : [];
  });
  if (folded.length === 0) return [];
  const own = seen.rows.filter((row) => !hiddenChain(row) || row.span === seen.selected);
  const ids = new Set(own.map((row) => seen.trace.ids[row.span]));
  return folded
    .filter((below) => below.some((span) => ids.has(now.trace.ids[span])))
    .flatMap((below) => below.slice(0, 1));
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
  const link = collapsed.has(span) ? -1 : secondOf(trace, span, folding.top);
  if (link >= 0) openGroups.add(link);
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

/** Returns the second span of the chain that a span is in; -1 if it is the first, or in none. */
function secondOf(trace: Trace, span: number, top: number): number {
  let second = -1;
  for (let one = span; one !== top && isLink(trace, one); one = at1(trace.parent, one))
    second = one;
  return second;
}
