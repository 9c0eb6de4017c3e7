/** What is shown instead of a table of which the search finds nothing. */

import { useApp } from "../context";

export function NothingMatches({ title }: { title: string }) {
  const { navigation } = useApp();
  return (
    <div class="empty">
      <h2>{title}</h2>
      <button type="button" onClick={() => navigation.set({ q: "" })}>
        Show all
      </button>
    </div>
  );
}
