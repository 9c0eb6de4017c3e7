/** What was said in a run so far: each call of a model repeats it, and it is shown once. */

import type { Message, Part } from "./model";

/** A message of which only the pieces are left that are new; `known` counts the others. */
export interface News {
  messages: Message[];
  known: number;
  fresh: number;
}

/**
 * Tells which pieces of messages are new in a run.
 *
 * By their content, because few instrumentations give messages ids. A piece that stands twice in
 * one history is two pieces: the second "yes" of a person is new when it comes.
 */
export class History {
  /** How often each piece was seen in one history. */
  private readonly seen = new Map<string, number>();

  /** Whether a piece was said. */
  has(key: string): boolean {
    return this.seen.has(key);
  }

  /** Returns what is new in a history, and takes it in. */
  take(messages: readonly Message[]): News {
    return this.walk(messages, new Map());
  }

  /** Takes in what a model was given and what it answered; returns what is new of the first. */
  takeCall(input: readonly Message[], output: readonly Message[]): News {
    const counts = new Map<string, number>();
    const news = this.walk(input, counts);
    this.walk(output, counts);
    return news;
  }

  private walk(messages: readonly Message[], counts: Map<string, number>): News {
    const news: News = { messages: [], known: 0, fresh: 0 };
    for (const message of messages) {
      const parts = message.parts.filter((part) => this.isNew(part, counts));
      news.fresh += parts.length;
      news.known += message.parts.length - parts.length;
      if (parts.length > 0) news.messages.push({ ...message, parts });
    }
    return news;
  }

  private isNew({ key }: Part, counts: Map<string, number>): boolean {
    const count = (counts.get(key) ?? 0) + 1;
    counts.set(key, count);
    if (count <= (this.seen.get(key) ?? 0)) return false;
    this.seen.set(key, count);
    return true;
  }
}
