/** Whether a value passes one test of a search; the same rules as in the terminal. */

import type { Json } from "../data/contract";
import { toJson } from "../data/exact";
import type { Operator, Test } from "./nodes";
import { expression } from "./words";

/** Returns a value as text, as it is searched. */
export function textOf(value: Json): string {
  if (typeof value === "string") return value;
  return typeof value === "object" ? toJson(value) : String(value);
}

export function holds(test: Test, value: Json): boolean {
  const text = textOf(value);
  if (test.operator === "is") return text === test.value;
  if (test.operator === "prefix") return text.startsWith(test.value);
  if (test.operator === "matches") return compiled(test.value).test(text);
  const left = numberOf(value);
  const right = numberOf(test.value);
  if (left !== null && right !== null) return compare(test.operator, order(left, right));
  const isNumber = typeof value !== "string" && typeof value !== "object";
  if (isNumber || (left === null) !== (right === null)) return false;
  return compare(test.operator, order(text, test.value));
}

let lastWritten = "";
let lastCompiled = /(?:)/;

/** Returns the compiled expression; the last one is kept, as it is tried on every span. */
function compiled(written: string): RegExp {
  if (written !== lastWritten) {
    lastCompiled = expression(written);
    lastWritten = written;
  }
  return lastCompiled;
}

function order<T extends number | string>(left: T, right: T): number {
  return Number(left > right) - Number(left < right);
}

function compare(operator: Operator, sign: number): boolean {
  if (sign === 0) return operator === "<=" || operator === ">=";
  return sign > 0 ? operator === ">" || operator === ">=" : operator === "<" || operator === "<=";
}

function numberOf(value: Json): number | null {
  if (typeof value === "number" || typeof value === "bigint") return Number(value);
  if (typeof value !== "string") return null;
  return /^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i.test(value) ? Number(value) : null;
}
