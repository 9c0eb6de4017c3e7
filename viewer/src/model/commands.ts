/** What the keys and buttons do to a view. */

import { batch } from "@preact/signals";
import { STATES } from "../data/contract";
import { foldedTo, hiddenChain, type Row, revealed } from "./rows";
import { OPEN } from "./states";
import { around, clamp, pan, type Span, zoomAt } from "./timescale";
import { at1, ERROR, type Trace } from "./trace";
import { MODES, type Mode, type View } from "./view";

const MOST_ZOOMS = 100;

/** Selects a span, and unfolds what hides it. */
export function select(view: View, span: number): void {
  const trace = view.trace.value;
  if (!trace || span < 0 || span >= trace.count) return;
  batch(() => {
    view.selected.value = span;
    if (reveal(view, span)) return;
    view.top.value = isBelow(trace, span, view.top.value) ? view.top.value : -1;
  });
}

/** Unfolds what hides a span; returns whether nothing did. */
export function reveal(view: View, span: number): boolean {
  const trace = view.trace.value;
  if (!trace || span < 0 || view.rows.value.some((row) => row.span === span)) return true;
  const changed = revealed(trace, span, view.folding.value);
  batch(() => {
    view.collapsed.value = changed.collapsed;
    view.openGroups.value = changed.openGroups;
  });
  return false;
}

function isBelow(trace: Trace, span: number, top: number): boolean {
  for (let one = span; one >= 0; one = at1(trace.parent, one)) if (one === top) return true;
  return false;
}

export function rowAt(view: View): number {
  return view.rows.value.findIndex((row) => row.span === view.selected.value);
}

/** Returns the spans that the view lists, in its order. */
export function listed(view: View): number[] {
  switch (view.mode.value) {
    case "table":
      return view.tableSpans.value;
    case "errors":
      return view.errors.value.flatMap((group) => group.members.map((one) => one.span));
    default:
      return view.rows.value.map((row) => row.span);
  }
}

/** Selects the row that many rows further down. */
export function moveRow(view: View, by: number): void {
  const move = (from: number, count: number) => Math.min(Math.max(from + by, 0), count - 1);
  if (view.mode.value === "logs") {
    view.logAt.value = move(view.logAt.value, view.logs.value.length);
    select(view, view.logs.value[view.logAt.value]?.span ?? -1);
    return;
  }
  const spans = listed(view);
  const span = spans[move(spans.indexOf(view.selected.value), spans.length)];
  if (span === undefined) return;
  if (view.mode.value === "waterfall") view.selected.value = span;
  else select(view, span);
}

/**
 * Folds or unfolds the selected row; without anything to fold, goes to the parent or child.
 *
 * A chain folds into one row, and that row then what is below it.
 */
export function fold(view: View, open: boolean): void {
  const trace = view.trace.value;
  const row = view.rows.value[rowAt(view)];
  if (!trace || !row) return;
  const chain = hiddenChain(row);
  if (row.open === !open) toggle(view, row);
  else if (open && row.open !== null) moveRow(view, 1);
  else if (!open && chain && at1(trace.firstChild, chain.at(-1) ?? -1) >= 0)
    toggle(view, { ...row, chain: null });
  else if (!open) {
    const parent = at1(trace.parent, row.span);
    const above = view.rows.value.find((one) => hiddenChain(one)?.at(-1) === parent);
    select(view, above?.span ?? parent);
  }
}

/** Folds or unfolds a row; never hides the row itself. */
export function toggle(view: View, row: Row): void {
  const set = row.group || row.chain ? view.openGroups : view.collapsed;
  const key = row.chain?.[1] ?? row.span;
  const changed = new Set(set.value);
  if (!changed.delete(key)) changed.add(key);
  batch(() => {
    set.value = changed;
    reveal(view, row.span); // unfolded, it may be part of a chain that is folded
  });
}

export function unfoldAll(view: View): void {
  batch(() => {
    view.collapsed.value = new Set();
    reveal(view, view.selected.value);
  });
}

export function foldToDepth(view: View, depth: number): void {
  const trace = view.trace.value;
  if (!trace) return;
  const folded = foldedTo(trace, depth);
  batch(() => {
    view.collapsed.value = folded;
    let span = view.selected.value;
    while (span >= 0 && at1(trace.depth, span) > depth) span = at1(trace.parent, span);
    view.selected.value = span;
    reveal(view, span);
  });
}

export type Wanted = "error" | "open" | "match";

const NOTHING: { [wanted in Wanted]: string } = {
  error: "No errors",
  open: "No span is open",
  match: "Nothing matches",
};

/**
 * Selects the next or previous span of a kind, in the order of the tree, and around the end; in the
 * list of traces, opens the first or last trace that has one.
 */
export function step(view: View, forward: boolean, kind: Wanted, stay = false): void {
  if (view.mode.value === "traces") {
    const these = view.shownTraces.value.filter((at) => hasWanted(view, at, kind));
    const at = these.at(forward ? 0 : -1);
    if (at === undefined) {
      view.said.value = `${NOTHING[kind]} in these traces.`;
      return;
    }
    openTrace(view, at);
    step(view, forward, kind, forward);
    return;
  }
  const trace = view.trace.value;
  if (!trace) return;
  const by = forward ? 1 : trace.count - 1;
  let span = Math.max(view.selected.value, 0);
  if (stay) span = (span + trace.count - by) % trace.count;
  for (let tried = 0; tried < trace.count; tried++) {
    span = (span + by) % trace.count;
    if (isWanted(view, trace, span, kind)) {
      select(view, span);
      return;
    }
  }
  view.said.value = `${NOTHING[kind]} in this trace.`;
}

function isWanted(view: View, trace: Trace, span: number, kind: Wanted): boolean {
  if (kind === "error") return trace.state[span] === ERROR;
  if (kind === "match") return view.found.value?.[span] === 1;
  return OPEN.has(trace.stateOf(span));
}

function hasWanted(view: View, at: number, kind: Wanted): boolean {
  const trace = view.data.value.traces[at];
  if (!trace) return false;
  if (kind === "error") return at1(trace.counts, ERROR) > 0;
  if (kind === "match") return (view.hits.value?.[at] ?? 0) > 0;
  return STATES.some((state, number) => OPEN.has(state) && at1(trace.counts, number) > 0);
}

/** Goes to the first match, once all that the search needs is loaded. */
export async function goToMatch(view: View): Promise<void> {
  await view.searched();
  if (!view.query.value.node) return;
  if (view.mode.value !== "traces") step(view, true, "match", true);
  else {
    const at = view.shownTraces.value.find((one) => hasWanted(view, one, "match"));
    if (at !== undefined) openTrace(view, at, "traces");
    else view.said.value = `${NOTHING.match} in these traces.`;
  }
}

/** Shows a span in the waterfall, with its details. */
export function goTo(view: View, span: number): void {
  batch(() => {
    view.mode.value = "waterfall";
    select(view, span);
    view.detailsOpen.value = true;
  });
}

/** Shows a window of time; `Esc` returns from it. */
export function zoomTo(view: View, window: Span): void {
  view.isFollowing.value = false;
  view.zooms.value = [...view.zooms.value.slice(1 - MOST_ZOOMS), clamp(window, view.bounds.value)];
}

/** Moves the shown window, without a step for `Esc`. */
export function replaceZoom(view: View, window: Span): void {
  view.zooms.value = [...view.zooms.value.slice(0, -1), window];
}

export function zoomBy(view: View, factor: number, at = 0.5): void {
  // What is followed stays at the right edge.
  const point = view.isFollowing.value ? 1 : at;
  const window = zoomAt(view.window.value, point, factor, view.bounds.value);
  if (view.zooms.value.length === 0) zoomTo(view, window);
  else replaceZoom(view, window);
}

export function panBy(view: View, by: number): void {
  if (view.zooms.value.length === 0) return;
  const window = pan(view.window.value, by, view.bounds.value);
  view.isFollowing.value = false;
  replaceZoom(view, window);
}

/** Follows what goes on: in the window as it is zoomed, and then with all of the time. */
export function follow(view: View): void {
  if (view.isFollowing.value || !view.trace.value?.goesOn) view.zooms.value = [];
  view.isFollowing.value = view.zooms.value.length > 0;
}

export function zoomToSpan(view: View, span: number): void {
  const trace = view.trace.value;
  if (!trace || span < 0) return;
  const times = { from: at1(trace.start, span), to: at1(trace.until, span) };
  zoomTo(view, around(times, view.bounds.value));
}

export function openTrace(view: View, at: number, mode: Mode = "waterfall"): void {
  if (!view.data.value.traces[at]) return;
  batch(() => {
    view.traceAt.value = at;
    view.reset();
    view.mode.value = mode;
  });
}

export function nextMode(view: View): void {
  view.mode.value = MODES[(MODES.indexOf(view.mode.value) + 1) % MODES.length] ?? "waterfall";
}

/** Closes what is open, or undoes one step: help, details, zoom, subtree, filter, search. */
export function back(view: View): void {
  if (view.hasLeftSearch && view.search.value) view.search.value = "";
  else if (view.helpOpen.value) view.helpOpen.value = false;
  else if (view.detailsOpen.value) view.detailsOpen.value = false;
  else if (view.zooms.value.length > 0) {
    view.isFollowing.value = false;
    view.zooms.value = view.zooms.value.slice(0, -1);
  } else if (view.top.value >= 0) view.top.value = -1;
  else if (view.onlyFound.value) view.onlyFound.value = false;
  else if (view.search.value) view.search.value = "";
}

export function copy(view: View, text: string, what: string): void {
  const done = () => {
    view.said.value = `Copied ${what}.`;
  };
  const failed = () => {
    view.said.value = "The browser does not allow copying here.";
  };
  if (navigator.clipboard) navigator.clipboard.writeText(text).then(done, failed);
  else failed();
}
