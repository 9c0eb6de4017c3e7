/**
 * Parses a search, such as `service:shop dur:>500ms not error`.
 *
 * The grammar is that of the terminal; both are tested with the same cases.
 */

import type { Node, Operator, Test } from "./nodes";
import { Reader, SearchError } from "./reader";
import { AMOUNTS, CHOICES, IDS, parseDuration, STATES } from "./words";

export { SearchError };

const MOST_CHARACTERS = 2_000;
const DEEPEST = 20;
const ENDS_WORD = ' \t\r\n()":=';
const ENDS_VALUE = " \t\r\n(),";
const OPERATORS: readonly Operator[] = [">=", "<=", ">", "<"];

/** Returns what a search means; an empty one finds everything. Throws a `SearchError`. */
export function parse(text: string): Node {
  if (text.length > MOST_CHARACTERS) {
    throw new SearchError(
      `${text.length} characters are too many`,
      0,
      `Use ${MOST_CHARACTERS} at most.`,
    );
  }
  return new Parser(text).whole();
}

/** Reads a search from the left; one method for each rule of the grammar. */
class Parser extends Reader {
  private depth = 0;

  whole(): Node {
    const found = this.anyOf();
    if (this.next() === ")") {
      throw new SearchError("a bracket closes that is not open", this.at, "Remove it.");
    }
    return found;
  }

  private anyOf(): Node {
    const items = [this.allOf()];
    while (this.takesWord("or")) {
      if (this.next() === "" || this.next() === ")") {
        throw new SearchError("nothing follows “or”", this.at, "Write a term after it.");
      }
      items.push(this.allOf());
    }
    return one(items) ?? { type: "or", items };
  }

  private allOf(): Node {
    const items: Node[] = [];
    while (this.next() !== "" && this.next() !== ")" && !this.isWord("or")) {
      items.push(this.maybeNot());
    }
    return one(items) ?? { type: "and", items };
  }

  private maybeNot(): Node {
    const isMinus = this.next() === "-" && (this.text[this.at + 1] ?? "").trim() !== "";
    if (isMinus) this.at += 1;
    if (!isMinus && !this.takesWord("not")) return this.term();
    if (this.next() === "" || this.next() === ")") {
      throw new SearchError("nothing follows “not”", this.at, "Write a term after it.");
    }
    this.deeper();
    const item = this.maybeNot();
    this.depth -= 1;
    return { type: "not", item };
  }

  private brackets(): Node {
    const opened = this.at;
    this.at += 1;
    this.deeper();
    const found = this.anyOf();
    if (this.next() !== ")") throw new SearchError("a bracket is not closed", opened, "Add “)”.");
    this.at += 1;
    this.depth -= 1;
    return found;
  }

  private term(): Node {
    const first = this.next();
    if (first === "(") return this.brackets();
    if (first === "<" || first === ">") {
      return { type: "field", key: "dur", tests: [this.comparison("dur", this.until(ENDS_VALUE))] };
    }
    if (first === ":" || first === "=") {
      throw new SearchError("a value without a key", this.at, "Write key:value.");
    }
    const isQuoted = first === '"';
    const word = isQuoted ? this.quoted() : this.until(ENDS_WORD);
    const separator = this.text[this.at];
    if (separator === "=") {
      this.at += 1;
      const start = this.at;
      const value = this.literal(word);
      this.checkExact(word, value, start);
      return { type: "field", key: word, tests: [[{ operator: "is", value }]] };
    }
    if (separator === ":") {
      this.at += 1;
      return this.field(word, isQuoted);
    }
    if (!isQuoted && STATES.includes(word)) {
      return { type: "field", key: "state", tests: [[{ operator: "is", value: word }]] };
    }
    return { type: "text", value: word };
  }

  private field(key: string, isQuoted: boolean): Node {
    if (!isQuoted && (key === "under" || key === "has-child")) {
      if (this.text[this.at] !== "(") {
        throw new SearchError(
          `“${key}:” needs a search in brackets`,
          this.at,
          `Write ${key}:(error).`,
        );
      }
      return { type: "relative", relation: key, item: this.brackets() };
    }
    if (!isQuoted && key === "has") return { type: "has", key: this.literal(key) };
    const tests = [this.value(key)];
    while (this.text[this.at] === ",") {
      this.at += 1;
      tests.push(this.value(key));
    }
    return { type: "field", key, tests };
  }

  private value(key: string): Test[] {
    const at = this.at;
    if (this.text[at] === "/" && !AMOUNTS.has(key)) {
      return [{ operator: "matches", value: this.expression() }];
    }
    if (this.text[at] === '"') {
      const quoted = this.quoted();
      this.checkExact(key, quoted, at);
      return [{ operator: "is", value: quoted }];
    }
    const value = this.until(ENDS_VALUE);
    if (!value) throw new SearchError(`“${key}:” has no value`, at, "Write one, or has:KEY.");
    if (CHOICES.has(key)) this.checkExact(key, value, at);
    return this.comparison(key, value);
  }

  /** Refuses a value that no span can have in this field. */
  private checkExact(key: string, value: string, at: number): void {
    const amounts = AMOUNTS.get(key);
    if (amounts) throw new SearchError(`“${key}” compares durations`, at, `Write ${amounts}.`);
    const choices = CHOICES.get(key);
    if (choices && !choices.includes(value)) {
      const hint = `Use one of ${choices.join(", ")}.`;
      throw new SearchError(`“${value}” is not a value of “${key}”`, at, hint);
    }
  }

  /** Returns the tests of a value that is not quoted: with an operator, a range, a star. */
  private comparison(key: string, value: string): Test[] {
    const at = this.at - value.length;
    if (key === "since") return [{ operator: "is", value: this.amount(key, value, at) }];
    const operator = OPERATORS.find((each) => value.startsWith(each));
    if (operator) return [{ operator, value: this.amount(key, value.slice(operator.length), at) }];
    const dots = value.indexOf("..");
    if (dots > 0 && dots + 2 < value.length) {
      return [
        { operator: ">=", value: this.amount(key, value.slice(0, dots), at) },
        { operator: "<=", value: this.amount(key, value.slice(dots + 2), at) },
      ];
    }
    this.checkExact(key, value, at);
    if (value.endsWith("*")) return [{ operator: "prefix", value: value.slice(0, -1) }];
    if (IDS.includes(key)) return [{ operator: "prefix", value }];
    return [{ operator: "is", value }];
  }

  /** Returns an amount; that of a duration in nanoseconds. */
  private amount(key: string, value: string, at: number): string {
    if (!value)
      throw new SearchError("nothing follows the comparison", at, "Write a value: >500ms.");
    if (!AMOUNTS.has(key)) return value;
    const nanoseconds = parseDuration(value);
    if (nanoseconds !== null) return nanoseconds;
    const hint = "Write a number and ns, us, ms, s, m, h or d.";
    throw new SearchError(`“${value}” is not a duration`, at, hint);
  }

  private deeper(): void {
    this.depth += 1;
    if (this.depth > DEEPEST) {
      throw new SearchError("too many brackets", this.at, `Use ${DEEPEST} levels at most.`);
    }
  }
}

function one(items: Node[]): Node | undefined {
  return items.length === 1 ? items[0] : undefined;
}
