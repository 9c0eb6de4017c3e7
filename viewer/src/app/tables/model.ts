/** Operations, errors and comparisons: asked for when they are shown, and now and then again. */

import { signal } from "@preact/signals";
import type { Query } from "../../live/client";
import { type ApiError, asApiError, type Client, isAbort } from "../../live/client";
import type { Shape } from "../../live/shape";

/** An answer that is asked for again, while the last one stays in sight. */
export class Asked<T> {
  readonly value = signal<T | null>(null);
  readonly problem = signal<ApiError | null>(null);
  readonly isLoading = signal(false);
  private asked = "";
  private abort = new AbortController();

  constructor(
    private readonly client: Client,
    private readonly path: string,
    private readonly shape: Shape<T>,
  ) {}

  /** Asks; an answer to another question is forgotten at once. */
  async ask(query: Query): Promise<void> {
    const asked = JSON.stringify(query);
    if (asked !== this.asked) this.value.value = null;
    this.asked = asked;
    this.abort.abort();
    this.abort = new AbortController();
    const { signal } = this.abort;
    this.isLoading.value = true;
    try {
      this.value.value = await this.client.get(this.path, this.shape, { query, signal });
      this.problem.value = null;
    } catch (error) {
      if (isAbort(error)) return;
      this.problem.value = asApiError(error);
    } finally {
      if (!signal.aborted) this.isLoading.value = false;
    }
  }
}
