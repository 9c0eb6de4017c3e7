/** The agents that programs have registered: what each does now, in which process, since when. */

import { useState } from "preact/hooks";
import type { RegisteredAgent } from "../../live/contract";
import { countOf, duration, number, visible } from "../../model/format";
import { MARKS } from "../../view/look";
import { useApp } from "../context";
import { traceAddress } from "../route";
import { fullTime } from "../times";

/** How many are shown before the reader asks for all. */
const FEW = 5;
const MOST = 200;

/** States that need a look come first. */
const RANKS = ["hung", "blocked", "stalled", "lost", "running"];

export function RegisteredAgents({ chosen }: { chosen: string }) {
  const app = useApp();
  const [isWhole, setWhole] = useState(false);
  const running = app.now.running.value;
  const agents = (running?.agents ?? [])
    .filter((one) => !chosen || one.process === chosen)
    .sort((one, other) => rank(one) - rank(other));
  if (!running || agents.length === 0) return null;
  const total = chosen ? agents.length : running.agents_total;
  const shown = agents.slice(0, isWhole ? MOST : FEW);
  const hasOneProcess = agents.every((one) => one.process === agents[0]?.process);
  return (
    <section class="registered" aria-label="Registered agents">
      <strong>{countOf(total, "registered agent")}</strong>
      <ul>
        {shown.map((one) => (
          <AgentLine
            key={`${one.process} ${one.id}`}
            agent={one}
            sinceNs={Math.max(Number(app.clock.tick.value - running.now_ns), 0)}
            namesProcess={!hasOneProcess}
          />
        ))}
      </ul>
      {agents.length > shown.length && !isWhole && (
        <button type="button" class="chip" onClick={() => setWhole(true)}>
          {number(total - shown.length)} more
        </button>
      )}
      {isWhole && total > shown.length && (
        <small class="dim">{number(total - shown.length)} more: otel-ext ps --agents</small>
      )}
    </section>
  );
}

interface Props {
  agent: RegisteredAgent;
  /** How long ago its age was taken. */
  sinceNs: number;
  namesProcess: boolean;
}

function AgentLine({ agent, sinceNs, namesProcess }: Props) {
  const app = useApp();
  const process = app.now.processes.value.get(agent.process);
  const name = visible(agent.id.slice(0, 100));
  const mark = agent.state === "idle" ? "○" : MARKS[agent.state];
  return (
    <li class={`state-${agent.state}`} title={titleOf(agent)}>
      <b class="state-word">{mark}</b> <span class="strong">{name}</span>{" "}
      {agent.span ? (
        <a class="link" href={traceAddress(agent.trace_id, agent.span_id)}>
          {visible(agent.span.slice(0, 100))}{" "}
          {duration(agent.span_age_ns + (agent.state === "lost" ? 0 : sinceNs))}
        </a>
      ) : (
        <span class="dim">idle</span>
      )}
      {agent.state !== "idle" && agent.state !== "running" && (
        <small class="state-word"> {agent.state}</small>
      )}
      {namesProcess && (
        <small class="dim"> {visible((process?.label ?? agent.process).slice(0, 60))}</small>
      )}
    </li>
  );
}

function titleOf(agent: RegisteredAgent): string {
  const facts = Object.entries(agent.attributes).slice(0, 8);
  const lines = [
    `registered ${fullTime(agent.recorded_ns)}, ${duration(agent.age_ns)} ago`,
    ...facts.map(([key, value]) => `${key}: ${JSON.stringify(value)}`.slice(0, 200)),
  ];
  return lines.map(visible).join("\n");
}

function rank(agent: RegisteredAgent): number {
  const at = RANKS.indexOf(agent.state);
  return at < 0 ? RANKS.length : at;
}
