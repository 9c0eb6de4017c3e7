/** What is shown instead of traces: why there are none, and what to do. */

import { visible } from "../../model/format";
import { useApp } from "../context";
import { NothingYet } from "../shell/NothingYet";
import { termsOf } from "./terms";

export function Empty() {
  const app = useApp();
  const { traces, navigation } = app;
  const { q, since, until } = traces.choice.value;
  if (traces.isLoading.value || !traces.hasLoaded.value)
    return <div class="empty dim">Looking …</div>;
  if (!q && !since && !until) return <NothingYet title="No traces yet" />;
  const terms = termsOf(q);
  return (
    <div class="empty">
      <h2>Nothing matches</h2>
      {q && (
        <p>
          No trace {since || until ? "of this time " : ""}has a span that matches{" "}
          <code>{visible(q)}</code>.
        </p>
      )}
      <p class="choices">
        {(since || until) && (
          <button type="button" onClick={() => navigation.set({ since: "", until: "" }, true)}>
            Search all times
          </button>
        )}
        {terms.length > 1 &&
          terms.map((term, at) => (
            <button
              key={`${at} ${term}`}
              type="button"
              onClick={() =>
                navigation.set({ q: terms.filter((_, other) => other !== at).join(" ") }, true)
              }
            >
              Without <code>{visible(term)}</code>
            </button>
          ))}
        {q && (
          <button type="button" onClick={() => navigation.set({ q: "" }, true)}>
            Show all traces
          </button>
        )}
      </p>
    </div>
  );
}
