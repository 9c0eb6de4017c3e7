/** The list of traces: pages, live changes that move no row, and traces that are unfolded. */

import { computed, signal } from "@preact/signals";
import { asApiError, type Client } from "../../live/client";
import {
  type ChangedTraces,
  type Histogram,
  histogram,
  ORDERS,
  type Order,
  type Summary,
  type TraceList,
  traceList,
} from "../../live/contract";
import { Loading } from "../loading";
import type { Query } from "../route";
import { isTooLarge, Unfolded } from "./unfolded";

const PAGE = 50;
/** How many new traces are remembered by name until they are shown. */
const MOST_WAITING = 1_000;

/** How many rows the list grows to by itself. */
const MOST_LISTED = 3_000;
const MOST_NUMBERS = 50_000;
/** How many traces an address unfolds at most. */
const MOST_UNFOLDED = 10;
/** How long the histogram waits after new traces. */
const HISTOGRAM_MS = 5_000;
/** How long the list waits after an event that does not hold all changes. */
const AGAIN_MS = 1_000;

/** What chooses the traces. */
export interface Choice {
  q: string;
  order: Order;
  /** Nanoseconds since the epoch, or empty. */
  since: string;
  until: string;
}

export function choiceOf(query: Query): Choice {
  const time = (text = "") => (/^\d{1,20}$/.test(text) ? text : "");
  const order = ORDERS.find((one) => one === query.order) ?? "newest";
  return { q: query.q ?? "", order, since: time(query.since), until: time(query.until) };
}

export class TracesModel {
  readonly ids = signal<string[]>([]);
  readonly summaries = signal<ReadonlyMap<string, Summary>>(new Map());
  readonly waiting = signal<ReadonlySet<string>>(new Set());
  readonly next = signal<string | null>(null);
  readonly searchedUntil = signal<bigint | null>(null);
  readonly hasLoaded = signal(false);
  private readonly loading = new Loading();
  readonly isLoading = this.loading.isLoading;
  readonly problem = this.loading.problem;
  readonly histogram = signal<Histogram | null>(null);
  readonly unfolded = signal<ReadonlyMap<string, Unfolded>>(new Map());
  readonly chosen = signal("");
  /** Traces that are marked, to be compared: at most two. */
  readonly marked = signal<readonly string[]>([]);
  /** Whether new traces wait, because the reader looks at rows that they would move. */
  isHeld = false;
  /** Where the reader has scrolled to. */
  scrolledTo = 0;
  readonly choice = signal<Choice>(choiceOf({}));
  readonly longest = computed(() => {
    let most = 1;
    for (const one of this.summaries.value.values()) most = Math.max(most, one.duration_ns);
    return most;
  });
  private readonly changedAt = new Map<string, number>();
  private histogramTimer: ReturnType<typeof setTimeout> | undefined;
  private againTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly client: Client) {}

  /** Shows the traces of a choice; those of the same choice stay, and what is new is asked for. */
  async show(choice: Choice): Promise<void> {
    const isSame = JSON.stringify(choice) === JSON.stringify(this.choice.peek());
    if (isSame && this.hasLoaded.peek() && !this.problem.peek()) return this.refresh();
    this.choice.value = choice;
    this.waiting.value = new Set();
    await this.load("");
    // What is of another choice must not pass for what this one finds.
    const error = this.problem.peek();
    if (error && error.status !== 400 && !isSame) this.forget();
  }

  /** Loads the next page, if there is one. */
  async more(): Promise<void> {
    const cursor = this.next.peek();
    if (cursor && !this.isLoading.peek()) await this.load(cursor);
  }

  /** Shows what waits. */
  async showWaiting(): Promise<void> {
    this.waiting.value = new Set();
    await this.load("");
  }

  /** Takes changes of the stream; asks for the list again where the event does not hold all. */
  take({ traces: changed, more }: ChangedTraces, sequence: number): void {
    if (more) this.askAgainSoon();
    const summaries = new Map(this.summaries.peek());
    const arrived: Summary[] = [];
    for (const one of changed) {
      const id = one.trace_id;
      if (sequence > 0 && sequence < (this.changedAt.get(id) ?? 0)) continue;
      this.changedAt.set(id, sequence);
      if (!summaries.has(id)) arrived.push(one);
      else summaries.set(id, one);
      if (!isTooLarge(one)) void this.unfolded.peek().get(id)?.load();
    }
    const { order, until } = this.choice.peek();
    const isInserted = order === "newest" && !until && !this.isHeld && this.hasLoaded.peek();
    if (isInserted && arrived.length > 0) {
      arrived.sort((one, other) => Number(other.start_ns - one.start_ns));
      for (const one of arrived) summaries.set(one.trace_id, one);
      this.ids.value = merged(arrived, this.ids.peek(), summaries);
      this.waiting.value = new Set([...this.waiting.peek()].filter((id) => !summaries.has(id)));
    } else if (!until) this.wait(arrived);
    this.summaries.value = summaries;
    if (arrived.length > 0) this.histogramSoon();
    if (this.changedAt.size > MOST_NUMBERS) this.changedAt.clear();
    // A page that is open for days starts again with its first page, while nothing else is in sight.
    if (!this.isHeld && this.ids.peek().length > MOST_LISTED) void this.load("");
  }

  /** Unfolds what an address names, as far as it is in the list. */
  unfoldAll(ids: readonly string[]): void {
    for (const id of ids.slice(0, MOST_UNFOLDED)) {
      if (!this.unfolded.peek().has(id) && this.summaries.peek().has(id)) this.toggle(id);
    }
  }

  /** Takes the next changes whatever their numbers are: the numbers begin again. */
  countAgain(): void {
    this.changedAt.clear();
  }

  toggle(id: string): void {
    const unfolded = new Map(this.unfolded.peek());
    const open = unfolded.get(id);
    const summary = this.summaries.peek().get(id);
    if (open) {
      open.close();
      unfolded.delete(id);
    } else if (summary) {
      const added = new Unfolded(this.client, id);
      unfolded.set(id, added);
      if (!isTooLarge(summary)) void added.load();
    }
    this.unfolded.value = unfolded;
  }

  /** Marks a trace for comparing, or takes the mark away; the older of three marks goes. */
  mark(id: string): void {
    const marked = this.marked.peek();
    this.marked.value = marked.includes(id)
      ? marked.filter((one) => one !== id)
      : [...marked, id].slice(-2);
  }

  /** Returns the trace that many places after one, in the order of the list. */
  neighbour(id: string, by: number): string | undefined {
    const at = this.ids.peek().indexOf(id);
    return at < 0 ? undefined : this.ids.peek()[at + by];
  }

  async loadHistogram(): Promise<void> {
    const choice = this.choice.peek();
    const { q, since, until } = choice;
    let found: Histogram | null;
    try {
      const query = { q, since, until, buckets: 120 };
      found = await this.client.get("traces/histogram", histogram, { query });
    } catch (error) {
      if (asApiError(error).status === 0) return;
      found = null;
    }
    if (choice === this.choice.peek()) this.histogram.value = found;
  }

  private forget(): void {
    this.ids.value = [];
    this.next.value = null;
    this.histogram.value = null;
    this.hasLoaded.value = false;
  }

  private histogramSoon(): void {
    this.histogramTimer ??= setTimeout(() => {
      this.histogramTimer = undefined;
      void this.loadHistogram();
    }, HISTOGRAM_MS);
  }

  private askAgainSoon(): void {
    this.againTimer ??= setTimeout(() => {
      this.againTimer = undefined;
      if (this.isLoading.peek()) this.askAgainSoon();
      else if (this.isHeld) void this.refresh();
      else void this.load("");
    }, AGAIN_MS);
  }

  private wait(arrived: Summary[]): void {
    if (arrived.length === 0) return;
    const waiting = new Set(this.waiting.peek());
    for (const one of arrived) if (waiting.size < MOST_WAITING) waiting.add(one.trace_id);
    this.waiting.value = waiting;
  }

  /** Asks for the first page again, after the page was elsewhere. */
  private async refresh(): Promise<void> {
    const choice = this.choice.peek();
    try {
      const found = await this.ask("");
      if (choice !== this.choice.peek()) return;
      // Without a trace in common, the list would lack those between the two.
      const known = this.summaries.peek();
      const isApart = found.next !== null && !found.traces.some((one) => known.has(one.trace_id));
      if (isApart && !this.isHeld) this.fill(found, "");
      else this.take({ traces: found.traces, more: false }, found.sequence);
    } catch (error) {
      if (choice === this.choice.peek()) this.problem.value = asApiError(error);
    }
    void this.loadHistogram();
  }

  private load(cursor: string): Promise<void> {
    return this.loading.run(
      (signal) => this.ask(cursor, { signal }),
      (found) => {
        this.fill(found, cursor);
        if (!cursor) void this.loadHistogram();
      },
    );
  }

  /** Shows a page of the list: below the others, or alone if it is the first one. */
  private fill(found: TraceList, cursor: string): void {
    const summaries = new Map(cursor ? this.summaries.peek() : []);
    for (const one of found.traces) {
      const newer = this.summaries.peek().get(one.trace_id);
      const isNewer = (this.changedAt.get(one.trace_id) ?? 0) > found.sequence;
      summaries.set(one.trace_id, newer && isNewer ? newer : one);
    }
    this.summaries.value = summaries;
    const ids = found.traces.map((one) => one.trace_id);
    this.ids.value = cursor ? [...new Set([...this.ids.peek(), ...ids])] : ids;
    this.next.value = found.next;
    this.searchedUntil.value = found.searched_until_ns;
    this.hasLoaded.value = true;
    if (cursor) return;
    const isLater = (id: string) => (this.changedAt.get(id) ?? 0) > found.sequence;
    this.waiting.value = new Set([...this.waiting.peek()].filter(isLater));
  }

  private ask(cursor: string, options: { signal?: AbortSignal } = {}) {
    const query = { ...this.choice.peek(), limit: PAGE, cursor };
    return this.client.get("traces", traceList, { query, ...options });
  }
}

/** Puts new traces among those of a list that is sorted by start, the newest first. */
function merged(
  arrived: Summary[],
  ids: string[],
  summaries: ReadonlyMap<string, Summary>,
): string[] {
  const result: string[] = [];
  let at = 0;
  for (const one of arrived) {
    for (; at < ids.length; at++) {
      const start = summaries.get(ids[at] ?? "")?.start_ns ?? 0n;
      if (start <= one.start_ns) break;
      result.push(ids[at] ?? "");
    }
    result.push(one.trace_id);
  }
  return [...result, ...ids.slice(at)];
}
