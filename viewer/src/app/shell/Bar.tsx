/** The bar on top: tabs, search, the switch of live and paused. */

import { useComputed } from "@preact/signals";
import { number } from "../../model/format";
import { ThemeAndHelp } from "../../view/ThemeAndHelp";
import { useApp } from "../context";
import { addressOfRoute, type Page } from "../route";
import { AppSearch } from "./AppSearch";
import { GO } from "./keys";

export const NAMES: { [page in Page]?: string } = {
  now: "Now",
  traces: "Traces",
  operations: "Operations",
  errors: "Errors",
  compare: "Compare",
  logs: "Logs",
  agents: "Agents",
};

export function Bar() {
  const app = useApp();
  const { page } = app.navigation.route.value;
  return (
    <header class="top">
      <strong class="brand">otel-ext</strong>
      <nav class="tabs-of-pages" aria-label="Pages">
        {GO.map(([key, each]) => {
          const isHere = page === each || (page === "trace" && each === "traces");
          const isSame = page === each;
          return (
            <a
              key={each}
              href={
                isSame ? addressOfRoute(app.navigation.route.value) : app.navigation.addressTo(each)
              }
              aria-current={isHere ? "page" : undefined}
              title={`g ${key}`}
            >
              {NAMES[each]}
              {each === "now" && <Stalled />}
            </a>
          );
        })}
      </nav>
      <AppSearch />
      <Live />
      <ThemeAndHelp of={app} />
    </header>
  );
}

/** How many spans hang. */
function Stalled() {
  const { stalled } = useApp().now;
  if (stalled.value === 0) return null;
  return (
    <small class="badge state-stalled" title={`${stalled.value} stalled`}>
      <span class="state-word">◷ {number(stalled.value)}</span>
    </small>
  );
}

function Live() {
  const app = useApp();
  const { page } = app.navigation.route.value;
  const { connection } = app.stream;
  const waiting = useComputed(() => {
    const { traces, trace, logs, running } = app.held.counts.value;
    const { page } = app.navigation.route.value;
    return { traces, trace, logs, now: running, agents: trace }[page as "now"] ?? 0;
  });
  const isPaused = app.isPaused.value;
  const state = connection.value.state;
  const word = isPaused
    ? "Paused"
    : { live: "Live", connecting: "Connecting", away: "Away" }[state];
  return (
    <button
      type="button"
      class={`live ${isPaused ? "paused" : state}`}
      aria-pressed={isPaused}
      title={isPaused ? "Go on live (.)" : "Keep what is shown as it is (.)"}
      onClick={() => app.pause(!isPaused)}
    >
      <i aria-hidden="true">{isPaused ? "‖" : state === "live" ? "●" : "○"}</i> {word}
      {isPaused && waiting.value > 0 && (
        <span>
          {" "}
          · {number(waiting.value)} {page === "now" ? "changes" : "new"}
        </span>
      )}
    </button>
  );
}
