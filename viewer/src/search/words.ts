/** The words of the search grammar, and the parsing of its durations and expressions. */

import { KINDS, STATES as SPAN_STATES } from "../data/contract";

/** The words that alone mean `state:WORD`. */
export const STATES: readonly string[] = SPAN_STATES.filter(
  (state) => state !== "missing" && state !== "open",
);

/** The keys that are not those of attributes. */
export const FIELDS: readonly string[] =
  "name service kind state dur self age trace span process thread task file error level log is since at".split(
    " ",
  );

export const CHOICES = new Map<string, readonly string[]>([
  ["state", STATES],
  ["is", ["root", "leaf", "critical", "orphan"]],
  ["kind", KINDS],
]);

/** Fields that are compared with durations, and how. */
export const AMOUNTS = new Map([
  ...["dur", "self", "age"].map((key) => [key, `${key}:>1s or ${key}:1ms..5ms`] as const),
  ["since", "since:10m"],
]);

/** Fields with long values, of which the beginning is enough. */
export const IDS: readonly string[] = ["trace", "span"];

const SMALL: readonly [string, number][] = [
  ["us", 1_000],
  ["µs", 1_000],
  ["ns", 1],
];
const UNITS = new Map([
  ["ms", 1e6],
  ["s", 1e9],
  ["m", 60e9],
  ["h", 3_600e9],
  ["d", 86_400e9],
]);

/** Returns a duration such as `500ms` in nanoseconds; null if it is not one. */
export function parseDuration(text: string): string | null {
  for (const [unit, nanoseconds] of SMALL) {
    const number = text.slice(0, -unit.length);
    if (text.endsWith(unit) && /^[0-9]+$/.test(number)) {
      return String(BigInt(number) * BigInt(nanoseconds));
    }
  }
  const match = /^([0-9]{1,20}(?:\.[0-9]{1,400})?) *([A-Za-z]{1,3})$/.exec(text.trim());
  const factor = UNITS.get(match?.[2]?.toLowerCase() ?? "");
  return match && factor ? String(Math.round(Number(match[1]) * factor)) : null;
}

/** Returns a regular expression, in which Python's `(?i)` and `(?P<name>` are understood. */
export function expression(written: string): RegExp {
  const ignoresCase = written.startsWith("(?i)");
  const source = (ignoresCase ? written.slice(4) : written).replaceAll("(?P<", "(?<");
  const flags = ignoresCase ? "i" : "";
  try {
    return new RegExp(source, `${flags}u`);
  } catch {
    return new RegExp(source, flags); // an escape that the strict mode refuses
  }
}
