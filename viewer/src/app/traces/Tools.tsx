/** The line above the list: how much is shown, of which time, and what can be compared. */

import { countOf, number } from "../../model/format";
import { AddButton } from "../adding/AddingFiles";
import { useApp } from "../context";
import { addressOfRoute } from "../route";
import { clockTime, timeBeside } from "../times";

const PERIODS: readonly [string, number][] = [
  ["15 min", 15],
  ["1 h", 60],
  ["6 h", 360],
  ["24 h", 1_440],
];

export function Tools() {
  const app = useApp();
  const { traces, navigation } = app;
  const { since, until, q } = traces.choice.value;
  const count = traces.ids.value.length;
  const marked = traces.marked.value;
  const [a = "", b = ""] = marked;
  const more = traces.next.value ? "+" : "";
  return (
    <div class="tools">
      <strong>
        {number(count)}
        {more} {count === 1 && !more ? "trace" : "traces"}
      </strong>
      <span class="chips" role="group" aria-label="Time">
        {PERIODS.map(([name, minutes]) => (
          <button
            key={name}
            type="button"
            class="chip"
            onClick={() => {
              const from = app.clock.now() - BigInt(minutes) * 60_000_000_000n;
              navigation.set({ since: String(from), until: "" }, true);
            }}
          >
            {name}
          </button>
        ))}
        {(since || until) && (
          <button
            type="button"
            class="chip"
            aria-pressed="true"
            title="Show all times again (Esc)"
            onClick={() => navigation.set({ since: "", until: "" }, true)}
          >
            {since ? timeBeside(BigInt(since), app.clock.tick.peek()).replace(/\.\d+$/, "") : "…"}{" "}
            to {until ? clockTime(BigInt(until)) : "now"} ✕
          </button>
        )}
      </span>
      {q && count > 0 && <span class="dim">{countOf(matches(app), "match", "matches")}</span>}
      <Searched />
      {marked.length > 0 && (
        <span class="compare-choice">
          {marked.length === 2 ? (
            <a class="link" href={addressOfRoute({ page: "compare", id: "", query: { a, b } })}>
              Compare the two that are marked
            </a>
          ) : (
            <span class="dim">Mark another trace to compare (m)</span>
          )}{" "}
          <button
            type="button"
            class="plain"
            aria-label="Take the marks away"
            onClick={() => {
              traces.marked.value = [];
            }}
          >
            ✕
          </button>
        </span>
      )}
      {count > 0 && <AddButton />}
    </div>
  );
}

function matches({ traces }: ReturnType<typeof useApp>): number {
  let sum = 0;
  for (const one of traces.summaries.value.values()) sum += one.match_count;
  return sum;
}

/** Says that a search has not come to its end yet, and goes on with it. */
function Searched() {
  const { traces } = useApp();
  const until = traces.searchedUntil.value;
  if (until === null || traces.next.value === null) return null;
  return (
    <span>
      searched back to {clockTime(until)}{" "}
      <button type="button" class="plain link" onClick={() => void traces.more()}>
        go on
      </button>
    </span>
  );
}
