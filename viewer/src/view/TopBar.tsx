/** The line on top of a report: traces, search, theme and help. */

import { countOf } from "../model/format";
import type { View } from "../model/view";
import { ThemeAndHelp } from "./ThemeAndHelp";
import { TraceSearch } from "./TraceSearch";

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
      <ThemeAndHelp of={view} />
    </header>
  );
}
