/** What may follow in a search: fields, states, and what the trace has for them. */

import { CHOICES, FIELDS, STATES } from "../search/words";
import type { Trace } from "./trace";

const MOST = 12;
const MOST_NAMES = 20_000;
const WORDS = [...STATES, ...FIELDS.map((field) => `${field}:`), "has:", "under:(", "has-child:("];

/** Returns whole searches, of which the last word is completed. */
export function completions(trace: Trace | null, search: string): string[] {
  const [, before = "", word = ""] = /^(.*?)([^\s()]*)$/s.exec(search) ?? [];
  if (!word || word.includes('"')) return [];
  const starts = (text: string, beginning: string) =>
    text.toLowerCase().startsWith(beginning.toLowerCase());
  const colon = word.indexOf(":");
  const [key, value] = [word.slice(0, colon), word.slice(colon + 1)];
  const found =
    colon < 0
      ? WORDS.filter((each) => starts(each, word))
      : valuesOf(trace, key)
          .filter((each) => starts(each, value))
          .map((each) => `${key}:${quoted(each)}`);
  return found
    .filter((each) => each !== word)
    .slice(0, MOST)
    .map((each) => before + each);
}

function valuesOf(trace: Trace | null, key: string): readonly string[] {
  const choices = CHOICES.get(key);
  if (choices || !trace) return choices ?? [];
  if (key === "service") return [...new Set(trace.processes.map((process) => process.service))];
  if (key === "process") return trace.processes.map((process) => process.id);
  if (key === "level") return [...new Set(trace.logs.map((log) => log.level))];
  if (key !== "name") return [];
  const names = new Set<string>();
  for (let span = 0; span < Math.min(trace.count, MOST_NAMES); span++) names.add(trace.name(span));
  return [...names].filter((name) => name.length < 100);
}

function quoted(value: string): string {
  return /^[^\s(),"]+$/.test(value) ? value : `"${value.replace(/["\\]/g, "\\$&")}"`;
}
