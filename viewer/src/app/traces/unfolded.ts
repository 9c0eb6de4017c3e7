/** A trace that is unfolded in the list: its spans, kept up to date. */

import { signal } from "@preact/signals";
import { asApiError, type Client, isAbort } from "../../live/client";
import type { Summary } from "../../live/contract";
import { LiveTrace } from "../../live/liveTrace";
import { liveTrace } from "../../live/traceAnswer";
import { type Row, visibleRows } from "../../model/rows";
import type { Trace } from "../../model/trace";

/** Larger traces are not loaded for a look into them. */
const MOST_SPANS = 5_000;
/** How many rows are shown in the list. */
const MOST_ROWS = 40;
const LEAST_WAIT_MS = 400;

export class Unfolded {
  readonly trace = signal<Trace | null>(null);
  readonly problem = signal("");
  private readonly live: LiveTrace;
  private readonly abort = new AbortController();
  private loading = false;
  private isStale = false;

  constructor(
    private readonly client: Client,
    readonly id: string,
  ) {
    this.live = new LiveTrace(id);
  }

  get baseNs(): bigint {
    return this.live.baseNs;
  }

  /** Loads what has changed; at once, but not again before a moment has passed. */
  async load(): Promise<void> {
    if (this.loading) {
      this.isStale = true;
      return;
    }
    this.loading = true;
    this.isStale = false;
    try {
      const { signal } = this.abort;
      const query = { after: this.live.sequence || null };
      const answer = await this.client.get(`traces/${this.id}`, liveTrace, { query, signal });
      this.live.apply(answer);
      this.trace.value = this.live.build();
      this.problem.value = "";
    } catch (error) {
      if (isAbort(error)) return;
      this.problem.value = asApiError(error).message;
    }
    setTimeout(() => {
      this.loading = false;
      if (this.isStale && !this.abort.signal.aborted) void this.load();
    }, LEAST_WAIT_MS);
  }

  /** Returns the rows of spans that are shown, and how many are not. */
  rows(): { rows: Row[]; left: number } {
    const trace = this.trace.value;
    if (!trace) return { rows: [], left: 0 };
    const all = visibleRows(trace, {
      collapsed: new Set(),
      openGroups: new Set(),
      chains: false, // nothing can be unfolded here, and the rows stay while spans end
      kept: null,
      top: -1,
    });
    return { rows: all.slice(0, MOST_ROWS), left: Math.max(0, all.length - MOST_ROWS) };
  }

  close(): void {
    this.abort.abort();
  }
}

export function isTooLarge(summary: Summary): boolean {
  return summary.spans > MOST_SPANS;
}
