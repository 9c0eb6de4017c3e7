/** The list of traces, when the data has several: with a search, how much of it is in each. */

import { openTrace } from "../model/commands";
import { countOf, dateTime, duration, number, visible } from "../model/format";
import { at1, ERROR, type Trace } from "../model/trace";
import type { View } from "../model/view";
import { Grid } from "./Grid";
import { HEAD_HEIGHT, ROW_HEIGHT, useRows } from "./hooks";
import { MARKS } from "./look";

export function TraceList({ view }: { view: View }) {
  const { traces } = view.data.value;
  const shown = view.shownTraces.value;
  const hits = view.hits.value;
  const list = useRows(shown.length, shown.indexOf(view.traceAt.value), HEAD_HEIGHT);
  const longest = traces.reduce((most, trace) => Math.max(most, trace.to - trace.from), 1);
  if (shown.length === 0) return <NothingFound view={view} />;
  const titles = ["Trace", "State", ...(hits ? ["Matches"] : [])];
  titles.push("Duration", "Spans", "Start", "Id");
  return (
    <div class={hits ? "table traces with-hits" : "table traces"}>
      <Grid
        list={list}
        label="Traces"
        count={shown.length}
        active={`trace-${view.traceAt.value}`}
        head={
          <div class="table-head" role="row">
            {titles.map((title) => (
              <span key={title} role="columnheader">
                {title}
              </span>
            ))}
          </div>
        }
      >
        {shown.slice(list.first, list.last).map((at, index) => (
          <Row
            key={at}
            view={view}
            trace={traces[at] as Trace}
            at={at}
            row={list.first + index}
            longest={longest}
            hits={hits ? (hits[at] ?? 0) : null}
          />
        ))}
      </Grid>
    </div>
  );
}

interface RowProps {
  view: View;
  trace: Trace;
  at: number;
  row: number;
  longest: number;
  hits: number | null;
}

function Row({ view, trace, at, row, longest, hits }: RowProps) {
  const { baseNs, zone } = view.data.value;
  const root = trace.roots[0] ?? -1;
  const errors = at1(trace.counts, ERROR);
  const length = trace.to - trace.from;
  const name = root >= 0 ? visible(trace.name(root)).slice(0, 300) : "(empty)";
  return (
    <div
      id={`trace-${at}`}
      role="row"
      class={`table-row state-${trace.worst}${hits === 0 ? " faded" : ""}${row % 2 ? " odd" : ""}`}
      aria-selected={at === view.traceAt.value}
      style={{ top: `${row * ROW_HEIGHT}px` }}
      onClick={() => openTrace(view, at)}
    >
      <span role="gridcell" title={name}>
        {name}
      </span>
      <span role="gridcell" class="state-word">
        {MARKS[trace.worst]} {trace.worst}
      </span>
      {hits !== null && (
        <span role="gridcell" class="strong">
          {hits > 0 ? number(hits) : "–"}
        </span>
      )}
      <span role="gridcell" class="mono">
        <i class="length" style={{ width: `${(length / longest) * 100}%` }} />
        {duration(length)}
        {trace.hasOpen && " so far"}
      </span>
      <span role="gridcell" class="dim">
        {countOf(trace.count, "span")}
        {errors > 0 && `, ${countOf(errors, "error")}`}
      </span>
      <span role="gridcell" class="mono dim">
        {dateTime(baseNs, trace.from, zone)}
      </span>
      <span role="gridcell" class="mono dim">
        {trace.id.slice(0, 8)}
      </span>
    </div>
  );
}

function NothingFound({ view }: { view: View }) {
  return (
    <div class="empty">
      <h2>Nothing matches</h2>
      <p>
        No trace has a span that matches <code>{visible(view.search.value)}</code>.
      </p>
      <button
        type="button"
        onClick={() => {
          view.onlyFound.value = false;
        }}
      >
        Show all traces
      </button>
    </div>
  );
}
