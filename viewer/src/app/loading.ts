/** `Loading`: one request at a time, and why the last one failed. */

import { signal } from "@preact/signals";
import { type ApiError, asApiError, isAbort } from "../live/client";

export class Loading {
  readonly isLoading = signal(false);
  /** Why the last request failed; null once one has succeeded. */
  readonly problem = signal<ApiError | null>(null);
  private abort = new AbortController();

  /** Gives up the request before this one; `take` gets the answer unless this one is given up. */
  async run<T>(
    request: (signal: AbortSignal) => Promise<T>,
    take: (answer: T) => void,
  ): Promise<void> {
    this.abort.abort();
    this.abort = new AbortController();
    const { signal } = this.abort;
    this.isLoading.value = true;
    try {
      const answer = await request(signal);
      if (signal.aborted) return;
      take(answer);
      this.problem.value = null;
    } catch (error) {
      if (!signal.aborted && !isAbort(error)) this.problem.value = asApiError(error);
    } finally {
      if (!signal.aborted) this.isLoading.value = false;
    }
  }
}
