/** The one search: in the list, in the open trace, in the logs, in what runs. */

import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { completion } from "../../live/contract";
import { parse, SearchError } from "../../search/parse";
import { FIELDS, STATES } from "../../search/words";
import { type Problem, SearchField, type Word } from "../../view/SearchField";
import { TraceSearch } from "../../view/TraceSearch";
import type { App } from "../app";
import { useApp } from "../context";
import type { Page } from "../route";

const WAIT_MS = 150;
const WORDS = [...STATES, ...FIELDS.map((field) => `${field}:`), "has:", "under:(", "has-child:("];

const PLACEHOLDERS: { [page in Page]?: string } = {
  now: "Search what runs: state:stalled age:>10s service:shop   ( / )",
  traces: "Search: charge error dur:>500ms service:shop   ( / )",
  logs: "Search in logs   ( / )",
  operations: "Search operations by service and name   ( / )",
  errors: "Search errors by text, service and name   ( / )",
};

export function AppSearch() {
  const app = useApp();
  const { page, query } = app.navigation.route.value;
  const words = useCompletion(app);
  const view = app.trace.value?.view.value;
  if (page === "trace" && view) return <TraceSearch key="trace" view={view} />;
  const isOfPage = PLACEHOLDERS[page] !== undefined;
  return (
    <SearchField
      key={isOfPage ? page : "traces"}
      value={isOfPage ? (query.q ?? "") : ""}
      label={isOfPage ? `Search in ${page}` : "Search in all traces"}
      placeholder={PLACEHOLDERS[page] ?? "Search in all traces   ( / )"}
      words={words}
      problem={problemOf(app, query.q ?? "")}
      onSearch={(q) => {
        if (isOfPage) app.navigation.set({ q });
      }}
      onEnter={(field) => {
        if (!isOfPage) app.navigation.go("traces", { q: field.value });
        field.blur();
        field.closest(".otel")?.querySelector<HTMLElement>(".rows")?.focus({ preventScroll: true });
      }}
    />
  );
}

/** Says what is wrong with a search: found here, or by the server. */
function problemOf(app: App, q: string): Problem | null {
  const { page } = app.navigation.route.value;
  if (page === "operations" || page === "errors" || page === "trace") return null;
  try {
    if (q.trim()) parse(q);
  } catch (error) {
    if (error instanceof SearchError) return error;
    throw error;
  }
  const error = page === "traces" ? app.traces.problem.value : app.logs.problem.value;
  if (!q || error?.status !== 400 || error.at === null || page === "now") return null;
  return { problem: error.message, hint: error.hint, at: error.at };
}

/** Returns what completes the last word: of the grammar at once, of the store as it answers. */
function useCompletion(app: App): (typed: string) => Word[] {
  const found = useSignal<{ word: string; words: Word[] }>({ word: "", words: [] });
  const timer = useMemo(() => ({ id: 0, asked: "" }), []);
  const ask = (word: string) => {
    if (timer.asked === word) return;
    timer.asked = word;
    clearTimeout(timer.id);
    timer.id = window.setTimeout(async () => {
      try {
        const { words } = await app.client.get("completion", completion, { query: { q: word } });
        if (timer.asked === word) found.value = { word, words };
      } catch {
        // Completion is a help; the search works without it.
      }
    }, WAIT_MS);
  };
  return (typed) => {
    const [, before = "", word = ""] = /^(.*?)([^\s()]*)$/s.exec(typed) ?? [];
    if (!word || word.includes('"')) return [];
    ask(word);
    const own = WORDS.filter((each) => each.startsWith(word)).map((text) => ({ text }));
    const stored = found.value.words.filter(({ text }) =>
      text.toLowerCase().startsWith(word.toLowerCase()),
    );
    const all = new Map<string, Word>([...own, ...stored].map((one) => [one.text, one]));
    return [...all.values()]
      .filter(({ text }) => text !== word)
      .slice(0, 15)
      .map(({ text, ...rest }) => ({ text: before + text, ...rest }));
  };
}
