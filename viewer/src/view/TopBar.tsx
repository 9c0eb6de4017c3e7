/** The line on top of a report: traces, search, theme and help. */

import { countOf } from "../model/format";
import type { View } from "../model/view";
import { TraceSearch } from "./TraceSearch";
import { nextTheme, THEME_NAMES } from "./theme";

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
      <TraceSearch view={view} />
      <button
        type="button"
        title="Light, dark, or as the system (t)"
        onClick={() => nextTheme(view)}
      >
        {THEME_NAMES[view.theme.value]}
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
