/** One open trace: loads it, follows its changes, and feeds the view without making the page stutter. */

import { signal } from "@preact/signals";
import type { Traces } from "../../data/decode";
import { type ApiError, asApiError, type Client, isAbort } from "../../live/client";
import { LiveDetailsStore } from "../../live/liveDetails";
import { LiveTrace } from "../../live/liveTrace";
import { type LiveTraceAnswer, liveTrace } from "../../live/traceAnswer";
import { applyAddress } from "../../model/address";
import type { Trace } from "../../model/trace";
import { type Surroundings, View } from "../../model/view";

/** The least time between two trees; after a slow one, this many times as long as it took. */
const LEAST_WAIT_MS = 100;
const REST = 6;
/** From how many spans on a trace is shown before its critical paths are known. */
const MANY = 10_000;
/** How long the page is kept busy at a time. */
const SLICE_MS = 12;
/** How often the right edge moves: more spans, less often. */
const SPANS_PER_MS = 40;

export class TraceModel {
  readonly view = signal<View | null>(null);
  readonly problem = signal<ApiError | null>(null);
  /** Changes with each answer, for what reads the trace by itself. */
  readonly sequence = signal(0);
  /** Whether the server has answered, be it that it does not know the trace. */
  readonly isReady = signal(false);
  readonly live: LiveTrace;
  private readonly details: LiveDetailsStore;
  private readonly abort = new AbortController();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private loading: Promise<void> | null = null;
  private isBuilding = false;
  private isStale = false;
  private clockedAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly client: Client,
    readonly id: string,
    private readonly around: Surroundings,
    /** What the address says when the trace is first shown. */
    private readonly address: () => string,
  ) {
    this.live = new LiveTrace(id);
    this.details = new LiveDetailsStore(client, id);
  }

  /** Loads the whole trace, or what has changed since it was last open. */
  load(): Promise<void> {
    this.loading ??= this.ask().finally(() => {
      this.loading = null;
    });
    return this.loading;
  }

  private async ask(): Promise<void> {
    try {
      const { signal } = this.abort;
      const query = { after: this.live.sequence || null };
      const answer = await this.client.get(`traces/${this.id}`, liveTrace, { query, signal });
      this.problem.value = null;
      this.take(answer);
    } catch (error) {
      if (isAbort(error)) return;
      this.problem.value = asApiError(error);
    }
    this.isReady.value = true;
  }

  /** Takes what changed; the view follows soon. */
  take(answer: LiveTraceAnswer): void {
    if (answer.trace_id !== this.id || this.abort.signal.aborted) return;
    const ids = this.live.apply(answer);
    this.details.changed(ids);
    this.sequence.value = answer.sequence;
    if (this.view.peek() && ids.length === 0 && answer.logs.length === 0) return;
    this.isStale = true;
    this.buildSoon(0);
  }

  /** Moves the right edge to the server's time; seldom where there are many spans. */
  tick(nowNs: bigint): void {
    const view = this.view.peek();
    const trace = view?.trace.peek();
    if (!view || !trace || nowNs === 0n) return;
    const wait = trace.goesOn ? Math.max(50, trace.count / SPANS_PER_MS) : 1_000;
    const at = performance.now();
    if (at - this.clockedAt < wait) return;
    this.clockedAt = at;
    view.clock.value = Number(nowNs - this.live.baseNs);
  }

  close(): void {
    this.abort.abort();
    clearTimeout(this.timer);
    this.details.close();
  }

  private buildSoon(wait: number): void {
    if (this.isBuilding || this.timer !== undefined) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      void this.build();
    }, wait);
  }

  private async build(): Promise<void> {
    this.isBuilding = true;
    this.isStale = false;
    const began = performance.now();
    const isEarly = this.view.peek() === null && this.live.count > MANY;
    const trace = await inSlices(this.live.steps(isEarly), (early) => {
      if (early && !this.abort.signal.aborted) this.show(early);
    });
    if (this.abort.signal.aborted) return;
    this.show(trace);
    const cost = performance.now() - began;
    this.isBuilding = false;
    this.timer = setTimeout(
      () => {
        this.timer = undefined;
        if (this.isStale) void this.build();
      },
      Math.max(LEAST_WAIT_MS, cost * REST),
    );
  }

  private show(trace: Trace): void {
    const { baseNs, zone } = this.live;
    const traces: Traces = {
      baseNs,
      nowNs: null,
      writtenNs: trace.to,
      zone,
      note: "",
      processes: trace.processes,
      traces: [trace],
      chunks: {},
    };
    const view = this.view.peek();
    if (view) {
      view.update(traces);
      return;
    }
    const made = new View(traces, { ...this.around, details: (one) => this.details.of(one) });
    made.clock.value = trace.to;
    applyAddress(made, this.address());
    this.view.value = made;
  }
}

/** Does work in steps, and lets the page draw when a slice of time is over. */
export async function inSlices<S, T>(steps: Generator<S, T>, take: (part: S) => void): Promise<T> {
  let began = performance.now();
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    take(step.value);
    if (performance.now() - began < SLICE_MS) continue;
    await new Promise((resolve) => setTimeout(resolve, 0));
    began = performance.now();
  }
}
