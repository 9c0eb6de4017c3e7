/** The line at the bottom: what is shown, whose clock, and the keys that work. */

import type { ComponentChildren } from "preact";
import { follow } from "../model/commands";
import { countOf, dateTime, timeOfDay } from "../model/format";
import { at1, ERROR, MISSING } from "../model/trace";
import type { View } from "../model/view";

interface Props {
  view: View;
  /** How the page is connected, instead of the time of the report. */
  children?: ComponentChildren;
}

export function StatusLine({ view, children }: Props) {
  const trace = view.trace.value;
  const { zone, writtenNs, baseNs, traces } = view.data.value;
  const nowNs = view.clock.value ?? view.data.value.nowNs;
  if (!trace) return <footer class="status" />;
  const shown = view.shownTraces.value.length;
  const inTraces = view.mode.value === "traces";
  const isZoomed = view.zooms.value.length > 0;
  const missing = at1(trace.counts, MISSING);
  const written = `as of ${timeOfDay(baseNs, nowNs ?? writtenNs, zone).slice(0, 8)} ${zone}`;
  return (
    <footer class="status">
      <span>
        {inTraces
          ? `${shown === traces.length ? "" : `${shown} of `}${countOf(traces.length, "trace")}`
          : shownOf(view)}
      </span>
      {view.top.value >= 0 && <span>one subtree alone (i)</span>}
      {isZoomed && <span>{view.isFollowing.value ? "follows what goes on" : "zoomed"} (Esc)</span>}
      {!inTraces && missing > 0 && <span class="minor">{countOf(missing, "parent")} unknown</span>}
      {children ?? (
        <span title={dateTime(baseNs, nowNs ?? writtenNs, zone)}>
          {nowNs === null ? `report, ${written}` : `live, ${written}`}
        </span>
      )}
      {nowNs !== null && trace.goesOn && isZoomed && !view.isFollowing.value && (
        <button
          type="button"
          class="plain link"
          title="Move along with what goes on (.)"
          onClick={() => follow(view)}
        >
          ▸ follow
        </button>
      )}
      <span class="said" role="status">
        {view.said.value || view.details.value.problem.value}
      </span>
      <span class="keys">
        <kbd>j</kbd> <kbd>k</kbd> rows <kbd>Enter</kbd> details <kbd>e</kbd> error <kbd>/</kbd>{" "}
        search <kbd>?</kbd> keys
      </span>
    </footer>
  );
}

/** Says how much of the trace is listed. */
function shownOf(view: View): string {
  const trace = view.trace.value;
  if (!trace) return "";
  const spans = countOf(trace.count, "span");
  switch (view.mode.value) {
    case "table":
      return `${countOf(view.tableSpans.value.length, "row")} of ${spans}`;
    case "logs":
      return `${countOf(view.logs.value.length, "row")} of ${countOf(trace.logs.length, "log")}`;
    case "errors":
      return `${countOf(at1(trace.counts, ERROR), "error")} in ${spans}`;
    default:
      return `${countOf(view.rows.value.length, "row")} of ${spans}`;
  }
}
