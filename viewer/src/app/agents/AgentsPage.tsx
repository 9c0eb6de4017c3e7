/** Agents: the traces that have spans of LLM agents, and the conversation of one of them. */

import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { AgentsView } from "../../agents";
import type { Summary } from "../../live/contract";
import { countOf, duration, visible } from "../../model/format";
import { MARKS } from "../../view/look";
import { useApp, usePageKeys } from "../context";
import { moveKeys } from "../list";
import { addressOfRoute, traceAddress } from "../route";
import { Failed } from "../shell/Failed";
import { useRefresh } from "../tables/useRefresh";
import { fullTime, timeBeside } from "../times";
import { agentsClient } from "./client";

export function AgentsPage({ id }: { id: string }) {
  return id ? <One id={id} /> : <All />;
}

function One({ id }: { id: string }) {
  const app = useApp();
  const client = useMemo(() => agentsClient(app), [app]);
  const { span = "" } = app.navigation.route.value.query;
  const error = app.trace.value?.problem.value;
  usePageKeys({
    Escape: () => {
      app.navigation.go("agents");
      return undefined;
    },
  });
  if (error && !app.trace.value?.view.value) return <Failed error={error} onRetry={app.loadPage} />;
  return (
    <>
      <div class="tools">
        <a class="link" href="#/agents">
          All agents
        </a>
        <a class="link" href={traceAddress(id, span)}>
          The same as a waterfall
        </a>
        <span class="mono dim">{id.slice(0, 8)}</span>
      </div>
      <div class="rows" tabIndex={0}>
        <AgentsView
          client={client}
          traceId={id}
          selected={span}
          onSpan={(one) => app.navigation.set({ span: one })}
        />
      </div>
    </>
  );
}

function All() {
  const app = useApp();
  const { agents } = app;
  const chosen = useSignal("");
  const traces = agents.value.value?.traces ?? [];
  const at = traces.findIndex((one) => one.trace_id === chosen.value);
  useRefresh();
  usePageKeys({
    ...moveKeys(traces.length, at, (row) => {
      chosen.value = traces[row]?.trace_id ?? "";
    }),
    Enter: () => {
      if (chosen.value) app.navigation.go("agents", {}, chosen.value);
      return undefined;
    },
  });
  const error = agents.problem.value;
  if (error && !agents.value.value) return <Failed error={error} onRetry={app.loadPage} />;
  if (traces.length === 0) return <Nothing isLoading={agents.value.value === null} />;
  return (
    <div class="rows agent-list" tabIndex={0} role="list" aria-label="Agents">
      {traces.map((one) => (
        <Line key={one.trace_id} one={one} isChosen={one.trace_id === chosen.value} />
      ))}
    </div>
  );
}

function Line({ one, isChosen }: { one: Summary; isChosen: boolean }) {
  const app = useApp();
  return (
    <div role="listitem">
      <a
        class={`agent-line state-${one.state}`}
        aria-current={isChosen}
        href={addressOfRoute({ page: "agents", id: one.trace_id, query: {} })}
      >
        <b class="state-word" title={one.state}>
          {MARKS[one.state] || "✓"}
        </b>
        <span class="strong">{visible(one.name.slice(0, 300)) || "(no name)"}</span>
        <span class="dim">{visible(one.service.slice(0, 100))}</span>
        <span class="mono">{duration(one.duration_ns)}</span>
        <span class="dim">{countOf(one.spans, "span")}</span>
        <span class="mono dim" title={fullTime(one.start_ns)}>
          {timeBeside(one.start_ns, app.clock.tick.peek())}
        </span>
      </a>
    </div>
  );
}

function Nothing({ isLoading }: { isLoading: boolean }) {
  if (isLoading) return <div class="empty dim">Looking …</div>;
  return (
    <div class="empty">
      <h2>No agents yet</h2>
      <p>
        A program whose spans follow OpenTelemetry's conventions for generative AI, or
        OpenInference, is shown here as a conversation: its messages, tools and tokens, while it
        runs.
      </p>
    </div>
  );
}
