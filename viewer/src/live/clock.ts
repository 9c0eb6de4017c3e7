/** The server's time. The browser's clock only tells how much time has passed since an answer. */

import { signal } from "@preact/signals";

/** What tells the time that has passed, in milliseconds; only differences count. */
export type Passed = () => number;

export class Clock {
  /** The server's time when the page was last drawn anew; 0 while it is not known. */
  readonly tick = signal(0n);
  private offset: bigint | null = null;
  private stopped: bigint | null = null;

  constructor(private readonly passed: Passed = () => performance.now()) {}

  /** Takes the time that an answer holds, and goes on from there. */
  set(nowNs: bigint): void {
    const offset = nowNs - this.ns();
    // Answers arrive late by differing times: the largest offset is the least late.
    const isStep = this.offset === null || offset - this.offset < -JUMP || this.stopped !== null;
    if (isStep || offset > (this.offset ?? 0n)) this.offset = offset;
    this.stopped = null;
  }

  /** Returns the server's time. */
  now(): bigint {
    return this.stopped ?? (this.offset === null ? 0n : this.ns() + this.offset);
  }

  get isKnown(): boolean {
    return this.offset !== null;
  }

  /** Keeps the time at what it is, until an answer comes. */
  stop(): void {
    if (this.isKnown) this.stopped = this.now();
  }

  /** Publishes the time, for what shows it. */
  beat(): void {
    this.tick.value = this.now();
  }

  private ns(): bigint {
    return BigInt(Math.round(this.passed() * 1e6));
  }
}

/** A time that is this much earlier than expected was set back. */
const JUMP = 1_000_000_000n;
