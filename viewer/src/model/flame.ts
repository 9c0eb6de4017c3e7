/** Places the spans of a trace for the flame graph: below their parent, never over another. */

import { at1, type Trace } from "./trace";

/** How many rows below its parent are tried before a span may cover another. */
const MOST_TRIED = 200;

/** Returns the row of each span, and how many rows there are. */
export function flameRows(trace: Trace): { rows: Int32Array; count: number } {
  const rows = new Int32Array(trace.count).fill(-1);
  const ends: number[] = [];
  const place = (span: number) => {
    const parent = at1(trace.parent, span);
    const first = parent < 0 ? 0 : at1(rows, parent) + 1;
    let row = first;
    while (
      row < first + MOST_TRIED &&
      (ends[row] ?? Number.NEGATIVE_INFINITY) > at1(trace.start, span)
    )
      row++;
    rows[span] = row;
    ends[row] = Math.max(ends[row] ?? Number.NEGATIVE_INFINITY, at1(trace.until, span));
    for (let empty = 0; empty < row; empty++) ends[empty] ??= Number.NEGATIVE_INFINITY;
  };
  const order = Uint32Array.from({ length: trace.count }, (_, span) => span);
  order.sort((a, b) => at1(trace.start, a) - at1(trace.start, b) || a - b);
  for (const span of order) {
    // A clock that differs lets a child start before its parent: the parents are placed first.
    const chain: number[] = [];
    for (let one = span; one >= 0 && at1(rows, one) < 0; one = at1(trace.parent, one))
      chain.push(one);
    for (let one = chain.pop(); one !== undefined; one = chain.pop()) place(one);
  }
  return { rows, count: ends.length };
}
