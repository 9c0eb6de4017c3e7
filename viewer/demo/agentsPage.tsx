/** A page with the run of an agent as it grows: `#after=20` stands still, `#speed=8` runs faster. */

import { signal } from "@preact/signals";
import { render } from "preact";
import { type AgentsClient, AgentsView, type TraceColumns } from "../src/agents";
import "../src/view/styles/index.css";
import { agentRun, columnsOf } from "./agents";

const asked = new URLSearchParams(location.hash.slice(1));
const theme = asked.get("theme");
if (theme) document.documentElement.dataset.theme = theme;
const speed = Number(asked.get("speed") ?? 4);
const begun = Date.now();
const secondsNow = () =>
  asked.has("after") ? Number(asked.get("after")) : ((Date.now() - begun) / 1000) * speed;

const trace = signal<TraceColumns>(columnsOf(agentRun(secondsNow()).spans));
const selected = signal("");
if (!asked.has("after"))
  setInterval(() => {
    trace.value = columnsOf(agentRun(secondsNow()).spans);
  }, 300);

const client: AgentsClient = {
  trace: () => trace.value,
  now: () => secondsNow() * 1e9,
  details: async () => (asked.has("empty") ? {} : agentRun(secondsNow()).details),
};

function Page() {
  return (
    <div class="otel">
      <AgentsView
        client={client}
        traceId="demo"
        selected={selected.value}
        onSpan={(spanId) => {
          selected.value = spanId;
        }}
      />
    </div>
  );
}

render(<Page />, document.getElementById("viewer") ?? document.body);
