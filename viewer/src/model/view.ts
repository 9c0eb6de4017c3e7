/** `View`: what the reader has opened, folded, searched and zoomed, as signals. */

import { batch, computed, type ReadonlySignal, signal } from "@preact/signals";
import type { SpanDetails } from "../data/contract";
import type { Traces } from "../data/decode";
import { DetailsLoader, type DetailsSource } from "../data/details";
import { find, needsDetails, needsNow } from "../search/match";
import type { Node } from "../search/nodes";
import { parse, SearchError } from "../search/parse";
import { type ErrorGroup, groupErrors } from "./errors";
import { type Folding, formedInView, type Row, visibleRows, withAncestors } from "./rows";
import { type Sort, sortedSpans } from "./table";
import type { Span } from "./timescale";
import { at1, type Log, type Trace } from "./trace";

export type Mode = "waterfall" | "flame" | "table" | "logs" | "errors" | "traces";
export const MODES: readonly Mode[] = ["waterfall", "flame", "table", "logs", "errors"];
/** How many traces' attributes are decompressed at once. */
const AT_ONCE = 64;

export type Theme = "system" | "light" | "dark";
export type Zero = "trace" | "span" | "clock";

export interface Query {
  node: Node | null;
  error: SearchError | null;
}

/** What a view gets from the page around it; a report has nothing of this. */
export interface Surroundings {
  /** Where attributes come from, if not from the document. */
  details?: (trace: Trace) => DetailsSource;
  /** Returns an address that opens a place such as `app.py:41 wait` in an editor, or nothing. */
  editorLink?: (place: string) => string | null;
  /** Returns the address of a span in another trace. */
  spanLink?: (traceId: string, spanId: string) => string | null;
  /** Returns what goes to the trace that many places after this one, if there is one. */
  neighbour?: (by: number) => (() => void) | null;
  /** Where the records are, for commands that are copied. */
  folder?: () => string;
}

export class View {
  readonly data = signal<Traces>(null as unknown as Traces);
  /** The server's time while live, as it goes on between two documents; null in a report. */
  readonly clock = signal<number | null>(null);
  readonly traceAt = signal(0);
  readonly mode = signal<Mode>("waterfall");
  readonly theme = signal<Theme>("system");
  /** Changes when colours change, so that canvases are drawn anew. */
  readonly palette = signal(0);
  readonly collapsed = signal<ReadonlySet<number>>(new Set());
  readonly openGroups = signal<ReadonlySet<number>>(new Set());
  /** The span whose subtree is shown alone; -1 for the whole trace. */
  readonly top = signal(-1);
  readonly selected = signal(-1);
  readonly detailsOpen = signal(false);
  readonly helpOpen = signal(false);
  /** Windows of time that the reader zoomed to; the last one is shown, `Esc` drops it. */
  readonly zooms = signal<Span[]>([]);
  /** Whether the window keeps its length and moves along with what goes on. */
  readonly isFollowing = signal(false);
  readonly search = signal("");
  readonly onlyFound = signal(false);
  readonly showCritical = signal(true);
  /** The width that the reader gave to the names; 0 for the usual one. */
  readonly nameWidth = signal(0);
  readonly zero = signal<Zero>("trace");
  /** What happened last, for the status line and assistive technology. */
  readonly said = signal("");
  /** How the table is sorted. */
  readonly sort = signal<Sort>({ column: 4, down: true });
  /** The row of the list of logs; -1 for none. */
  readonly logAt = signal(-1);
  /** Whether the reader has just left the search, which another `Esc` then clears. */
  hasLeftSearch = false;

  readonly trace: ReadonlySignal<Trace | null> = computed(
    () => this.data.value.traces[this.traceAt.value] ?? null,
  );
  readonly bounds = computed<Span>(() => {
    const trace = this.trace.value;
    const now = trace?.goesOn ? this.liveNow : null;
    const to = Math.max(trace?.to ?? 0, now ?? 0);
    const from = trace?.from ?? 0;
    return { from, to: Math.max(to, from + 1) };
  });
  readonly window = computed<Span>(() => {
    const zoom = this.zooms.value.at(-1);
    if (!zoom) return this.bounds.value;
    if (!this.isFollowing.value || !this.trace.value?.goesOn) return zoom;
    const { from, to } = this.bounds.value;
    return { from: Math.max(from, to - (zoom.to - zoom.from)), to };
  });
  readonly details = computed(() => this.loaderOf(this.trace.value));
  readonly query = computed<Query>(() => parsed(this.search.value));
  /** 1 for each span that is found; null without a search. */
  readonly found = computed(() => {
    const { node } = this.query.value;
    const trace = this.trace.value;
    if (!node || !trace) return null;
    const details = this.details.value;
    if (needsDetails(node) && !details.isWhole.value) void details.load();
    return this.foundIn(trace, node, details.spans.value);
  });
  readonly foundCount = computed(() => sum(this.found.value));
  /** How many spans are found in each trace; null without a search. */
  readonly hits = computed<number[] | null>(() => {
    const { node } = this.query.value;
    if (!node) return null;
    // Once, not again for each trace that is loaded.
    if (needsDetails(node) && !this.hasAllDetails.value) void this.loadAll();
    return this.data.value.traces.map((trace) =>
      sum(this.foundIn(trace, node, this.loaderOf(trace).spans.peek())),
    );
  });
  /** The traces that the list shows, by their numbers. */
  readonly shownTraces = computed<number[]>(() => {
    const hits = this.onlyFound.value ? this.hits.value : null;
    const all = this.data.value.traces.map((_, at) => at);
    return hits ? all.filter((at) => hits[at]) : all;
  });
  readonly tableSpans = computed<number[]>(() => {
    const trace = this.trace.value;
    return trace ? sortedSpans(trace, this.found.value, this.sort.value) : [];
  });
  readonly logs = computed<Log[]>(() => {
    const found = this.found.value;
    const logs = this.trace.value?.logs ?? [];
    const kept = logs.filter((log) => !found || (log.span >= 0 && found[log.span]));
    return kept.sort((a, b) => a.time - b.time);
  });
  readonly errors = computed<ErrorGroup[]>(() => {
    const trace = this.trace.value;
    return trace ? groupErrors(trace) : [];
  });
  readonly folding = computed<Folding>(() => {
    const trace = this.trace.value;
    const found = this.onlyFound.value ? this.found.value : null;
    return {
      collapsed: this.collapsed.value,
      openGroups: this.openGroups.value,
      chains: true,
      kept: trace && found ? withAncestors(trace, found) : null,
      top: this.top.value,
    };
  });
  readonly rows = computed<Row[]>(() => {
    const trace = this.trace.value;
    return trace ? visibleRows(trace, this.folding.value) : [];
  });

  private readonly loaders = new Map<Trace, DetailsSource>();
  private readonly hasAllDetails = signal(false);
  private loadingAll: Promise<void> | null = null;

  constructor(
    data: Traces,
    readonly around: Surroundings = {},
  ) {
    this.data.value = data;
    this.reset();
    if (this.data.value.traces.length > 1) this.mode.value = "traces";
  }

  /** The time of the writer, or the last that is known in a report. */
  get now(): number {
    return (
      this.liveNow ?? this.data.value.traces.reduce((most, trace) => Math.max(most, trace.to), 0)
    );
  }

  /** The writer's time as it goes on; null in a report. */
  private get liveNow(): number | null {
    return this.clock.value ?? this.data.value.nowNs;
  }

  /** Returns up to when a span is drawn: one that goes on lasts until now. */
  untilOf(trace: Trace, span: number): number {
    const until = at1(trace.until, span);
    return trace.isGoingOn(span) ? Math.max(until, this.clock.value ?? until) : until;
  }

  /** Shows new data; what is selected and folded stays, by the ids of the spans. */
  update(next: Traces): void {
    const before = this.trace.value;
    this.loaders.clear();
    this.loadingAll = null;
    this.hasAllDetails.value = false;
    const at = next.traces.findIndex((trace) => trace.id === before?.id);
    const after = next.traces[at];
    if (!before || !after) {
      this.data.value = next;
      this.traceAt.value = 0;
      this.reset();
      return;
    }
    const kept = [this.selected, this.top].map((one) => one.value);
    kept.push(...this.collapsed.value, ...this.openGroups.value);
    const wanted = new Set(kept.map((span) => before.ids[span]));
    const places = new Map<string, number>();
    after.ids.forEach((id, span) => {
      if (wanted.has(id)) places.set(id, span);
    });
    const moved = (span: number) => (span < 0 ? -1 : (places.get(before.ids[span] ?? "") ?? -1));
    const movedSet = (spans: ReadonlySet<number>) =>
      new Set([...spans].map(moved).filter((one) => one >= 0));
    const [selected, top] = [moved(this.selected.value), moved(this.top.value)];
    const [collapsed, groups] = [movedSet(this.collapsed.value), movedSet(this.openGroups.value)];
    const seen = { trace: before, rows: this.rows.value, selected: this.selected.value };
    batch(() => {
      this.data.value = next;
      this.traceAt.value = at;
      this.selected.value = selected;
      this.top.value = top;
      this.collapsed.value = collapsed;
      this.openGroups.value = groups;
      const formed = formedInView({ trace: after, rows: this.rows.value }, seen);
      if (formed.length > 0) this.openGroups.value = new Set([...groups, ...formed]);
    });
  }

  /** Forgets what belongs to one trace. */
  reset(): void {
    this.collapsed.value = new Set();
    this.openGroups.value = new Set();
    this.top.value = -1;
    this.zooms.value = [];
    this.isFollowing.value = false;
    this.logAt.value = -1;
    this.selected.value = this.trace.value?.roots[0] ?? -1;
  }

  private loaderOf(trace: Trace | null): DetailsSource {
    if (!trace) return new DetailsLoader(undefined);
    let loader = this.loaders.get(trace) ?? this.around.details?.(trace);
    if (loader) this.loaders.set(trace, loader);
    else {
      const { chunks } = this.data.value;
      const chunk = Object.hasOwn(chunks, trace.details) ? chunks[trace.details] : undefined;
      loader = new DetailsLoader(typeof chunk === "string" ? chunk : undefined);
      this.loaders.set(trace, loader);
    }
    return loader;
  }

  /** Waits until what the search needs is loaded. */
  async searched(): Promise<void> {
    const { node } = this.query.value;
    if (!node || !needsDetails(node)) return;
    await (this.mode.value === "traces" ? this.loadAll() : this.details.value.load());
  }

  /** Loads the attributes of all traces. */
  private loadAll(): Promise<void> {
    this.loadingAll ??= this.readAll();
    return this.loadingAll;
  }

  private async readAll(): Promise<void> {
    const { traces } = this.data.value;
    for (let at = 0; at < traces.length; at += AT_ONCE) {
      await Promise.all(traces.slice(at, at + AT_ONCE).map((trace) => this.loaderOf(trace).load()));
    }
    if (this.data.value.traces === traces) this.hasAllDetails.value = true;
  }

  private foundIn(trace: Trace, node: Node, details: SpanDetails[] | null): Uint8Array {
    const { baseNs, zone } = this.data.value;
    const nowNs = needsNow(node) ? this.now : 0;
    return find(node, { trace, details, nowNs, baseNs, zone });
  }
}

function sum(found: Uint8Array | null): number {
  return found?.reduce((all, one) => all + one, 0) ?? 0;
}

function parsed(search: string): Query {
  if (search.trim() === "") return { node: null, error: null };
  try {
    return { node: parse(search), error: null };
  } catch (error) {
    if (error instanceof SearchError) return { node: null, error };
    throw error;
  }
}
