/** A span or a trace as text to take elsewhere: JSON, Markdown, a command. */

import type { Json, SpanDetails } from "../data/contract";
import { toJson } from "../data/exact";
import { textOf } from "../search/tests";
import { dateTime, duration, shellQuoted, visible } from "./format";
import { at1, type Trace } from "./trace";
import type { View } from "./view";

const MOST_CELL = 500;

/** Returns all that is known of a span. */
export function spanAsJson(trace: Trace, span: number, details: SpanDetails): string {
  const parent = at1(trace.parent, span);
  return toJson(
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
}

/** Returns a span as a table of Markdown, for an issue or a chat. */
export function spanAsMarkdown(
  view: View,
  trace: Trace,
  span: number,
  details: SpanDetails,
): string {
  const { baseNs, zone } = view.data.value;
  const rows: [string, string][] = [
    ["state", trace.stateOf(span)],
    [trace.isOpen(span) ? "known for" : "duration", duration(trace.duration(span))],
    ["start", dateTime(baseNs, at1(trace.start, span), zone)],
    ["service", trace.service(span)],
    ["error", trace.error(span)],
    ["cause", trace.cause(span)],
    ["now at", trace.where(span)],
    ["opened at", trace.place(span)],
    ["trace", trace.id],
    ["span", trace.ids[span] ?? ""],
  ];
  const attributes = Object.entries(details?.attributes ?? {}).map(
    ([key, value]): [string, string] => [`\`${cell(key)}\``, textOf(value)],
  );
  const lines = [...rows, ...attributes]
    .filter(([, value]) => value)
    .map(([key, value]) => `| ${key} | ${cell(value)} |`);
  return [`**${cell(trace.name(span))}**`, "", "| | |", "|---|---|", ...lines, ""].join("\n");
}

/** Returns the command that shows a trace in a terminal. */
export function commandOf(view: View, trace: Trace): string {
  const folder = view.around.folder?.() ?? "";
  return `otel-ext tree --trace ${trace.id} ${shellQuoted(folder)}`.trim();
}

/** Returns a text that stays within its cell. */
function cell(text: string): string {
  return visible(text.slice(0, MOST_CELL)).replace(/[\\|`*_<>[\]]/g, "\\$&");
}
