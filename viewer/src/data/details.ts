/** Loads attributes, events and links of a trace's spans when they are first needed. */

import { type ReadonlySignal, signal } from "@preact/signals";
import type { SpanDetails } from "./contract";
import { inflateExact } from "./inflate";

/** Where the details of one trace come from. */
export interface DetailsSource {
  /** What is loaded so far, by the number of the span; null if nothing is. */
  readonly spans: ReadonlySignal<SpanDetails[] | null>;
  /** Whether the details of all spans are loaded, as they are now. */
  readonly isWhole: ReadonlySignal<boolean>;
  readonly problem: ReadonlySignal<string>;
  load: () => Promise<void>;
  /** Loads at least what is known of one span. */
  loadOne: (span: number) => void;
}

/** The details of one trace in a document. */
export class DetailsLoader implements DetailsSource {
  readonly spans = signal<SpanDetails[] | null>(null);
  readonly isWhole = signal(false);
  readonly problem = signal("");
  private begun: Promise<void> | null = null;

  constructor(private readonly chunk: string | undefined) {}

  /** Loads the chunk once. */
  load(): Promise<void> {
    this.begun ??= this.read();
    return this.begun;
  }

  loadOne(): void {
    void this.load();
  }

  private async read(): Promise<void> {
    await Promise.resolve(); // never changes a signal while the caller computes one
    await this.readChunk();
    this.isWhole.value = true;
  }

  private async readChunk(): Promise<void> {
    if (this.chunk === undefined) {
      this.spans.value = [];
      return;
    }
    try {
      const read = await inflateExact(this.chunk);
      if (!Array.isArray(read)) throw new Error("it is not a list");
      this.spans.value = read.map(checked);
    } catch (error) {
      this.problem.value = `Attributes could not be read: ${String(error)}`;
      this.spans.value = [];
    }
  }
}

/** Returns the entry with every part of the expected form. */
function checked(entry: unknown): SpanDetails {
  if (typeof entry !== "object" || entry === null) return null;
  const details = entry as NonNullable<SpanDetails>;
  return {
    attributes: details.attributes && isObject(details.attributes) ? details.attributes : {},
    events: Array.isArray(details.events) ? details.events.filter(isObject) : [],
    links: Array.isArray(details.links) ? details.links.filter(isObject) : [],
  };
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
