/** Small documents for tests. */

import {
  FORMAT,
  KINDS,
  type Kind,
  STATES,
  type State,
  type TracesDocument,
} from "../src/data/contract";
import { decode, type Traces } from "../src/data/decode";
import type { Trace } from "../src/model/trace";

export interface Given {
  id: string;
  parent?: string;
  name?: string;
  state?: State;
  start?: number;
  end?: number | null;
  until?: number;
  self?: number;
  kind?: Kind;
  process?: number;
  error?: string;
  logs?: [string, string][];
}

export const SERVICES = ["shop", "bank"];

/** Returns a document with one trace; parents must come before children. */
export function documentOf(given: Given[], processIds = ["p", "q"]): TracesDocument {
  const strings: string[] = [];
  const indexOf = (text: string) => {
    const known = strings.indexOf(text);
    return known >= 0 ? known : strings.push(text) - 1;
  };
  const place = given.map((span) => span.id);
  return {
    format: FORMAT,
    version: 1,
    base_ns: "1795967377357913200",
    now_ns: null,
    written_ns: 10,
    zone: "+00:00",
    note: "",
    strings,
    processes: processIds.map((id, at) => ({
      id: indexOf(id),
      label: indexOf(`${SERVICES[at]} 123`),
      service: indexOf(SERVICES[at] ?? ""),
      state: "unknown" as const,
    })),
    traces: [
      {
        trace_id: "t",
        note: "",
        left_out: 0,
        spans: {
          id: place,
          parent: given.map((span) => (span.parent ? place.indexOf(span.parent) : -1)),
          name: given.map((span) => (span.name === undefined ? -1 : indexOf(span.name))),
          state: given.map((span) => STATES.indexOf(span.state ?? "ended")),
          kind: given.map((span) => KINDS.indexOf(span.kind ?? "internal")),
          process: given.map((span) => span.process ?? 0),
          start: given.map((span) => span.start ?? 0),
          end: given.map((span) => (span.end === undefined ? 10 : span.end)),
          until: given.map((span) => span.until ?? span.end ?? 10),
          self: given.map((span) => span.self ?? 0),
          error: given.map((span) => (span.error ? indexOf(span.error) : -1)),
          file: given.map(() => -1),
          line: given.map(() => 0),
          function: given.map(() => -1),
          cause: given.map(() => -1),
          where: given.map(() => -1),
        },
        paths: [],
        logs: given.flatMap((span, at) =>
          (span.logs ?? []).map(([level, text]): [number, number, number, number, number] => [
            at,
            0,
            indexOf(level),
            indexOf(text),
            -1,
          ]),
        ),
        details: "",
      },
    ],
    chunks: {},
  };
}

export function tracesOf(given: Given[]): Traces {
  return decode(documentOf(given));
}

export function traceOf(given: Given[]): Trace {
  return tracesOf(given).traces[0] as Trace;
}
