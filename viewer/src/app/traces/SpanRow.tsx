/** A span of a trace that is unfolded in the list: its name, and its bar on the time of the trace. */

import { duration, visible } from "../../model/format";
import { p95 } from "../../model/rows";
import { fraction } from "../../model/timescale";
import { at1 } from "../../model/trace";
import { ROW_HEIGHT } from "../../view/hooks";
import { MARKS } from "../../view/look";
import { useApp } from "../context";
import type { ListRow } from "./rows";

const INDENT = 12;
const MOST_LEVELS = 10;
/** From where on there is no room behind a bar for its words, and up to where none before it. */
const LATE = 0.8;
const EARLY = 0.2;

interface Props {
  row: Extract<ListRow, { kind: "span" }>;
  index: number;
  isChosen: boolean;
  onOpen: () => void;
}

export function SpanRow({ row, index, isChosen, onOpen }: Props) {
  const app = useApp();
  const { trace, summary } = row;
  const { span, depth, group } = row.row;
  const base = app.traces.unfolded.value.get(summary.trace_id)?.baseNs ?? 0n;
  const now = trace.goesOn ? Number(app.clock.tick.value - base) : 0;
  const window = { from: trace.from, to: Math.max(trace.to, now, trace.from + 1) };
  const last = group
    ? group.reduce((most, one) => Math.max(most, at1(trace.until, one)), 0)
    : Math.max(at1(trace.until, span), trace.isGoingOn(span) ? now : 0);
  const start = at1(trace.start, span);
  const left = fraction(window, start);
  const width = fraction(window, last) - left;
  const state = trace.stateOf(span);
  const name = visible(trace.name(span).slice(0, 300));
  const words = group
    ? `× ${group.length}, p95 ${duration(p95(trace, group))}`
    : `${duration(last - start)} ${state === "ended" ? "" : `${MARKS[state]} ${state}`}`;
  const { isInside, style } = placeOf(left, width);
  return (
    <div
      id={`trace-${index}`}
      role="row"
      aria-level={2 + depth}
      class={`table-row span-row state-${state}${index % 2 ? " odd" : ""}`}
      aria-selected={isChosen}
      style={{ top: `${index * ROW_HEIGHT}px` }}
      onClick={() => {
        app.traces.chosen.value = row.key;
        onOpen();
      }}
    >
      <span role="gridcell" title={name}>
        <i class="indent" style={{ width: `${(Math.min(depth, MOST_LEVELS) + 2) * INDENT}px` }} />
        <b class="state-word">{MARKS[state]}</b> {name}
        {group && <b class="count">× {group.length}</b>}
      </span>
      <span role="gridcell" class="time-cell">
        <i
          class={group ? "bar group" : "bar"}
          style={{ left: `${left * 100}%`, width: `max(2px, ${width * 100}%)` }}
        />
        <span class={`bar-text${isInside ? ` inside${group ? " hollow" : ""}` : ""}`} style={style}>
          {words}
        </span>
      </span>
    </div>
  );
}

/** Returns where the words of a bar stand: behind it, before it, or in it where neither has room. */
function placeOf(left: number, width: number) {
  const end = left + width;
  if (end <= LATE) return { isInside: false, style: { left: `calc(${end * 100}% + 5px)` } };
  if (left >= EARLY)
    return { isInside: false, style: { right: `calc(${(1 - left) * 100}% + 5px)` } };
  return { isInside: true, style: { left: `calc(${left * 100}% + 5px)` } };
}
