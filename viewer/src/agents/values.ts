/** Reads attributes of which nothing is known: every answer is of the type that is asked for. */

import type { Attributes, Json } from "../data/contract";
import { parseExact, toJson } from "../data/exact";

/** How many entries of a list are read; of a longer one the last. */
const MOST_ENTRIES = 20_000;
const MOST_NAME = 300;
const MOST_DEPTH = 12;

export type Fields = { [key: string]: Json | undefined };

/** Returns the fields of an object; none of anything else. */
export function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Fields)
    : {};
}

/** Returns the first of the values that is a text with characters; cut to the length of a name. */
export function nameIn(fields: Fields, ...keys: string[]): string {
  return firstName(fields, keys);
}

/** As `nameIn`, of a list of keys. */
export function firstName(fields: Fields, keys: readonly string[]): string {
  for (const key of keys) {
    const value = fields[key];
    if (typeof value === "string" && value !== "") return value.slice(0, MOST_NAME);
  }
  return "";
}

/** Returns the first of the values that is a number of things. */
export function firstCount(fields: Fields, keys: readonly string[]): number | null {
  for (const key of keys) {
    const value = fields[key];
    const count = typeof value === "string" && value !== "" ? Number(value) : value;
    if (typeof count === "bigint" && count >= 0n) return Number(count);
    if (typeof count === "number" && count >= 0 && Number.isFinite(count)) return count;
  }
  return null;
}

/** Returns the first value that is there. */
export function firstValue(fields: Fields, keys: readonly string[]): Json | undefined {
  for (const key of keys) {
    const value = fields[key];
    if (value !== undefined && value !== null) return value;
  }
  return undefined;
}

/** Returns the object or list that a text holds as JSON; any other value as it is. */
export function parsed(value: Json | undefined): Json | undefined {
  if (typeof value !== "string" || !/^\s*[[{]/.test(value)) return value;
  try {
    return parseExact(value) as Json;
  } catch {
    return value;
  }
}

/** Returns a list of a value: itself, what its text holds, or the value alone. */
export function listOf(value: Json | undefined): Json[] {
  const found = parsed(value);
  if (found === undefined || found === null || found === "") return [];
  return Array.isArray(found) ? found.slice(-MOST_ENTRIES) : [found];
}

/** The texts of objects and lists, which are large and asked for again. */
const texts = new WeakMap<object, string>();

/** Returns a value as text, the same for a value and for its JSON, to compare it with others. */
export function canonical(value: Json | undefined): string {
  const found = parsed(value);
  if (typeof found === "string") return found.trim();
  if (typeof found !== "object" || found === null) return String(found ?? null);
  const text = texts.get(found) ?? jsonOf(found);
  texts.set(found, text);
  return text;
}

function jsonOf(value: Json): string {
  try {
    return toJson(value);
  } catch {
    return "(too deep)";
  }
}

/** Matches `PREFIX.NUMBER.REST` of the lists that are written as one attribute for each value. */
const INDEXED =
  /^(llm\.(?:input|output)_messages|gen_ai\.(?:prompt|completion)|retrieval\.documents|llm\.tools)\.(\d{1,6})(?:\.(.+))?$/;

/** Lists that are written as one attribute for each value, by their prefix. */
export type Indexed = { [prefix: string]: Json[] };

/** Returns the lists of attributes that are written as one attribute for each value. */
export function indexedIn(attributes: Attributes): Indexed {
  const found: { [prefix: string]: Fields } = Object.create(null);
  for (const key in attributes) {
    const match = INDEXED.exec(key);
    if (!match) continue;
    const [, prefix = "", index = "", rest] = match;
    found[prefix] ??= Object.create(null) as Fields;
    const path = rest === undefined ? [index] : [index, ...rest.split(".")];
    if (path.length <= MOST_DEPTH) put(found[prefix] as Fields, path, attributes[key] ?? null);
  }
  const lists: Indexed = {};
  for (const prefix in found) lists[prefix] = listOf(withLists(found[prefix] as Json));
  return lists;
}

function put(fields: Fields, path: string[], value: Json): void {
  const last = path.length - 1;
  let within = fields;
  for (const key of path.slice(0, last)) {
    within[key] ??= Object.create(null) as { [key: string]: Json };
    const next = within[key];
    if (typeof next !== "object" || next === null) return; // a value has the place of a branch
    within = next as Fields;
  }
  within[path[last] as string] ??= value;
}

/** Turns objects whose keys are all numbers into lists; their depth is bounded by `put`. */
function withLists(value: Json): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  if (Object.getPrototypeOf(value) !== null) return value; // a value of an attribute, not a branch
  const keys = Object.keys(value);
  for (const key of keys) value[key] = withLists(value[key] as Json);
  if (!keys.every((key) => /^\d+$/.test(key))) return value;
  // Keys that are whole numbers come in their order.
  return keys.map((key) => value[key] as Json);
}
