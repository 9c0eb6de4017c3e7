/** One trace in the list; its columns, and the mark for comparing. */

import type { ComponentChildren } from "preact";
import { countOf, duration, number, visible } from "../../model/format";
import { ROW_HEIGHT } from "../../view/hooks";
import { hueOf, MARKS } from "../../view/look";
import { useApp } from "../context";
import { traceAddress } from "../route";
import { fullTime, timeBeside } from "../times";
import type { ListRow } from "./rows";

interface Props {
  row: Extract<ListRow, { kind: "trace" }>;
  index: number;
  isChosen: boolean;
  onOpen: () => void;
}

export function TraceRow({ row, index, isChosen, onOpen }: Props) {
  const app = useApp();
  const { traces } = app;
  const { summary } = row;
  const id = summary.trace_id;
  const isOpen = summary.end_ns === null;
  const time = isOpen ? app.clock.tick.value : 0n;
  // A trace whose processes are gone does not last until now.
  const goesOn = isOpen && (summary.state === "running" || summary.stalled > 0);
  const length = goesOn
    ? Math.max(Number(time - summary.start_ns), summary.duration_ns)
    : summary.duration_ns;
  const name = visible(summary.name.slice(0, 300)) || "(no name)";
  const isMarked = traces.marked.value.includes(id);
  return (
    <div
      id={`trace-${index}`}
      role="row"
      aria-level={1}
      aria-expanded={row.open}
      class={`table-row state-${summary.state}${index % 2 ? " odd" : ""}`}
      aria-selected={isChosen}
      style={{ top: `${index * ROW_HEIGHT}px` }}
      onClick={(event) => {
        traces.chosen.value = row.key;
        if (!(event.target as Element).closest("a, button, input")) traces.toggle(id);
      }}
      onDblClick={onOpen}
    >
      <span role="gridcell" class="mark-cell">
        <input
          type="checkbox"
          checked={isMarked}
          tabIndex={-1}
          aria-label={`Mark ${name} for comparing`}
          title="Mark, to compare it with another (m)"
          onChange={() => traces.mark(id)}
        />
      </span>
      <span role="gridcell" title={name}>
        <button
          type="button"
          class="twisty"
          tabIndex={-1}
          aria-label={row.open ? "Fold" : "Unfold"}
          onClick={() => traces.toggle(id)}
        >
          {row.open ? "▾" : "▸"}
        </button>
        {summary.service && <i class="dot" style={{ background: hueOf(summary.service) }} />}
        <a class="trace-link" href={traceAddress(id)} tabIndex={-1}>
          {name}
        </a>
        <Services summary={summary} />
        {summary.missing_root && <small class="dim"> no root</small>}
        {summary.repeated && (
          <small class="dim" title="Several processes use this id">
            {" "}
            repeated id
          </small>
        )}
      </span>
      <span role="gridcell" class="state-word">
        {MARKS[summary.state]} {summary.state}
      </span>
      <span role="gridcell" class="mono">
        <i
          class="length"
          style={{ width: `${Math.min(100, (length / traces.longest.value) * 100)}%` }}
        />
        {duration(length)}
        {goesOn && <small> so far</small>}
      </span>
      <span role="gridcell" class="dim">
        {spansOf(summary)}
      </span>
      {app.traces.choice.value.q !== "" && (
        <span role="gridcell" class="strong">
          {number(summary.match_count)}
        </span>
      )}
      <span role="gridcell" class="mono dim" title={fullTime(summary.start_ns)}>
        {timeBeside(summary.start_ns, app.clock.tick.peek())}
      </span>
      <span role="gridcell" class="mono dim">
        {id.slice(0, 8)}
      </span>
    </div>
  );
}

function Services({ summary }: Pick<Props["row"], "summary">) {
  const others = summary.services.filter((one) => one && one !== summary.service);
  if (!summary.service && others.length === 0) return null;
  return (
    <small class="dim" title={visible([summary.service, ...others].join(", "))}>
      {" "}
      {visible(summary.service.slice(0, 60))}
      {others.length > 0 && ` +${others.length}`}
    </small>
  );
}

function spansOf({ spans, open, errors, abandoned, stalled }: Props["row"]["summary"]) {
  const parts: ComponentChildren[] = [countOf(spans, "span")];
  if (open > 0) parts.push(`, ${number(open)} open`);
  if (stalled > 0)
    parts.push(
      <b class="state-stalled">
        <span class="state-word"> ◷ {number(stalled)}</span>
      </b>,
    );
  if (errors > 0)
    parts.push(
      <b class="state-error">
        <span class="state-word"> ✗ {number(errors)}</span>
      </b>,
    );
  if (abandoned > 0) parts.push(` ✕ ${number(abandoned)}`);
  return parts;
}
