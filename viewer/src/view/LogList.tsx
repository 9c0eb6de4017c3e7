/** The logs of a trace in the order of time; a click goes to the span. */

import { select } from "../model/commands";
import { timeOfDay, visible } from "../model/format";
import { levelOf } from "../model/levels";
import type { Trace } from "../model/trace";
import type { View } from "../model/view";
import { Grid } from "./Grid";
import { ROW_HEIGHT, useRows } from "./hooks";

export function LogList({ view }: { view: View }) {
  const trace = view.trace.value as Trace;
  const found = view.found.value;
  const logs = view.logs.value;
  const chosen = view.logAt.value;
  const list = useRows(logs.length, chosen);
  const { baseNs, zone } = view.data.value;
  if (logs.length === 0) {
    return (
      <div class="empty">
        <h2>No logs</h2>
        <p>{found ? "The spans that match have none." : "This trace was recorded without logs."}</p>
      </div>
    );
  }
  return (
    <div class="table logs">
      <Grid
        list={list}
        label="Logs"
        count={logs.length}
        active={chosen >= 0 ? `log-${chosen}` : undefined}
      >
        {logs.slice(list.first, list.last).map((log, index) => (
          <div
            key={list.first + index}
            id={`log-${list.first + index}`}
            role="row"
            class={`table-row level-${levelOf(log.level)}${(list.first + index) % 2 ? " odd" : ""}`}
            aria-selected={list.first + index === chosen}
            style={{ top: `${(list.first + index) * ROW_HEIGHT}px` }}
            onClick={() => {
              view.logAt.value = list.first + index;
              select(view, log.span);
              view.detailsOpen.value = log.span >= 0;
            }}
          >
            <span role="gridcell" class="mono dim">
              {timeOfDay(baseNs, log.time, zone)}
            </span>
            <span role="gridcell" class="level">
              {visible(log.level)}
            </span>
            <span role="gridcell" title={visible(log.text)}>
              {visible(log.text).slice(0, 500)}
            </span>
            <span
              role="gridcell"
              class="dim"
              title={log.span >= 0 ? visible(trace.name(log.span)) : ""}
            >
              {log.span >= 0 ? visible(trace.name(log.span)) : ""}
            </span>
          </div>
        ))}
      </Grid>
    </div>
  );
}
