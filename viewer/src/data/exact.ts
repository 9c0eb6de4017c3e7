/** JSON whose whole numbers stay exact: those that a number cannot hold are read as `bigint`. */

import type { Json } from "./contract";

/** Strings and numbers of JSON; matching strings keeps digits within them from being taken. */
const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/gs;
const LONG = /\d{16}/;
const WHOLE = /^-?\d{16,}$/;

/** Returns a mark that whoever wrote the data cannot know, so that no text of it passes for a number. */
function newMark(): string {
  return `${Math.random()}${Math.random()}:`;
}

/** Returns the value of a JSON text. */
export function parseExact(text: string): unknown {
  if (!LONG.test(text)) return JSON.parse(text);
  const mark = newMark();
  let isMarked = false;
  const marked = text.replace(TOKENS, (token) => {
    if (!WHOLE.test(token) || Number.isSafeInteger(Number(token))) return token;
    isMarked = true;
    return `"${mark}${token}"`;
  });
  if (!isMarked) return JSON.parse(text);
  try {
    return JSON.parse(marked, (_, value) =>
      typeof value === "string" && value.startsWith(mark)
        ? BigInt(value.slice(mark.length))
        : value,
    );
  } catch (error) {
    if (error instanceof RangeError) return JSON.parse(text); // too deep to look into
    throw error;
  }
}

/** Returns a value as JSON, with exact whole numbers; indented by so many blanks. */
export function toJson(value: Json, indent = 0): string {
  try {
    return JSON.stringify(value, null, indent);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // a `bigint` is not JSON
  }
  const mark = newMark();
  const marked = JSON.stringify(
    value,
    (_, one) => (typeof one === "bigint" ? `${mark}${one}` : one),
    indent,
  );
  return marked.replaceAll(new RegExp(`"${mark.replaceAll(".", "\\.")}(-?\\d+)"`, "g"), "$1");
}
