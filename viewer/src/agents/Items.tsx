/** The items of a conversation: messages, calls of a model, tools, steps, and runs within runs. */

import { useMemo, useState } from "preact/hooks";
import type { Json } from "../data/contract";
import { countOf, middleCut, number } from "../model/format";
import type { Call, Item, Part, Run, Said, Step, Tool } from "./model";
import { Field, IN_LINE, Parts } from "./Pieces";
import { isFailed, isOpen } from "./totals";
import { Failure, Fold, StepName, shown, Time, tokensText, totalsText, type Ui, Words } from "./ui";
import { canonical } from "./values";

/** How many items of a long list are in the page: the first and the last of them. */
const FIRST = 60;
const LAST = 140;
const MORE = 500;
/** Why a model stops that has said what it wanted to. */
const USUAL = /^(stop|end_turn|tool_?calls?|tool-calls|tool_use|completed)?$/i;

export function Items({ ui, items }: { ui: Ui; items: readonly Item[] }) {
  const [first, setFirst] = useState(FIRST);
  const hidden = items.length - first - LAST;
  const keys = useMemo(() => keysOf(items), [items]);
  const show = (from: number, to?: number) =>
    items
      .slice(from, to)
      .map((item, at) => <ItemView key={keys[from + at] ?? at} ui={ui} item={item} />);
  if (hidden <= 0) return <>{show(0)}</>;
  return (
    <>
      {show(0, first)}
      <button type="button" class="agent-more" onClick={() => setFirst(first + MORE)}>
        … {countOf(hidden, "step")} between, show {number(Math.min(hidden, MORE))} more
      </button>
      {show(items.length - LAST)}
    </>
  );
}

/** Returns keys that items keep while others come before them: by their span, and counted. */
function keysOf(items: readonly Item[]): string[] {
  const counts = new Map<string, number>();
  return items.map((item) => {
    const key = `${item.type} ${(item.type === "tool" ? item.caller : item.span).id}`;
    const count = (counts.get(key) ?? 0) + 1;
    counts.set(key, count);
    return `${key} ${count}`;
  });
}

function ItemView({ ui, item }: { ui: Ui; item: Item }) {
  switch (item.type) {
    case "run":
      return <RunView ui={ui} run={item} isWithin />;
    case "message":
      return <SaidView ui={ui} said={item} />;
    case "call":
      return <CallView ui={ui} call={item} />;
    case "tool":
      return <ToolView ui={ui} tool={item} />;
    case "step":
      return <StepView ui={ui} step={item} />;
  }
}

export function RunView({ ui, run, isWithin = false }: RunProps) {
  const { span, name, totals, offered, conversation } = run;
  const words = [
    run.isImplied ? "" : "agent",
    totalsText(totals),
    offered.length > 0 ? `may call ${offered.map(shown).join(", ")}` : "",
    conversation && `conversation ${shown(conversation)}`,
  ];
  return (
    <section aria-label={`Run of ${shown(name)}`}>
      <Fold
        class={isWithin ? "agent-run" : "agent-run agent-top"}
        label={`What ${shown(name)} did`}
        head={
          <>
            <StepName ui={ui} span={span}>
              {shown(name)}
            </StepName>
            <Words words={words} />
            <Time ui={ui} span={span} />
          </>
        }
      >
        <Failure span={span} />
        <Items ui={ui} items={run.items} />
        {run.items.length === 0 && <p class="dim">{isOpen(span) ? "Nothing yet." : "Nothing."}</p>}
      </Fold>
    </section>
  );
}

interface RunProps {
  ui: Ui;
  run: Run;
  isWithin?: boolean;
}

function SaidView({ ui, said }: { ui: Ui; said: Said }) {
  const { role, name, parts, tools, span } = said;
  const who = shown(name ? `${role} ${name}` : role);
  const isTold = role === "system";
  if (isTold) {
    return (
      <Fold
        class="agent-item role-system"
        label="Instructions"
        isOpen={false}
        head={
          <>
            <StepName ui={ui} span={span}>
              {who}
            </StepName>
            <Words words={[middleCut(shown(firstLine(parts)), 120)]} />
          </>
        }
      >
        <Parts parts={parts} />
      </Fold>
    );
  }
  return (
    <article class={`agent-item role-${roleClass(role)}`} aria-label={who}>
      <div class="agent-line">
        <StepName ui={ui} span={span}>
          {who}
        </StepName>
      </div>
      <Parts parts={parts} />
      <Items ui={ui} items={tools} />
    </article>
  );
}

function CallView({ ui, call }: { ui: Ui; call: Call }) {
  const { span, model, parts, tools, known, fresh } = call;
  const words = [
    shown(model),
    tokensText(call.tokens),
    known > 0 ? `context ${known + fresh}, ${fresh} new` : "",
  ];
  const isUsual = USUAL.test(call.finish);
  return (
    <article class={`agent-item role-assistant state-${span.state}`} aria-label="assistant">
      <div class="agent-line">
        <StepName ui={ui} span={span}>
          assistant
        </StepName>
        <Words
          words={words}
          title={`${shown(call.provider)}: of ${countOf(known + fresh, "piece")} that were sent, ${fresh} are new, and the others stand above`}
        />
        {!isUsual && (
          <span class="state-stalled" title="Why the model stopped">
            <b class="state-word">⚠ {shown(call.finish)}</b>
          </span>
        )}
        <Time ui={ui} span={span} />
      </div>
      <Failure span={span} />
      <Parts parts={parts} />
      <Items ui={ui} items={tools} />
    </article>
  );
}

function ToolView({ ui, tool }: { ui: Ui; tool: Tool }) {
  const { span, caller, args, result, items } = tool;
  const given = args === undefined ? "" : canonical(args);
  const isShort = given.length <= IN_LINE;
  const line = given === "{}" ? "" : isShort ? given : middleCut(given.slice(0, 1_000), IN_LINE);
  const state = span ? `state-${span.state}` : "";
  return (
    <Fold
      class={`agent-item agent-tool ${state}`}
      label={`Arguments and result of ${shown(tool.name)}`}
      head={
        <>
          <StepName ui={ui} span={span ?? caller}>
            <span aria-hidden="true">⚙ </span>
            {shown(tool.name) || "(no name)"}
          </StepName>
          <code class="agent-words" title={shown(line)}>
            {shown(line)}
          </code>
          {span ? <Time ui={ui} span={span} /> : <NoSpan tool={tool} />}
        </>
      }
    >
      {!isShort && <Field name="arguments" value={args} />}
      {span && <Failure span={span} />}
      <Items ui={ui} items={items} />
      {result !== undefined && !(span && isFailed(span) && isSame(span.error, result)) && (
        <Field name="result" value={result} />
      )}
    </Fold>
  );
}

function isSame(error: string, result: Json): boolean {
  return result === "" || (typeof result === "string" && error.includes(result.trim()));
}

/** Says why a tool has no time: nothing recorded that it ran. */
function NoSpan({ tool }: { tool: Tool }) {
  const word = tool.result !== undefined ? "no span" : isOpen(tool.caller) ? "asked" : "no result";
  return <span class="agent-time dim">{word}</span>;
}

function StepView({ ui, step }: { ui: Ui; step: Step }) {
  const { kind, span, input, output } = step;
  return (
    <Fold
      class={`agent-item agent-tool state-${span.state}`}
      label={`Input and output of ${shown(span.name)}`}
      isOpen={isFailed(span)}
      head={
        <>
          <StepName ui={ui} span={span}>
            {shown(span.name)}
          </StepName>
          <Words words={[kind === "step" ? "" : kind, tokensText(step.tokens)]} />
          <Time ui={ui} span={span} />
        </>
      }
    >
      <Failure span={span} />
      {input !== undefined && <Field name="input" value={input} />}
      {output !== undefined && <Field name="output" value={output} />}
    </Fold>
  );
}

function firstLine(parts: readonly Part[]): string {
  const text = parts.find((part) => part.type === "text")?.text ?? "";
  return text.trim().split("\n", 1)[0] ?? "";
}

function roleClass(role: string): string {
  return ["user", "assistant", "tool"].includes(role) ? role : "other";
}
