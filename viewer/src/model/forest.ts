/**
 * Makes the tree of the spans of one trace, whatever is missing or wrong in it.
 *
 * A tree is kept as lists by number, not as objects that refer to each other, so a chain of
 * 100,000 spans needs no recursion. Python makes the same trees (otel_ext/analysis/traces/tree.py), by
 * the same cases: tests/cases/forest/.
 */

import { compareTexts } from "./merge";
import { at1 } from "./trace";

/** What a tree needs to know of a span; times are relative to the base of the document. */
export interface TreeSpan {
  id: string;
  /** The parent's id; empty for a root. */
  parent: string;
  start: number;
  /** Null while the span is open. */
  end: number | null;
}

/** The spans of one trace by number: parents before children, siblings by start, then by id. */
export interface Tree<S extends TreeSpan = TreeSpan> {
  ids: string[];
  /** The span; null for a missing parent, of which only its children are known. */
  spans: (S | null)[];
  /** For a missing parent the first start of its children. */
  start: Float64Array;
  /** For a missing parent the last end of its children; null if one of them is open. */
  end: (number | null)[];
  /** The number of the parent, -1 for a root. */
  parent: Int32Array;
  /** Children, as linked lists: the first child of a span, the next sibling; -1 at the end. */
  firstChild: Int32Array;
  nextSibling: Int32Array;
  roots: number[];
  /** Spans that were made roots because, by their parents, they are parents of themselves. */
  cycles: number[];
}

/** The spans and missing parents before they are numbered, with their links. */
interface Nodes<S extends TreeSpan> {
  /** A missing parent has the form of a span too, so that it can be sorted among roots. */
  list: TreeSpan[];
  /** The spans themselves come first, missing parents after them. */
  spans: S[];
  parent: Int32Array;
  firstChild: Int32Array;
  nextSibling: Int32Array;
}

/**
 * Returns the tree of some spans of one trace.
 *
 * A parent that no span describes becomes a placeholder. Where spans are each other's parents,
 * the one that started first becomes a root.
 *
 * Expects one span of each id, in any order, with finite times.
 */
export function treeOf<S extends TreeSpan>(given: Iterable<S>): Tree<S> {
  const sorted = [...given].sort(byStart);
  const numbers = new Map<string, number>();
  const spans: S[] = [];
  for (const span of sorted) {
    const known = numbers.get(span.id);
    if (known === undefined) numbers.set(span.id, spans.push(span) - 1);
    else spans[known] = span;
  }
  const nodes = linked(spans, numbers);
  const roots = nodes.list.map((_, node) => node).filter((node) => at1(nodes.parent, node) < 0);
  const cycles = cutCycles(nodes, roots);
  const nodeAt = (node: number) => nodes.list[node] as TreeSpan;
  roots.push(...cycles);
  roots.sort((one, other) => byStart(nodeAt(one), nodeAt(other)));
  return numbered(nodes, roots, cycles);
}

function byStart(one: TreeSpan, other: TreeSpan): number {
  return one.start - other.start || compareTexts(one.id, other.id);
}

/**
 * Returns the nodes of spans, which are sorted, and of the parents that are missing.
 *
 * `nodes` has the number of each span by its id; missing parents are added to it.
 */
function linked<S extends TreeSpan>(spans: S[], nodes: Map<string, number>): Nodes<S> {
  const list: TreeSpan[] = [...spans];
  const parents = spans.map((span) => {
    if (!span.parent) return -1;
    const known = nodes.get(span.parent);
    if (known === undefined) {
      nodes.set(span.parent, list.length);
      const { start, end } = span;
      return list.push({ id: span.parent, parent: "", start, end }) - 1;
    }
    const parent = list[known] as TreeSpan;
    if (known >= spans.length) {
      parent.start = Math.min(parent.start, span.start);
      const isOpen = parent.end === null || span.end === null;
      parent.end = isOpen ? null : Math.max(parent.end as number, span.end as number);
    }
    return known;
  });
  const parent = new Int32Array(list.length).fill(-1);
  parent.set(parents);
  const firstChild = new Int32Array(list.length).fill(-1);
  const nextSibling = new Int32Array(list.length).fill(-1);
  // From the last to the first, so that each list of children is by start.
  for (let node = spans.length - 1; node >= 0; node--) {
    const above = at1(parent, node);
    if (above < 0) continue;
    nextSibling[node] = at1(firstChild, above);
    firstChild[above] = node;
  }
  return { list, spans, parent, firstChild, nextSibling };
}

/** Takes the first span of each cycle away from its parent; returns those spans. */
function cutCycles(nodes: Nodes<TreeSpan>, roots: number[]): number[] {
  const { list, parent, firstChild, nextSibling } = nodes;
  const reached = new Uint8Array(list.length);
  const reach = (waiting: number[]) => {
    for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
      reached[node] = 1;
      for (let child = at1(firstChild, node); child >= 0; child = at1(nextSibling, child))
        waiting.push(child);
    }
  };
  reach([...roots]);
  const cut: number[] = [];
  for (let node = 0; node < list.length; node++) {
    if (reached[node]) continue;
    // Up to a span that is met twice: it is in the cycle, `node` may only hang on it.
    const seen = new Set<number>();
    let met = node;
    for (; !seen.has(met); met = at1(parent, met)) seen.add(met);
    let first = met;
    for (let above = at1(parent, met); above !== met; above = at1(parent, above)) {
      if (byStart(list[above] as TreeSpan, list[first] as TreeSpan) < 0) first = above;
    }
    unlink(nodes, first);
    cut.push(first);
    reach([first]);
  }
  return cut;
}

/** Makes a span a root. */
function unlink({ parent, firstChild, nextSibling }: Nodes<TreeSpan>, node: number): void {
  const above = at1(parent, node);
  const next = at1(nextSibling, node);
  let before = -1;
  for (let child = at1(firstChild, above); child !== node; child = at1(nextSibling, child))
    before = child;
  if (before < 0) firstChild[above] = next;
  else nextSibling[before] = next;
  parent[node] = -1;
  nextSibling[node] = -1;
}

/** Returns the tree of the nodes below the roots; each span is directly before its first child. */
function numbered<S extends TreeSpan>(nodes: Nodes<S>, roots: number[], cycles: number[]): Tree<S> {
  const count = nodes.list.length;
  const order: number[] = [];
  const numbers = new Int32Array(count);
  for (const root of roots) {
    let node = root;
    while (node >= 0) {
      numbers[node] = order.push(node) - 1;
      let next = at1(nodes.firstChild, node);
      // Up to the first that has a sibling left; -1 above the root.
      while (next < 0 && node !== -1) {
        next = at1(nodes.nextSibling, node);
        node = at1(nodes.parent, node);
      }
      node = next;
    }
  }
  const numberOf = (node: number) => (node < 0 ? -1 : at1(numbers, node));
  // Loops: `Int32Array.from` would take several times as long.
  const inOrder = (links: Int32Array) => {
    const found = new Int32Array(count);
    for (let at = 0; at < count; at++) found[at] = numberOf(at1(links, at1(order, at)));
    return found;
  };
  const list = order.map((node) => nodes.list[node] as TreeSpan);
  return {
    ids: list.map((span) => span.id),
    spans: order.map((node) => nodes.spans[node] ?? null),
    start: new Float64Array(list.map((span) => span.start)),
    end: list.map((span) => span.end),
    parent: inOrder(nodes.parent),
    firstChild: inOrder(nodes.firstChild),
    nextSibling: inOrder(nodes.nextSibling),
    roots: roots.map(numberOf),
    cycles: cycles.map(numberOf).sort((one, other) => one - other),
  };
}
