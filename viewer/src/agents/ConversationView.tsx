/** The agents of a trace as a conversation, which grows while they run. */

import { type Signal, useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { countOf, duration, number } from "../model/format";
import { RunView } from "./Items";
import { LOOKED_FOR } from "./kinds";
import type { Conversation as Model } from "./model";
import { shown, type Ui } from "./ui";

interface Props {
  model: Model;
  /** The time now, relative as the times of the spans. */
  now: number;
  /** Selects a span. */
  onSpan: (spanId: string) => void;
  /** The id of the span that is selected. */
  selected?: string;
}

/** Shows a conversation; `j` and `k` go to the next and the previous step, Enter selects its span. */
export function Conversation({ model, now, onSpan, selected = "" }: Props) {
  const clock = useSignal(now);
  useLayoutEffect(() => {
    clock.value = now;
  }, [now]);
  const list = useRef<HTMLDivElement>(null);
  const follow = useFollowing(list, model);
  // Only the ages change with the time: what stands around them is made anew with the model.
  const runs = useMemo(() => {
    const ui: Ui = { clock, onSpan, selected };
    return model.runs.map((run) => <RunView key={run.span.id} ui={ui} run={run} />);
  }, [model, onSpan, selected]);
  if (model.runs.length === 0) return <NoAgents />;
  return (
    <div class="agents">
      <TotalsLine model={model} clock={clock} />
      {!model.hasContent && <NoContent />}
      {model.leftOut > 0 && (
        <p class="note">
          There is too much to show: the messages of {countOf(model.leftOut, "span")} are left out.
        </p>
      )}
      <div
        ref={list}
        class="agents-list"
        role="region"
        aria-label="Conversation"
        tabIndex={0}
        onScroll={follow.onScroll}
        onKeyDown={(event) => step(event, list.current)}
      >
        {runs}
      </div>
      {model.totals.open > 0 && !follow.isAtEnd && (
        <button type="button" class="agents-follow" onClick={follow.toEnd}>
          ↓ follow
        </button>
      )}
    </div>
  );
}

function TotalsLine({ model, clock }: { model: Model; clock: Signal<number> }) {
  const { totals, from, to } = model;
  const until = totals.open > 0 ? Math.max(clock.value, to) : to;
  const sum = (totals.input ?? 0) + (totals.output ?? 0);
  const cached = totals.cached ? ` (${number(totals.cached)} cached)` : "";
  const facts: [string, string][] = [
    [totals.models.length > 1 ? "Models" : "Model", totals.models.map(shown).join(", ")],
    ["Calls", number(totals.calls)],
    ["Tool calls", number(totals.tools)],
    ["Tokens", totals.input === null && totals.output === null ? "not recorded" : number(sum)],
    ["in", totals.input === null ? "" : number(totals.input) + cached],
    ["out", totals.output === null ? "" : number(totals.output)],
    ["Time", duration(until - from)],
    ["Running", totals.open > 0 ? number(totals.open) : ""],
    ["Errors", totals.errors > 0 ? number(totals.errors) : ""],
  ];
  return (
    <dl class="agents-totals">
      {facts.map(
        ([name, value]) =>
          value !== "" && (
            <div key={name} class={STATES[name]}>
              <dt>{name}</dt>
              <dd class={name in STATES ? "state-word" : undefined}>{value}</dd>
            </div>
          ),
      )}
    </dl>
  );
}

const STATES: { [name: string]: string } = { Errors: "state-error", Running: "state-running" };

/** Keeps the end of the list in sight while it grows, as long as the reader is there. */
function useFollowing(list: RefObject<HTMLDivElement | null>, model: Model) {
  const [isAtEnd, setAtEnd] = useState(true);
  const toEnd = () => {
    const element = list.current;
    if (element) element.scrollTop = element.scrollHeight;
  };
  const measure = () => {
    const element = list.current;
    if (!element) return;
    setAtEnd(element.scrollHeight - element.scrollTop - element.clientHeight < 60);
  };
  const isFirst = useRef(true);
  useLayoutEffect(() => {
    if (model.totals.open > 0 && isAtEnd && !isFirst.current) toEnd();
    isFirst.current = false;
    measure();
  }, [model]);
  return { isAtEnd, toEnd, onScroll: measure };
}

const BY: { [key: string]: number | undefined } = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 };

/** Goes to another step by its key. */
function step(event: KeyboardEvent, list: HTMLElement | null): void {
  if (event.ctrlKey || event.metaKey || event.altKey || !list) return;
  const steps = [...list.querySelectorAll<HTMLElement>("[data-step]")];
  const at = steps.indexOf(document.activeElement as HTMLElement);
  const ends: { [key: string]: number | undefined } = { Home: 0, End: steps.length - 1 };
  const by = BY[event.key];
  const next = by === undefined ? ends[event.key] : at < 0 ? 0 : at + by;
  if (next === undefined) return;
  event.preventDefault();
  event.stopPropagation();
  const target = steps[Math.min(Math.max(next, 0), steps.length - 1)];
  target?.focus({ preventScroll: true });
  target?.scrollIntoView?.({ block: "nearest" });
}

function NoContent() {
  return (
    <p class="note">
      What was said is not recorded. Most instrumentations leave it out until asked, those of
      OpenTelemetry by <code>OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT</code>.
    </p>
  );
}

function NoAgents() {
  return (
    <div class="empty">
      <h2>No spans of an agent in this trace</h2>
      <p>A span belongs to an agent if it has one of these attributes:</p>
      <p class="mono">{LOOKED_FOR.join(", ")}</p>
      <p>
        Instrumentations of OpenTelemetry (GenAI), OpenInference, OpenLLMetry, Langfuse, Pydantic AI
        and Logfire write them.
      </p>
    </div>
  );
}
