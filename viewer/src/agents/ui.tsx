/** What all parts of a conversation's view share: the clock, links to spans, folding, times. */

import type { ReadonlySignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { countOf, duration, number, visible } from "../model/format";
import { MARKS } from "../view/look";
import type { AgentSpan, Tokens, Totals } from "./model";
import { isFailed, isOpen } from "./totals";

export interface Ui {
  /** The time now, relative as the times of spans; open spans are as old as it says. */
  clock: ReadonlySignal<number>;
  /** Selects a span. */
  onSpan: (spanId: string) => void;
  selected: string;
}

const MOST_NAME = 200;

/** Returns a name as it is shown: not too long, and without hidden characters. */
export function shown(name: string): string {
  return visible(name.slice(0, MOST_NAME));
}

/** A step's name, which selects its span; the keys `j` and `k` go from one to the next. */
export function StepName({ ui, span, children }: StepProps) {
  return (
    <button
      type="button"
      class="plain agent-name"
      data-step
      title={`Select the span ${shown(span.name)}`}
      aria-current={ui.selected === span.id ? "true" : undefined}
      onClick={() => ui.onSpan(span.id)}
    >
      {children}
    </button>
  );
}

interface StepProps {
  ui: Ui;
  span: AgentSpan;
  children: ComponentChildren;
}

/** What is said of a step beside its name; cut where there is no room, and whole on hovering. */
export function Words({ words, title = "" }: { words: string[]; title?: string }) {
  const text = words.filter(Boolean).join(" · ");
  return (
    <span class="dim agent-words" title={[text, title].filter(Boolean).join("\n")}>
      {text}
    </span>
  );
}

/** How long a span took, or how old it is while it is open, with the mark and word of its state. */
export function Time({ ui, span }: { ui: Ui; span: AgentSpan }) {
  const to = span.end ?? (isOpen(span) ? Math.max(ui.clock.value, span.until) : span.until);
  const { state } = span;
  return (
    <span class={`agent-time mono state-${state}`}>
      {duration(to - span.start)}
      {state !== "ended" && <b class="state-word">{` ${MARKS[state]} ${state}`}</b>}
    </span>
  );
}

/** Why a span failed, in place. */
export function Failure({ span }: { span: AgentSpan }) {
  if (!isFailed(span)) return null;
  const text = span.error || (span.state === "abandoned" ? "it never ended" : "it failed");
  return (
    <p class={`agent-failure state-${span.state}`}>
      <span class="state-word">{`${MARKS[span.state]} ${visible(text.slice(0, 2_000))}`}</span>
    </p>
  );
}

/** Something under a heading, which folds it; what is folded is not in the page. */
export function Fold({
  label,
  head,
  children,
  isOpen: isOpenFirst = true,
  class: name,
}: FoldProps) {
  const [isOpen, setOpen] = useState(isOpenFirst);
  return (
    <div class={name} role="group" aria-label={label}>
      <div class="agent-line">
        <button
          type="button"
          class="twisty"
          aria-expanded={isOpen}
          aria-label={label}
          onClick={() => setOpen(!isOpen)}
        >
          {isOpen ? "▾" : "▸"}
        </button>
        {head}
      </div>
      {isOpen && <div class="agent-within">{children}</div>}
    </div>
  );
}

interface FoldProps {
  /** What is folded, for assistive technology. */
  label: string;
  head: ComponentChildren;
  children: ComponentChildren;
  isOpen?: boolean;
  class: string;
}

/** Says tokens as `90 → 17 tokens`; nothing where none are recorded. */
export function tokensText({ input, output, cached, reasoning }: Tokens): string {
  if (input === null && output === null) return "";
  const said = (count: number | null) => (count === null ? "?" : number(count));
  const more = [
    cached ? `${number(cached)} cached` : "",
    reasoning ? `${number(reasoning)} for reasoning` : "",
  ].filter(Boolean);
  const beside = more.length > 0 ? ` (${more.join(", ")})` : "";
  return `${said(input)} → ${said(output)} tokens${beside}`;
}

/** Says what a run did, in a few words. */
export function totalsText(totals: Totals): string {
  const sum = (totals.input ?? 0) + (totals.output ?? 0);
  return [
    totals.calls > 0 ? countOf(totals.calls, "call") : "",
    totals.tools > 0 ? countOf(totals.tools, "tool call") : "",
    sum > 0 ? countOf(sum, "token") : "",
    totals.errors > 0 ? countOf(totals.errors, "error") : "",
  ]
    .filter(Boolean)
    .join(" · ");
}
