/** Operations, errors and comparisons: asked for when they are shown, and now and then again. */

import { signal } from "@preact/signals";
import type { Client, Query } from "../../live/client";
import type { Shape } from "../../live/shape";
import { Loading } from "../loading";

/** An answer that is asked for again, while the last one stays in sight. */
export class Asked<T> {
  readonly value = signal<T | null>(null);
  private readonly loading = new Loading();
  readonly problem = this.loading.problem;
  readonly isLoading = this.loading.isLoading;
  private asked = "";

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
    await this.loading.run(
      (signal) => this.client.get(this.path, this.shape, { query, signal }),
      (answer) => {
        this.value.value = answer;
      },
    );
  }
}
