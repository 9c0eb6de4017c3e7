/** A conversation as lines of text, for comparing and for people. */

import { conversationOf } from "../../src/agents/conversation";
import type { AgentLog, AgentSpan, Conversation, Item, Part, Tool } from "../../src/agents/model";
import { canonical } from "../../src/agents/values";
import type { Attributes, SpanDetails, State } from "../../src/data/contract";

/** A span as the case files write it. */
export interface CaseSpan {
  id: string;
  parent?: string;
  name: string;
  state?: State;
  start: number;
  end: number | null;
  service?: string;
  error?: string;
  attributes?: Attributes;
  events?: { name: string; time: number; attributes?: Attributes }[];
}

export interface Case {
  about: string;
  spans: CaseSpan[];
  logs?: AgentLog[];
  /** The ids of the spans that are spans of an agent. */
  agents: string[];
  outline: string[];
}

export function conversationOfCase({
  spans,
  logs = [],
}: Pick<Case, "spans" | "logs">): Conversation {
  const details: { [id: string]: SpanDetails } = {};
  for (const { id, attributes = {}, events = [] } of spans) details[id] = { attributes, events };
  return conversationOf({ spans: spans.map(spanOf), logs }, details);
}

export function spanOf(given: CaseSpan): AgentSpan {
  const { id, parent = "", name, start, end, service = "", error = "" } = given;
  const state = given.state ?? (end === null ? "running" : error ? "error" : "ended");
  return { id, parent, name, state, start, end, until: end ?? start, service, error };
}

/** Returns one line for each run, message, call, tool and step, indented by what they are within. */
export function outlineOf({ runs, totals }: Conversation): string[] {
  const { calls, tools, errors, open, models } = totals;
  const count = `${calls} calls, ${tools} tools, ${errors} errors, ${open} open`;
  const head = `${count}, ${tokens(totals)}, ${models.join(" ")}`;
  return [head, ...runs.flatMap((run) => lines(run, ""))];
}

function lines(item: Item, indent: string): string[] {
  const inner = `${indent}  `;
  switch (item.type) {
    case "run": {
      const offers = item.offered.length > 0 ? ` offers ${item.offered.join(" ")}` : "";
      const what = item.isImplied ? "program" : "agent";
      const head = `${indent}${what} ${item.name}${offers} @${item.span.id}${state(item.span)}`;
      return [head, ...item.items.flatMap((one) => lines(one, inner))];
    }
    case "message": {
      const name = item.name ? ` (${item.name})` : "";
      const head = item.parts.map((part) => `${indent}${item.role}${name}: ${text(part)}`);
      return [...head, ...item.tools.flatMap((tool) => lines(tool, inner))];
    }
    case "call": {
      const history = `${item.fresh} new, ${item.known} known`;
      const head = `${indent}call ${item.model} ${tokens(item.tokens)} (${history}) ${item.finish}`;
      const parts = item.parts.map((part) => `${inner}${text(part)}`);
      const tools = item.tools.flatMap((tool) => lines(tool, inner));
      return [`${head} @${item.span.id}${state(item.span)}`, ...parts, ...tools];
    }
    case "tool":
      return [`${indent}${toolLine(item)}`, ...item.items.flatMap((one) => lines(one, inner))];
    case "step":
      return [
        `${indent}${item.kind} ${item.span.name} ${canonical(item.input)} = ${canonical(item.output)}`,
      ];
  }
}

function toolLine({ name, args, result, span }: Tool): string {
  const where = span ? `@${span.id}${state(span)}` : "(no span)";
  return `tool ${name} ${canonical(args)} = ${canonical(result)} ${where}`;
}

function text(part: Part): string {
  if (part.type === "text") return part.text;
  if (part.type === "reasoning") return `(reasoning) ${part.text}`;
  if (part.type === "media") return `(${part.media}) ${part.text}`;
  if (part.type === "call") return `(call) ${part.name}`;
  return `(${part.type}) ${canonical(part.value)}`;
}

function tokens({ input, output }: { input: number | null; output: number | null }): string {
  return `${input ?? "?"}/${output ?? "?"} tokens`;
}

function state(span: AgentSpan): string {
  return span.state === "ended" ? "" : ` ${span.state}${span.error ? `: ${span.error}` : ""}`;
}
