/** Loads attributes, events and links of a live trace: of one span when it is selected, or of all. */

import { computed, signal } from "@preact/signals";
import type { SpanDetails } from "../data/contract";
import type { DetailsSource } from "../data/details";
import type { Trace } from "../model/trace";
import { asApiError, type Client, isAbort } from "./client";
import { allDetails, spanDetails } from "./contract";

/** How often the details of all spans are asked for again, while a search needs them. */
const REFRESH_MS = 2_000;
/** How many spans' details are kept. */
const MOST_KEPT = 200_000;

/** What is known of the details of one trace, by the ids of the spans, as the trace changes. */
export class LiveDetailsStore {
  private readonly known = signal<ReadonlyMap<string, SpanDetails>>(new Map());
  private readonly isWhole = signal(false);
  private readonly problem = signal("");
  private readonly stale = new Set<string>();
  private readonly asked = new Set<string>();
  private loadedAt = Number.NEGATIVE_INFINITY;
  private isLoading = false;
  /** Whether something needs the details of all spans. */
  private isWanted = false;
  private readonly abort = new AbortController();

  constructor(
    private readonly client: Client,
    private readonly traceId: string,
  ) {}

  /** Returns the details by the numbers that the spans have in a trace. */
  of(trace: Trace): DetailsSource {
    return {
      spans: computed(() => {
        const known = this.known.value;
        return known.size === 0 ? null : trace.ids.map((id) => known.get(id) ?? null);
      }),
      isWhole: this.isWhole,
      problem: this.problem,
      load: () => this.load(),
      loadOne: (span) => void this.loadOne(trace.ids[span] ?? ""),
    };
  }

  /** Notes that spans changed: their details are asked for again when they are needed. */
  changed(ids: readonly string[]): void {
    for (const id of ids) if (this.known.peek().has(id)) this.stale.add(id);
    if (this.isWanted) this.isWhole.value = false;
  }

  close(): void {
    this.abort.abort();
  }

  private async load(): Promise<void> {
    await Promise.resolve(); // never changes a signal while the caller computes one
    this.isWanted = true;
    if (this.isLoading || performance.now() - this.loadedAt < REFRESH_MS) return;
    this.isLoading = true;
    try {
      const { signal } = this.abort;
      const path = `traces/${this.traceId}/details`;
      const { details } = await this.client.get(path, allDetails, { signal, exact: true });
      this.known.value = new Map([...this.known.peek(), ...details]);
      this.isWhole.value = true;
      this.problem.value = "";
      this.stale.clear();
    } catch (error) {
      if (isAbort(error)) return;
      this.problem.value = `Attributes could not be read: ${asApiError(error).message}`;
    } finally {
      this.loadedAt = performance.now();
      this.isLoading = false;
    }
  }

  private async loadOne(id: string): Promise<void> {
    const isKnown = this.known.peek().has(id) && this.hasRecord(id) && !this.stale.has(id);
    if (!id || isKnown || this.asked.has(id)) return;
    this.asked.add(id);
    await Promise.resolve();
    try {
      const path = `traces/${this.traceId}/spans/${id}`;
      const { signal } = this.abort;
      const found = await this.client.get(path, spanDetails, { signal, exact: true });
      this.stale.delete(id);
      const kept = this.known.peek().size < MOST_KEPT ? this.known.peek() : [];
      this.known.value = new Map([...kept, [id, found]]);
      this.problem.value = "";
    } catch (error) {
      if (isAbort(error)) return;
      const { message, status } = asApiError(error);
      // A parent that is named and was not recorded has none.
      if (status !== 404) this.problem.value = `Attributes could not be read: ${message}`;
    } finally {
      this.asked.delete(id);
    }
  }

  private hasRecord(id: string): boolean {
    return Object.keys(this.known.peek().get(id)?.record ?? {}).length > 0;
  }
}
