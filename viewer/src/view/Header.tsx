/** The header of a trace: what it is, how it went, and the switch of views. */

import type { State } from "../data/contract";
import { STATES } from "../data/contract";
import { copy, openTrace } from "../model/commands";
import { countOf, dateTime, duration, number, visible } from "../model/format";
import { searchFor } from "../model/states";
import { at1, ERROR, type Trace } from "../model/trace";
import { MODES, type View } from "../model/view";
import { MARKS } from "./look";

const MODE_NAMES: { [mode: string]: string } = {
  waterfall: "Waterfall",
  flame: "Flame",
  table: "Table",
  logs: "Logs",
  errors: "Errors",
};

export function Header({ view, trace }: { view: View; trace: Trace }) {
  const root = trace.roots[0] ?? -1;
  const { baseNs, zone, traces } = view.data.value;
  const services = new Set(trace.processes.map((process) => process.service).filter(Boolean));
  const state = trace.worst;
  const errors = at1(trace.counts, ERROR);
  const path = trace.paths.find((one) => one.root === root);
  return (
    <div class="header">
      {(traces.length > 1 || view.around.neighbour) && <Steps view={view} />}
      <b class={`state-${state} state-word`} title={`The worst state of its spans: ${state}`}>
        {MARKS[state]} {state}
      </b>
      <h1 title={root >= 0 ? visible(trace.name(root).slice(0, 1000)) : ""}>
        {root >= 0 ? visible(trace.name(root).slice(0, 300)) : "Empty trace"}
      </h1>
      <button
        type="button"
        class="plain mono"
        title={`Copy ${trace.id}`}
        onClick={() => copy(view, trace.id, "the trace id")}
      >
        {trace.id.slice(0, 8)}
      </button>
      <span class="mono strong">
        {duration(view.bounds.value.to - trace.from)}
        {trace.hasOpen && " so far"}
      </span>
      <span class="dim mono" title={dateTime(baseNs, trace.from, zone)}>
        {dateTime(baseNs, trace.from, zone)}
      </span>
      <span class="dim">
        {countOf(trace.count, "span")}
        {services.size > 1 && `, ${countOf(services.size, "service")}`}
      </span>
      <StateChips view={view} trace={trace} />
      {trace.leftOut > 0 && (
        <span class="chip warn">{countOf(trace.leftOut, "span")} left out</span>
      )}
      {path && (
        <button
          type="button"
          class="chip"
          aria-pressed={view.showCritical.value}
          title="The chain of spans that the trace took this long for (c)"
          onClick={() => {
            view.showCritical.value = !view.showCritical.value;
          }}
        >
          critical path{path.lower_bound ? " ≥" : ""}
        </button>
      )}
      <div class="modes" role="tablist" aria-label="View">
        {MODES.map((mode) => (
          <button
            key={mode}
            type="button"
            role="tab"
            aria-selected={view.mode.value === mode}
            onClick={() => {
              view.mode.value = mode;
            }}
          >
            {MODE_NAMES[mode]}
            {mode === "errors" && errors > 0 && <small> {number(errors)}</small>}
          </button>
        ))}
      </div>
    </div>
  );
}

function Steps({ view }: { view: View }) {
  const at = view.traceAt.value;
  const { length } = view.data.value.traces;
  const within = (to: number) => (to < 0 || to >= length ? null : () => openTrace(view, to));
  const step = view.around.neighbour ?? ((by: number) => within(at + by));
  const [before, after] = [step(-1), step(1)];
  return (
    <span class="steps">
      <button
        type="button"
        aria-label="Previous trace"
        disabled={before === null}
        onClick={() => before?.()}
      >
        ‹
      </button>
      <button
        type="button"
        aria-label="Next trace"
        disabled={after === null}
        onClick={() => after?.()}
      >
        ›
      </button>
    </span>
  );
}

/** One chip a state, with its number; a click searches for it. */
function StateChips({ view, trace }: { view: View; trace: Trace }) {
  const chips = STATES.map((state, at): [State, number] => [state, at1(trace.counts, at)]);
  return (
    <span class="chips">
      {chips
        .filter(([state, count]) => count > 0 && state !== "ended" && state !== "missing")
        .map(([state, count]) => (
          <button
            key={state}
            type="button"
            class={`chip state-${state}`}
            title={`Search for ${searchFor(state)}`}
            onClick={() => {
              const search = searchFor(state);
              view.search.value = view.search.value === search ? "" : search;
            }}
          >
            {MARKS[state]} {state === "error" ? countOf(count, state) : `${number(count)} ${state}`}
          </button>
        ))}
    </span>
  );
}
