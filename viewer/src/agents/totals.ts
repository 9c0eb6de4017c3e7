/** Adds up calls, tools, tokens and errors. */

import type { State } from "../data/contract";
import { OPEN } from "../model/states";
import type { AgentSpan, Item, Tokens, Totals } from "./model";

const FAILED: ReadonlySet<State> = new Set(["error", "abandoned"]);

/** Returns the totals of items and of all within them. */
export function totalsOf(items: readonly Item[]): Totals {
  const totals = nothing();
  for (const item of items) addItem(totals, item);
  return totals;
}

/** Returns the totals of a run: of its items, and what its own span tells where they tell nothing. */
export function totalsOfRun(span: AgentSpan, items: readonly Item[], own: Tokens | null): Totals {
  const totals = totalsOf(items);
  if (own && totals.input === null && totals.output === null) addTokens(totals, own);
  if (isFailed(span) && totals.errors === 0) totals.errors = 1;
  return totals;
}

export function isFailed(span: AgentSpan): boolean {
  return FAILED.has(span.state);
}

export function isOpen(span: AgentSpan): boolean {
  return span.end === null && OPEN.has(span.state);
}

function nothing(): Totals {
  return {
    input: null,
    output: null,
    cached: null,
    reasoning: null,
    calls: 0,
    tools: 0,
    errors: 0,
    open: 0,
    models: [],
  };
}

function addItem(totals: Totals, item: Item): void {
  if (item.type === "run") {
    addTotals(totals, item.totals);
    return;
  }
  if (item.type !== "message" && item.span) {
    if (isFailed(item.span)) totals.errors += 1;
    if (isOpen(item.span)) totals.open += 1;
  }
  if (item.type === "tool") {
    totals.tools += 1;
    for (const one of item.items) addItem(totals, one);
  }
  if (item.type === "call") {
    totals.calls += 1;
    if (item.model && !totals.models.includes(item.model)) totals.models.push(item.model);
  }
  if (item.type === "call" || item.type === "step") addTokens(totals, item.tokens);
  if (item.type === "call" || item.type === "message")
    for (const tool of item.tools) addItem(totals, tool);
}

function addTotals(totals: Totals, more: Totals): void {
  addTokens(totals, more);
  for (const key of ["calls", "tools", "errors", "open"] as const) totals[key] += more[key];
  totals.models = [...new Set([...totals.models, ...more.models])];
}

function addTokens(totals: Tokens, more: Tokens): void {
  for (const key of ["input", "output", "cached", "reasoning"] as const)
    if (more[key] !== null) totals[key] = (totals[key] ?? 0) + more[key];
}
