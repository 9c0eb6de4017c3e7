/** The line on top: traces, search, theme and help. */

import { useEffect, useRef, useState } from "preact/hooks";
import { goToMatch } from "../model/commands";
import { completions } from "../model/completion";
import { countOf, number } from "../model/format";
import type { View } from "../model/view";
import { focusRows, nextTheme } from "./keys";

const DELAY_MS = 120;

export function TopBar({ view }: { view: View }) {
  const { length } = view.data.value.traces;
  return (
    <header class="top">
      <strong class="brand">otel-ext</strong>
      {length > 1 && (
        <button
          type="button"
          aria-pressed={view.mode.value === "traces"}
          onClick={() => {
            view.mode.value = view.mode.value === "traces" ? "waterfall" : "traces";
          }}
        >
          {countOf(length, "trace")}
        </button>
      )}
      <Search view={view} />
      <button
        type="button"
        title="Light, dark, or as the system (t)"
        onClick={() => nextTheme(view)}
      >
        {{ system: "Auto", light: "Light", dark: "Dark" }[view.theme.value]}
      </button>
      <button
        type="button"
        aria-label="Keys and search words"
        title="Keys and search words (?)"
        onClick={() => {
          view.helpOpen.value = true;
        }}
      >
        ?
      </button>
    </header>
  );
}

function Search({ view }: { view: View }) {
  const input = useRef<HTMLInputElement>(null);
  const [typed, setTyped] = useState(view.search.value);
  // What came from here must not come back: the reader may have typed more in the meantime.
  const sent = useRef(typed);
  const send = () => {
    sent.current = typed;
    view.search.value = typed;
  };
  useEffect(() => {
    if (view.search.value === sent.current) return;
    sent.current = view.search.value;
    setTyped(view.search.value);
  }, [view.search.value]);
  useEffect(() => {
    if (typed === sent.current) return;
    const timer = setTimeout(send, DELAY_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  const { error, node } = view.query.value;
  const pressed = (event: KeyboardEvent) => {
    if (event.key !== "Enter" && event.key !== "Escape") return;
    send();
    if (event.key === "Escape") return; // the handler of all keys leaves the field
    event.preventDefault();
    if (event.shiftKey) {
      view.onlyFound.value = !view.onlyFound.value;
      return;
    }
    if (view.query.value.error) return; // to be corrected here
    focusRows(input.current?.closest(".otel") ?? null, input.current);
    void goToMatch(view);
  };
  return (
    <div class="search">
      <input
        ref={input}
        type="search"
        value={typed}
        placeholder="Search: charge error dur:>500ms service:shop   ( / )"
        aria-label={view.mode.value === "traces" ? "Search in all traces" : "Search in this trace"}
        aria-invalid={error !== null}
        aria-describedby="search-says"
        spellcheck={false}
        autocomplete="off"
        list="search-words"
        onInput={(event) => setTyped(event.currentTarget.value)}
        onKeyDown={pressed}
      />
      <datalist id="search-words">
        {completions(view.trace.value, typed).map((each) => (
          <option key={each} value={each} />
        ))}
      </datalist>
      {node && (
        <span class="found">
          {said(view)}
          <label title="Show only matches and the spans above them (Shift+Enter)">
            <input
              type="checkbox"
              checked={view.onlyFound.value}
              onChange={(event) => {
                view.onlyFound.value = event.currentTarget.checked;
              }}
            />
            only
          </label>
        </span>
      )}
      <div id="search-says" role="status">
        {error && (
          <SearchProblem text={typed} at={error.at} problem={error.problem} hint={error.hint} />
        )}
      </div>
    </div>
  );
}

/** Says how many spans match, in the list also in how many traces. */
function said(view: View): string {
  const matches = (count: number) => `${number(count)} ${count === 1 ? "match" : "matches"}`;
  const hits = view.mode.value === "traces" ? view.hits.value : null;
  if (!hits) return matches(view.foundCount.value);
  const traces = hits.filter((count) => count > 0).length;
  const all = hits.reduce((sum, count) => sum + count, 0);
  return `${matches(all)} in ${countOf(traces, "trace")}`;
}

/** Shows the search with its wrong place underlined, and what to write instead. */
function SearchProblem(props: { text: string; at: number; problem: string; hint: string }) {
  const { text, at, problem, hint } = props;
  const word = /^\S+/.exec(text.slice(at))?.[0] ?? " ";
  return (
    <div class="problem">
      <code>
        {text.slice(0, at)}
        <u>{word}</u>
        {text.slice(at + word.length)}
      </code>
      <span>
        {problem}. {hint}
      </span>
    </div>
  );
}
