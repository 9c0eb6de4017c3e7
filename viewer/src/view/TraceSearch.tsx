/** The search in the traces of a view. */

import { goToMatch } from "../model/commands";
import { completions } from "../model/completion";
import { countOf } from "../model/format";
import type { View } from "../model/view";
import { focusRows } from "./keys";
import { SearchField } from "./SearchField";

export function TraceSearch({ view }: { view: View }) {
  const { error, node } = view.query.value;
  const entered = (field: HTMLInputElement, isShift: boolean) => {
    if (isShift) {
      view.onlyFound.value = !view.onlyFound.value;
      return;
    }
    if (view.query.value.error) return; // to be corrected here
    focusRows(field.closest(".otel"), field);
    void goToMatch(view);
  };
  return (
    <SearchField
      value={view.search.value}
      label={view.mode.value === "traces" ? "Search in all traces" : "Search in this trace"}
      placeholder="Search: charge error dur:>500ms service:shop   ( / )"
      words={(typed) => completions(view.trace.value, typed).map((text) => ({ text }))}
      problem={error}
      onSearch={(text) => {
        view.search.value = text;
      }}
      onEnter={entered}
    >
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
    </SearchField>
  );
}

/** Says how many spans match, in the list also in how many traces. */
function said(view: View): string {
  const matches = (count: number) => countOf(count, "match", "matches");
  const hits = view.mode.value === "traces" ? view.hits.value : null;
  if (!hits) return matches(view.foundCount.value);
  const traces = hits.filter((count) => count > 0).length;
  const all = hits.reduce((sum, count) => sum + count, 0);
  return `${matches(all)} in ${countOf(traces, "trace")}`;
}
