/** What could not be loaded, and what can be done. */

import type { ApiError } from "../../live/client";

export function Failed({ error, onRetry }: { error: ApiError; onRetry: () => void }) {
  return (
    <div class="empty" role="alert">
      <h2>{sentence(error.message)}</h2>
      {error.hint && <p>{error.hint}</p>}
      <button type="button" onClick={onRetry}>
        Try again
      </button>
    </div>
  );
}

/** A line above data that is older, because newer data could not be loaded. */
export function FailedLine({ error }: { error: ApiError }) {
  return (
    <p class="note" role="alert">
      {sentence(error.message)}. {error.hint}
    </p>
  );
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
