/** What a search consists of, once it is parsed; the same as in the terminal. */

export type Operator = "is" | "prefix" | "matches" | "<" | "<=" | ">" | ">=";

export interface Test {
  operator: Operator;
  value: string;
}

export type Node =
  /** A text anywhere: in the name, the error, an attribute or a log. */
  | { type: "text"; value: string }
  /** A field, of which one of several groups of tests holds: `key:1..5,9` has two. */
  | { type: "field"; key: string; tests: Test[][] }
  /** A field that a span has, whatever its value. */
  | { type: "has"; key: string }
  /** Spans below one that is found, or with one among their children. */
  | { type: "relative"; relation: "under" | "has-child"; item: Node }
  | { type: "not"; item: Node }
  | { type: "and"; items: Node[] }
  | { type: "or"; items: Node[] };
