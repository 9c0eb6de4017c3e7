/** The facts about a span that every span has: state, times, place, process. */

import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";
import type { ProcessState } from "../data/contract";
import { copy, select, zoomToSpan } from "../model/commands";
import { dateTime, duration, number, visible } from "../model/format";
import { operationOf } from "../model/operation";
import { at1, type Trace } from "../model/trace";
import type { View } from "../model/view";
import { Value } from "./Attributes";
import { MARKS } from "./look";

export function Facts({ view, trace, span }: { view: View; trace: Trace; span: number }) {
  const { baseNs, zone } = view.data.value;
  const state = trace.stateOf(span);
  const parent = at1(trace.parent, span);
  const process = trace.processOf(span);
  const operation = useMemo(() => operationOf(trace, span), [trace, span]);
  const facts: [string, ComponentChildren][] = [
    ["State", <b class="state-word">{`${MARKS[state]} ${state}`}</b>],
    ["Error", trace.error(span) && <Value value={trace.error(span)} />],
    ["Cause", trace.cause(span) && <Value value={trace.cause(span)} />],
    [
      trace.isOpen(span) ? "Known for" : "Duration",
      <span class="mono">{duration(view.untilOf(trace, span) - at1(trace.start, span))}</span>,
    ],
    [
      "This operation",
      operation &&
        `p50 ${duration(operation.p50)}, p95 ${duration(operation.p95)} of ${number(operation.count)}`,
    ],
    ["Self", <span class="mono">{duration(at1(trace.self, span))}</span>],
    ["Critical path", criticalShare(trace, span)],
    ["Start", <span class="mono">{dateTime(baseNs, at1(trace.start, span), zone)}</span>],
    [state === "lost" ? "Last seen at" : "Now at", placeOf(view, trace.where(span))],
    ["Opened at", placeOf(view, trace.place(span))],
    ["Function", visible(trace.functionOf(span).slice(0, 1000))],
    ["Process", `${visible(process.label.slice(0, 300))}${stateWord(process.state)}`],
    ["Service", visible(process.service.slice(0, 300))],
    ["Thread", visible(trace.thread(span).slice(0, 300))],
    ["Task", visible(trace.task(span).slice(0, 300))],
    ["Kind", trace.kind(span)],
    [
      "Parent",
      parent >= 0 && (
        <button type="button" class="plain link" onClick={() => select(view, parent)}>
          {visible(trace.name(parent).slice(0, 300))}
        </button>
      ),
    ],
    [
      "Span id",
      <button
        type="button"
        class="plain mono"
        title="Copy"
        onClick={() => copy(view, trace.ids[span] ?? "", "the span's id")}
      >
        {trace.ids[span]} <small class="dim">copy</small>
      </button>,
    ],
  ];
  return (
    <>
      <dl class="facts">
        {facts.map(
          ([name, value]) =>
            value !== "" &&
            value !== false &&
            value !== null && (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{value}</dd>
              </div>
            ),
        )}
      </dl>
      <div class="actions">
        <button type="button" onClick={() => zoomToSpan(view, span)}>
          Zoom to it
        </button>
        <button
          type="button"
          onClick={() => {
            view.top.value = view.top.value === span ? -1 : span;
          }}
        >
          {view.top.value === span ? "Whole trace" : "This subtree alone"}
        </button>
      </div>
    </>
  );
}

/** A place in code: copied by a click, and opened in an editor where that is allowed. */
function placeOf(view: View, place: string): ComponentChildren {
  const link = place && view.around.editorLink?.(place);
  return (
    place && (
      <>
        <button
          type="button"
          class="plain mono"
          title="Copy"
          onClick={() => copy(view, place, "the place")}
        >
          {visible(place.slice(0, 1000))} <small class="dim">copy</small>
        </button>
        {link && (
          <>
            {" "}
            <a class="action" href={link}>
              open in editor
            </a>
          </>
        )}
      </>
    )
  );
}

/** Says what is wrong with a process, if it is known. */
function stateWord(state: ProcessState): string {
  return state === "unknown" || state === "alive" ? "" : ` (${state})`;
}

/** Returns how much of its critical path a span is. */
function criticalShare(trace: Trace, span: number): string {
  for (const path of trace.paths) {
    let own = 0;
    for (const [one, from, to] of path.segments) if (one === span) own += to - from;
    if (own > 0) {
      const share = (own / trace.duration(path.root)) * 100;
      return `${duration(own)}, ${share.toFixed(1)} %`;
    }
  }
  return "";
}
