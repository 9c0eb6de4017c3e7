/** The rows of the list of traces: traces, and the spans of those that are unfolded. */

import type { Summary } from "../../live/contract";
import type { Row } from "../../model/rows";
import type { Trace } from "../../model/trace";
import { isTooLarge, type Unfolded } from "./unfolded";

export type ListRow =
  | { kind: "trace"; key: string; summary: Summary; open: boolean }
  | { kind: "span"; key: string; summary: Summary; trace: Trace; row: Row }
  | { kind: "note"; key: string; summary: Summary; text: string };

export function listRows(
  ids: readonly string[],
  summaries: ReadonlyMap<string, Summary>,
  unfolded: ReadonlyMap<string, Unfolded>,
): ListRow[] {
  const rows: ListRow[] = [];
  for (const id of ids) {
    const summary = summaries.get(id);
    if (!summary) continue;
    const open = unfolded.get(id);
    rows.push({ kind: "trace", key: id, summary, open: open !== undefined });
    if (open) rows.push(...below(summary, open));
  }
  return rows;
}

function below(summary: Summary, open: Unfolded): ListRow[] {
  const key = summary.trace_id;
  const note = (text: string): ListRow => ({ kind: "note", key: `${key} note`, summary, text });
  if (isTooLarge(summary)) return [note(`${summary.spans} spans: open the trace to see them`)];
  const trace = open.trace.value;
  if (open.problem.value) return [note(`It cannot be shown: ${open.problem.value}`)];
  if (!trace) return [note("…")];
  const { rows, left } = open.rows();
  const spans = rows.map(
    (row): ListRow => ({
      kind: "span",
      key: `${key} ${trace.ids[row.span]}${row.group ? " group" : ""}`,
      summary,
      trace,
      row,
    }),
  );
  return left > 0 ? [...spans, note(`${left} more rows: open the trace to see them`)] : spans;
}
