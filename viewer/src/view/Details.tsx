/** The pane about the selected span. */

import { useEffect, useState } from "preact/hooks";
import type { Attributes, SpanDetails } from "../data/contract";
import { toJson } from "../data/exact";
import { copy, select } from "../model/commands";
import { commandOf, spanAsJson, spanAsMarkdown } from "../model/copies";
import { number, timeOfDay, visible } from "../model/format";
import { levelOf } from "../model/levels";
import { at1, type Trace } from "../model/trace";
import type { View } from "../model/view";
import { AttributeList, Value } from "./Attributes";
import { Facts } from "./Facts";

const TABS = ["Attributes", "Events", "Logs", "Links", "Raw"] as const;

interface Props {
  view: View;
  trace: Trace;
}

export function Details({ view, trace }: Props) {
  const [tab, setTab] = useState<(typeof TABS)[number]>("Attributes");
  const span = view.selected.value;
  const loader = view.details.value;
  useEffect(() => loader.loadOne(span), [loader, span]);
  const details = loader.spans.value?.[span] ?? null;
  const logs = trace.logs.filter((log) => isWithin(trace, log.span, span));
  const counts = {
    Attributes: Object.keys(details?.attributes ?? {}).length,
    Events: details?.events?.length ?? 0,
    Logs: logs.length,
    Links: (details?.links?.length ?? 0) + (details?.linked_from?.length ?? 0),
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
  const from = details?.linked_from ?? [];
  if (links.length + from.length === 0) return <p class="dim">No links.</p>;
  return (
    <>
      {links.slice(0, 500).map((link, at) => (
        <div key={at} class="entry">
          <LinkTo view={view} trace={trace} link={link} />
          <AttributeList view={view} attributes={link.attributes ?? {}} />
        </div>
      ))}
      {from.length > 0 && <h3>Linked from</h3>}
      {from.slice(0, 500).map((link, at) => (
        <div key={at} class="entry">
          <LinkTo view={view} trace={trace} link={link} />
        </div>
      ))}
    </>
  );
}

interface Link {
  trace_id: string;
  span_id: string;
  attributes?: Attributes;
}

/** A span that is linked to: in this trace, in another one that can be opened, or by its ids. */
function LinkTo({ view, trace, link }: Props & { link: Link }) {
  const ids = [String(link.trace_id), String(link.span_id)] as const;
  const target = ids[0] === trace.id ? trace.ids.indexOf(ids[1]) : -1;
  const address = target < 0 ? view.around.spanLink?.(...ids) : null;
  if (address) {
    return (
      <a class="mono action" href={address}>
        {visible(`${ids[0].slice(0, 32)} ${ids[1].slice(0, 16)}`)}
      </a>
    );
  }
  return (
    <button
      type="button"
      class="plain mono"
      disabled={target < 0}
      onClick={() => select(view, target)}
    >
      {target >= 0 ? visible(trace.name(target)) : visible(ids.join(" ").slice(0, 1000))}
    </button>
  );
}

function Raw({ view, trace, span, details }: Props & { span: number; details: SpanDetails }) {
  const json = spanAsJson(trace, span, details);
  const record = details?.record && Object.keys(details.record).length > 0 ? details.record : null;
  return (
    <>
      <div class="actions">
        <button type="button" onClick={() => copy(view, json, "the span as JSON")}>
          Copy as JSON
        </button>
        <button
          type="button"
          onClick={() =>
            copy(view, spanAsMarkdown(view, trace, span, details), "the span as Markdown")
          }
        >
          Markdown
        </button>
        <button
          type="button"
          title={commandOf(view, trace)}
          onClick={() => copy(view, commandOf(view, trace), "the command")}
        >
          Command
        </button>
      </div>
      <Value value={json} />
      {record && (
        <>
          <h3>The record</h3>
          <Value value={toJson(record, 2)} />
        </>
      )}
    </>
  );
}
