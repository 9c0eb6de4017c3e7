/**
 * The critical path: what the end of a trace had to wait for, as pieces of time.
 *
 * It goes backward from the end of the root: the child that ended last before a moment is what
 * its parent waited for then; before that child started, the search goes on from its start. The
 * pieces tile the root exactly: each moment belongs to one span.
 *
 * Left out are children that their parent did not wait for: those that ended after it in the
 * same process, those wholly outside of it, and what a consumer does with a producer's message.
 * Each of these has a path of its own. Python finds the same paths
 * (otel_ext/analysis/critical_path.py), by the same cases: tests/cases/critical_path/.
 */

import { KINDS, type PathEntry } from "../data/contract";
import { at1, MISSING } from "./trace";

const PRODUCER = KINDS.indexOf("producer");
const CONSUMER = KINDS.indexOf("consumer");

/** What the path needs to know of the spans of one trace: columns, with links as in `Tree`. */
export interface PathSpans {
  parent: ArrayLike<number>;
  firstChild: ArrayLike<number>;
  nextSibling: ArrayLike<number>;
  start: ArrayLike<number>;
  /** Null while the span is open. */
  end: ArrayLike<number | null>;
  /** The time of the span's record. */
  seen: ArrayLike<number>;
  /** Index of `STATES`. */
  state: ArrayLike<number>;
  /** Index of `KINDS`. */
  kind: ArrayLike<number>;
  /** A number for the process. */
  process: ArrayLike<number>;
  /** A number for what runs one thing after another: a thread, or a task in it. */
  lineage: ArrayLike<number>;
}

/** The spans with the ends that the path takes: of an open span, how far it is known. */
export interface TimedSpans extends PathSpans {
  until: Float64Array;
}

/**
 * Returns spans with their ends.
 *
 * An open span has lasted at least until the last record of its process, and until the last of
 * the spans below it ended.
 *
 * `lastSeen` is the time of the last record of each process; by default the last in this trace.
 */
export function timed(spans: PathSpans, lastSeen?: ReadonlyMap<number, number>): TimedSpans {
  const { start, end, process, seen } = spans;
  const count = start.length;
  const last = new Map(lastSeen);
  for (let span = 0; span < count; span++) {
    const known = last.get(at1(process, span)) ?? Number.NEGATIVE_INFINITY;
    last.set(at1(process, span), Math.max(known, at1(seen, span)));
  }
  const until = new Float64Array(start);
  // Children come before parents here, so that an open parent is as long as what is below it.
  for (let span = count - 1; span >= 0; span--) {
    const ended = end[span] ?? null;
    let known = ended ?? last.get(at1(process, span)) ?? Number.NEGATIVE_INFINITY;
    if (ended === null) {
      if (at1(spans.state, span) === MISSING) known = Number.NEGATIVE_INFINITY;
      for (const child of childrenOf(spans, span)) known = Math.max(known, at1(until, child));
    }
    until[span] = Math.max(known, at1(start, span));
  }
  return { ...spans, until };
}

/** Returns the spans that have a path of their own: roots, and what no parent waited for. */
export function pathRoots(spans: TimedSpans): number[] {
  const roots: number[] = [];
  for (let span = 0; span < spans.start.length; span++) {
    const parent = at1(spans.parent, span);
    if (parent < 0 || !waitsFor(spans, parent, span)) roots.push(span);
  }
  return roots;
}

/** Returns the critical path of a span; usually of one of `pathRoots`. */
export function criticalPath(spans: TimedSpans, root: number): PathEntry {
  const segments: PathEntry["segments"] = [];
  const visits = [new Visit(spans, root, at1(spans.start, root), at1(spans.until, root))];
  let isInferred = false;
  const add = (span: number, start: number, end: number, beside: number) => {
    segments.push([span, start, end, beside, isInferred ? 1 : 0]);
    isInferred = false;
  };
  for (let visit = visits.at(-1); visit; visit = visits.at(-1)) {
    const child = visit.nextChild();
    const [start, end] = child < 0 ? [visit.start, visit.start] : visit.window(child);
    if (end < visit.reached) add(visit.span, end, visit.reached, visit.beside(end, visit.reached));
    if (child < 0) {
      visits.pop();
      continue;
    }
    isInferred ||= visit.isInferred(child);
    visit.reached = start;
    visit.after = child;
    if (at1(spans.firstChild, child) >= 0) visits.push(new Visit(spans, child, start, end));
    else add(child, start, end, -1);
  }
  segments.reverse();
  return { root, lower_bound: spans.end[root] === null, segments };
}

/** The columns that tell whether a span waited for another. */
export type WaitingSpans = Pick<
  TimedSpans,
  "start" | "until" | "end" | "kind" | "process" | "state"
>;

/** Whether a parent may have waited for a child. */
export function waitsFor(spans: WaitingSpans, parent: number, child: number): boolean {
  const { start, until, end, kind, process, state } = spans;
  if (at1(kind, parent) === PRODUCER && at1(kind, child) === CONSUMER) return false;
  const from = Math.max(at1(start, parent), at1(start, child));
  const shared = Math.min(at1(until, parent), at1(until, child)) - from;
  if (shared < 0 || (shared === 0 && at1(until, child) > at1(start, child))) return false;
  if (at1(process, parent) !== at1(process, child) || at1(state, parent) === MISSING) return true;
  // In one process it is known which ended first.
  if (at1(until, child) > at1(until, parent)) return false;
  return end[parent] === null || end[child] !== null;
}

/** A span on the way back in time, of which the piece from `start` to `end` counts. */
class Visit {
  /** Up to where the search has come. */
  reached: number;
  /** The child that it has just come from; -1 at first. */
  after = -1;
  /** The children that the span may have waited for, by their start. */
  private readonly children: number[];
  /** The same, so that the last that ended comes last. */
  private readonly byEnd: number[];
  /** The same for each lineage, if there are several. */
  private readonly byLineage = new Map<number, number[]>();
  /** For each of `children` the two that end last among it and those before it; -1 for none. */
  private latest: [number, number][] | null = null;

  constructor(
    private readonly spans: TimedSpans,
    readonly span: number,
    readonly start: number,
    private readonly end: number,
  ) {
    this.reached = end;
    const { start: starts, until: ends, lineage } = spans;
    this.children = childrenOf(spans, span).filter(
      (child) =>
        at1(starts, child) < end &&
        start < at1(ends, child) &&
        at1(ends, child) > at1(starts, child) &&
        waitsFor(spans, span, child),
    );
    this.children.sort((one, other) => at1(starts, one) - at1(starts, other));
    const byStart = (one: number, other: number) => at1(starts, other) - at1(starts, one);
    this.byEnd = [...this.children].sort(
      (one, other) => this.endOf(one) - this.endOf(other) || byStart(one, other) || other - one,
    );
    const first = at1(lineage, this.children[0] ?? span);
    if (this.children.every((child) => at1(lineage, child) === first)) return;
    for (const child of this.byEnd) {
      const same = this.byLineage.get(at1(lineage, child));
      if (same) same.push(child);
      else this.byLineage.set(at1(lineage, child), [child]);
    }
  }

  /** Returns the piece of a child that is within the piece of this span. */
  window(child: number): [number, number] {
    const { start, until } = this.spans;
    return [Math.max(at1(start, child), this.start), Math.min(at1(until, child), this.end)];
  }

  /**
   * Returns the child that ended last, at `reached` or before; -1 if no child did.
   *
   * What runs in a task or thread of its own was preceded by what ran there before, or by what
   * the parent itself did, the later of the two: a thread of a pool does unrelated work one after
   * another.
   */
  nextChild(): number {
    if (this.byLineage.size > 0 && this.after >= 0) {
      const own = at1(this.spans.lineage, this.span);
      const lineage = at1(this.spans.lineage, this.after);
      if (lineage !== own) {
        const there = this.byLineage.get(lineage) ?? [];
        const here = this.byLineage.get(own) ?? [];
        const child = (this.lastEnd(here) > this.lastEnd(there) ? here : there).pop();
        if (child !== undefined) return child;
      }
    }
    this.dropLater(this.byEnd);
    return this.byEnd.pop() ?? -1;
  }

  /** Whether the time alone shows that a child was waited for, and not one beside it. */
  isInferred(child: number): boolean {
    if (this.byLineage.size === 0) return false;
    const { process, lineage } = this.spans;
    const then = this.after < 0 ? this.span : this.after;
    if (at1(process, child) !== at1(process, then)) return false;
    if (at1(lineage, child) === at1(lineage, then)) return false;
    return this.beside(...this.window(child), child) >= 0;
  }

  /** Returns the child other than `but` that ran in a period, the last to end; -1 if none. */
  beside(start: number, end: number, but = -1): number {
    this.latest ??= lastTwo(this.children, this.spans.until);
    // How many children started before the end of the period, by halving.
    let low = 0;
    for (let high = this.children.length; low < high; ) {
      const middle = (low + high) >> 1;
      if (at1(this.spans.start, at1(this.children, middle)) < end) low = middle + 1;
      else high = middle;
    }
    const [last, oneBefore] = this.latest[low - 1] ?? [-1, -1];
    const found = last === but ? oneBefore : last;
    return found >= 0 && at1(this.spans.until, found) > start ? found : -1;
  }

  /** Returns the end of the last candidate; less than any time if the list is empty. */
  private lastEnd(candidates: number[]): number {
    this.dropLater(candidates);
    const last = candidates.at(-1);
    return last === undefined ? Number.NEGATIVE_INFINITY : this.endOf(last);
  }

  /** Drops the candidates that had not ended; they do not come again. */
  private dropLater(candidates: number[]): void {
    let last = candidates.at(-1);
    while (last !== undefined && this.endOf(last) > this.reached) {
      candidates.pop();
      last = candidates.at(-1);
    }
  }

  private endOf(child: number): number {
    return Math.min(at1(this.spans.until, child), this.end);
  }
}

/** Returns the two that end last among each span and those before it; -1 for none. */
function lastTwo(spans: number[], ends: Float64Array): [number, number][] {
  let last = -1;
  let oneBefore = -1;
  return spans.map((span): [number, number] => {
    if (last < 0 || at1(ends, span) > at1(ends, last)) [last, oneBefore] = [span, last];
    else if (oneBefore < 0 || at1(ends, span) > at1(ends, oneBefore)) oneBefore = span;
    return [last, oneBefore];
  });
}

function childrenOf({ firstChild, nextSibling }: PathSpans, span: number): number[] {
  const found: number[] = [];
  for (let child = at1(firstChild, span); child >= 0; child = at1(nextSibling, child))
    found.push(child);
  return found;
}
