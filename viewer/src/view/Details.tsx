/** The pane about the selected span. */

import { useEffect, useState } from "preact/hooks";
import type { Json, SpanDetails } from "../data/contract";
import { toJson } from "../data/exact";
import { copy, select } from "../model/commands";
import { number, timeOfDay, visible } from "../model/format";
import { at1, type Trace } from "../model/trace";
import type { View } from "../model/view";
import { AttributeList, Value } from "./Attributes";
import { Facts } from "./Facts";
import { levelOf } from "./WaterfallRow";

const TABS = ["Attributes", "Events", "Logs", "Links", "Raw"] as const;

interface Props {
  view: View;
  trace: Trace;
}

export function Details({ view, trace }: Props) {
  const [tab, setTab] = useState<(typeof TABS)[number]>("Attributes");
  const span = view.selected.value;
  const loader = view.details.value;
  useEffect(() => void loader.load(), [loader]);
  const details = loader.spans.value?.[span] ?? null;
  const logs = trace.logs.filter((log) => isWithin(trace, log.span, span));
  const counts = {
    Attributes: Object.keys(details?.attributes ?? {}).length,
    Events: details?.events?.length ?? 0,
    Logs: logs.length,
    Links: details?.links?.length ?? 0,
    Raw: 0,
  };
  return (
    <aside class={`details state-${trace.stateOf(span)}`} aria-label="Details of the span">
      <button
        type="button"
        class="close"
        aria-label="Close details"
        onClick={() => {
          view.detailsOpen.value = false;
        }}
      >
        ✕
      </button>
      <h2>{visible(trace.name(span).slice(0, 2000))}</h2>
      <Facts view={view} trace={trace} span={span} />
      <div class="tabs" role="tablist">
        {TABS.map((name) => (
          <button
            key={name}
            type="button"
            role="tab"
            aria-selected={tab === name}
            onClick={() => setTab(name)}
          >
            {name}
            {counts[name] > 0 && <small> {number(counts[name])}</small>}
          </button>
        ))}
      </div>
      <div class="tab" role="tabpanel" tabIndex={0}>
        {tab === "Attributes" && (
          <AttributeList view={view} attributes={details?.attributes ?? {}} />
        )}
        {tab === "Events" && <Events view={view} details={details} />}
        {tab === "Logs" &&
          logs.slice(0, 500).map((log, at) => (
            <div key={at} class={`entry level-${levelOf(log.level)}`}>
              <span class="mono dim">
                {timeOfDay(view.data.value.baseNs, log.time, view.data.value.zone)}
              </span>{" "}
              <span class="level">{visible(log.level)}</span>
              <Value value={log.text} />
              {log.attributes && <Value value={log.attributes} />}
            </div>
          ))}
        {tab === "Links" && <Links view={view} trace={trace} details={details} />}
        {tab === "Raw" && <Raw view={view} trace={trace} span={span} details={details} />}
      </div>
    </aside>
  );
}

function isWithin(trace: Trace, span: number, top: number): boolean {
  for (let one = span; one >= top; one = at1(trace.parent, one)) if (one === top) return true;
  return false;
}

function Events({ view, details }: { view: View; details: SpanDetails }) {
  const { baseNs, zone } = view.data.value;
  const events = details?.events ?? [];
  if (events.length === 0) return <p class="dim">No events.</p>;
  return (
    <>
      {events.slice(0, 500).map((event, at) => (
        <div key={at} class="entry">
          <span class="mono dim">{timeOfDay(baseNs, Number(event.time), zone)}</span>{" "}
          <b>{visible(String(event.name))}</b>
          <AttributeList view={view} attributes={event.attributes ?? {}} />
        </div>
      ))}
    </>
  );
}

function Links({ view, trace, details }: Props & { details: SpanDetails }) {
  const links = details?.links ?? [];
  if (links.length === 0) return <p class="dim">No links.</p>;
  return (
    <>
      {links.slice(0, 500).map((link, at) => {
        const target = link.trace_id === trace.id ? trace.ids.indexOf(String(link.span_id)) : -1;
        return (
          <div key={at} class="entry">
            <button
              type="button"
              class="plain mono"
              disabled={target < 0}
              onClick={() => select(view, target)}
            >
              {target >= 0
                ? visible(trace.name(target))
                : `${String(link.trace_id)} ${String(link.span_id)}`}
            </button>
            <AttributeList view={view} attributes={link.attributes ?? {}} />
          </div>
        );
      })}
    </>
  );
}

function Raw({ view, trace, span, details }: Props & { span: number; details: SpanDetails }) {
  const parent = at1(trace.parent, span);
  const raw = toJson(
    {
      trace_id: trace.id,
      span_id: trace.ids[span] ?? "",
      parent_id: trace.ids[parent] ?? null,
      name: trace.name(span),
      state: trace.stateOf(span),
      kind: trace.kind(span),
      service: trace.service(span),
      start: at1(trace.start, span),
      until: at1(trace.until, span),
      error: trace.error(span) || null,
      attributes: details?.attributes ?? {},
      events: (details?.events ?? []) as Json[],
      links: (details?.links ?? []) as Json[],
    },
    2,
  );
  return (
    <>
      <button type="button" onClick={() => copy(view, raw, "the span as JSON")}>
        Copy as JSON
      </button>
      <Value value={raw} />
    </>
  );
}
