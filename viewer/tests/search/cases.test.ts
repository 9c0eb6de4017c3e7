/** Searches find what the cases say that the terminal's tests read too. */

import { describe, expect, test } from "vitest";
import cases from "../../../tests/cases/search/cases.json";
import type { Attributes, Kind, SpanDetails, State } from "../../src/data/contract";
import { decode } from "../../src/data/decode";
import type { Trace } from "../../src/model/trace";
import { find } from "../../src/search/match";
import { parse, SearchError } from "../../src/search/parse";
import { documentOf, type Given } from "../documents";

interface CaseSpan {
  id: string;
  parent?: string;
  name: string;
  state: State;
  start_ns: number;
  end_ns?: number;
  process?: string;
  kind?: Kind;
  error?: string;
  attributes: Attributes;
  logs?: [string, string][];
}
interface Cases {
  now_ns: number;
  spans: CaseSpan[];
  cases: { search: string; finds?: string[]; error?: number }[];
}

const CASES = cases as unknown as Cases;

/** Returns the spans of the cases, with the parents that are missing before their children. */
function given(): Given[] {
  const known = new Set(CASES.spans.map((span) => span.id));
  return CASES.spans.flatMap((span): Given[] => {
    const end = span.end_ns ?? null;
    const until = end ?? CASES.now_ns;
    const children = CASES.spans.filter((child) => child.parent === span.id);
    const covered = children.reduce(
      (sum, child) => sum + (child.end_ns ?? CASES.now_ns) - child.start_ns,
      0,
    );
    const own: Given = {
      id: span.id,
      name: span.name,
      state: span.state,
      start: span.start_ns,
      end,
      until,
      self: until - span.start_ns - covered,
      kind: span.kind ?? "internal",
      process: span.process === "q" ? 1 : 0,
      error: span.error ?? "",
      logs: span.logs ?? [],
      ...(span.parent ? { parent: span.parent } : {}),
    };
    if (!span.parent || known.has(span.parent)) return [own];
    const missing: Given = {
      id: span.parent,
      state: "missing",
      start: span.start_ns,
      end: null,
      process: -1,
    };
    return [{ ...missing, until }, own];
  });
}

const data = decode(documentOf(given()));
const trace = data.traces[0] as Trace;
const details: SpanDetails[] = trace.ids.map((id) => {
  const span = CASES.spans.find((one) => one.id === id);
  return span ? { attributes: span.attributes } : null;
});

describe("the shared cases", () => {
  test.each(CASES.cases)("$search", ({ search, finds, error }) => {
    if (error !== undefined) {
      const found = caught(search);
      expect(found.at).toBe(error);
      expect(found.hint).not.toBe("");
      return;
    }
    const found = find(parse(search), {
      trace,
      details,
      nowNs: CASES.now_ns,
      baseNs: 0n,
      zone: "+00:00",
    });
    expect(trace.ids.filter((_, span) => found[span]).sort()).toEqual(finds);
  });
});

test.each(["(".repeat(500), "not ".repeat(400), "a".repeat(3000), "under:(".repeat(100)])(
  "a search is bounded",
  (text) => {
    expect(caught(text)).toBeInstanceOf(SearchError);
  },
);

test("any text is a search or an error with its place", () => {
  const alphabet = 'ab()":=,-/<>.* ornt[\\';
  let seed = 1;
  for (let round = 0; round < 3000; round++) {
    let text = "";
    for (let at = 0; at < round % 40; at++) {
      seed = (seed * 48271) % 2147483647;
      text += alphabet[seed % alphabet.length];
    }
    try {
      parse(text);
    } catch (error) {
      expect(error).toBeInstanceOf(SearchError);
      expect((error as SearchError).at).toBeLessThanOrEqual(text.length);
    }
  }
});

function caught(search: string): SearchError {
  try {
    parse(search);
  } catch (error) {
    return error as SearchError;
  }
  throw new Error("no error");
}
