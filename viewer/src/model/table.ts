/** The columns of the table of spans, and its order. */

import { at1, type Trace } from "./trace";

export interface Column {
  title: string;
  order: (trace: Trace, a: number, b: number) => number;
}

export interface Sort {
  column: number;
  down: boolean;
}

export const COLUMNS: readonly Column[] = [
  { title: "Name", order: (trace, a, b) => compare(trace.name(a), trace.name(b)) },
  { title: "Service", order: (trace, a, b) => compare(trace.service(a), trace.service(b)) },
  { title: "State", order: (trace, a, b) => at1(trace.state, a) - at1(trace.state, b) },
  { title: "Start", order: (trace, a, b) => at1(trace.start, a) - at1(trace.start, b) },
  { title: "Duration", order: (trace, a, b) => trace.duration(a) - trace.duration(b) },
  { title: "Self", order: (trace, a, b) => at1(trace.self, a) - at1(trace.self, b) },
];

/** The columns from this one on are figures, of which the largest come first. */
export const FIGURES = 3;

/** Returns the numbers of the columns that say something about a trace. */
export function usedColumns(trace: Trace): number[] {
  const hasServices = trace.processes.some((process) => process.service);
  return COLUMNS.map((_, column) => column).filter((column) => column !== 1 || hasServices);
}

/** Returns the spans that are found, in order. */
export function sortedSpans(trace: Trace, found: Uint8Array | null, sort: Sort): number[] {
  const order = COLUMNS[sort.column]?.order ?? (() => 0);
  const sign = sort.down ? -1 : 1;
  return Array.from({ length: trace.count }, (_, span) => span)
    .filter((span) => !found || found[span])
    .sort((a, b) => sign * order(trace, a, b) || a - b);
}

function compare(a: string, b: string): number {
  return Number(a > b) - Number(a < b);
}
