/** `Reader`: takes words, quoted texts and expressions from a search, from left to right. */

import { expression } from "./words";

const ENDS_LITERAL = " \t\r\n()";

/** A search cannot be understood: what is wrong, where, and the way out. */
export class SearchError extends Error {
  constructor(
    readonly problem: string,
    /** The number of characters before the place. */
    readonly at: number,
    readonly hint: string,
  ) {
    super(`search, character ${at + 1}: ${problem}. ${hint}`);
  }
}

export class Reader {
  protected at = 0;

  constructor(protected readonly text: string) {}

  protected expression(): string {
    const at = this.at;
    this.at += 1;
    const written = this.escaped("/", at, "an expression is not closed", "Add “/”.", true);
    try {
      expression(written);
    } catch {
      throw new SearchError(`/${written}/ is not a regular expression`, at, "Correct or quote it.");
    }
    return written;
  }

  protected quoted(): string {
    const at = this.at;
    this.at += 1;
    return this.escaped('"', at, "a quote is not closed", 'Add “"”.', false);
  }

  /** Returns the text up to `end`, which a backslash before it makes part of the text. */
  protected escaped(end: string, at: number, problem: string, hint: string, keep: boolean): string {
    let found = "";
    while (this.at < this.text.length) {
      const character = this.text[this.at++] ?? "";
      if (character === end) return found;
      if (character === "\\" && this.at < this.text.length) {
        const next = this.text[this.at++] ?? "";
        found += keep && next !== end ? `\\${next}` : next;
      } else {
        found += character;
      }
    }
    throw new SearchError(problem, at, hint);
  }

  /** Returns a value as it stands, up to a blank or bracket. */
  protected literal(key: string): string {
    if (this.text[this.at] === '"') return this.quoted();
    const value = this.until(ENDS_LITERAL);
    if (!value) throw new SearchError(`“${key}” has no value`, this.at, "Write one.");
    return value;
  }

  protected until(ends: string): string {
    const start = this.at;
    while (this.at < this.text.length && !ends.includes(this.text[this.at] as string)) this.at += 1;
    return this.text.slice(start, this.at);
  }

  /** Returns the next character that is not blank; empty at the end. */
  protected next(): string {
    while (this.at < this.text.length && isBlank(this.text[this.at])) this.at += 1;
    return this.text[this.at] ?? "";
  }

  protected isWord(word: string): boolean {
    this.next();
    const end = this.at + word.length;
    const after = this.text[end];
    return (
      this.text.slice(this.at, end) === word &&
      (after === undefined || isBlank(after) || after === "(")
    );
  }

  protected takesWord(word: string): boolean {
    const found = this.isWord(word);
    if (found) this.at += word.length;
    return found;
  }
}

function isBlank(character: string | undefined): boolean {
  return character !== undefined && character.trim() === "";
}
