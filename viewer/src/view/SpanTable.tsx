/** All spans, or those that match, as a table that can be sorted. */

import { select } from "../model/commands";
import { duration, timeOfDay, visible } from "../model/format";
import { COLUMNS, FIGURES, usedColumns } from "../model/table";
import { at1, type Trace } from "../model/trace";
import type { View } from "../model/view";
import { Grid } from "./Grid";
import { HEAD_HEIGHT, ROW_HEIGHT, useRows } from "./hooks";
import { MARKS } from "./look";

/** The widths of the columns, by their numbers. */
const WIDTHS = ["minmax(140px, 3fr)", "minmax(70px, 1fr)", "100px", "100px", "90px", "80px"];

export function SpanTable({ view }: { view: View }) {
  const trace = view.trace.value as Trace;
  const sort = view.sort.value;
  const spans = view.tableSpans.value;
  const at = spans.indexOf(view.selected.value);
  const list = useRows(spans.length, at, HEAD_HEIGHT);
  const used = usedColumns(trace);
  const grid = { gridTemplateColumns: used.map((column) => WIDTHS[column]).join(" ") };
  const { baseNs, zone } = view.data.value;
  const cells = (span: number) => [
    <span role="gridcell" title={visible(trace.name(span))}>
      {visible(trace.name(span))}
    </span>,
    <span role="gridcell" title={visible(trace.service(span))}>
      {visible(trace.service(span))}
    </span>,
    <span role="gridcell" class="state-word">
      {MARKS[trace.stateOf(span)]} {trace.stateOf(span)}
    </span>,
    <span role="gridcell" class="mono">
      {timeOfDay(baseNs, at1(trace.start, span), zone)}
    </span>,
    <span role="gridcell" class="mono">
      {duration(trace.duration(span))}
    </span>,
    <span role="gridcell" class="mono">
      {duration(at1(trace.self, span))}
    </span>,
  ];
  return (
    <div class="table">
      <Grid
        list={list}
        label="Spans"
        count={spans.length}
        active={at >= 0 ? `span-${at}` : undefined}
        head={
          <div class="table-head" role="row" style={grid}>
            {used.map((column) => (
              <div
                key={column}
                role="columnheader"
                aria-sort={sort.column !== column ? "none" : sort.down ? "descending" : "ascending"}
              >
                <button
                  type="button"
                  onClick={() => {
                    const down = sort.column === column ? !sort.down : column >= FIGURES;
                    view.sort.value = { column, down };
                  }}
                >
                  {COLUMNS[column]?.title} {sort.column === column ? (sort.down ? "▾" : "▴") : ""}
                </button>
              </div>
            ))}
          </div>
        }
      >
        {spans.slice(list.first, list.last).map((span, index) => (
          <div
            key={span}
            id={`span-${list.first + index}`}
            role="row"
            class={`table-row state-${trace.stateOf(span)}${(list.first + index) % 2 ? " odd" : ""}`}
            aria-selected={span === view.selected.value}
            style={{ top: `${(list.first + index) * ROW_HEIGHT}px`, ...grid }}
            onClick={() => {
              select(view, span);
              view.detailsOpen.value = true;
            }}
          >
            {cells(span).filter((_, column) => used.includes(column))}
          </div>
        ))}
      </Grid>
    </div>
  );
}
