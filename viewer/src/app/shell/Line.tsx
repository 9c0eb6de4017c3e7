/** The line at the bottom: what the server holds, how it is connected, what happened last. */

import { useComputed } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { countOf, number } from "../../model/format";
import type { App } from "../app";
import { useApp } from "../context";
import { clockTime } from "../times";

export function Line() {
  const app = useApp();
  const info = app.info.value;
  return (
    <footer class="status">
      <Connection app={app} />
      {info && (
        <span class="minor">
          {countOf(info.traces, "trace")}, {countOf(info.spans, "span")}
          {info.folder && ` in ${info.folder}`}
        </span>
      )}
      {app.traces.marked.value.length > 0 && (
        <span>{number(app.traces.marked.value.length)} of 2 marked (m)</span>
      )}
      <span class="said" role="status">
        {app.said.value}
      </span>
      <span class="keys">
        <kbd>j</kbd> <kbd>k</kbd> rows <kbd>Enter</kbd> open <kbd>/</kbd> search <kbd>g</kbd> pages{" "}
        <kbd>?</kbd> keys
      </span>
    </footer>
  );
}

/** How the page is connected, and of when what is shown is. */
export function Connection({ app }: { app: App }) {
  const connection = app.stream.connection.value;
  // A text, so that the line is drawn again each second and not with each tick.
  const time = useComputed(() =>
    app.clock.tick.value > 0n ? clockTime(app.clock.tick.value) : "",
  );
  if (connection.state === "live") {
    const word = app.isPaused.value ? "paused" : "live";
    return <span>{time.value ? `${word}, ${time.value}` : word}</span>;
  }
  if (connection.state === "connecting") return <span>connecting …</span>;
  return <Away app={app} retryAt={connection.retryAt} />;
}

function Away({ app, retryAt }: { app: App; retryAt: number }) {
  const left = useSecondsTo(retryAt);
  const since = app.clock.now();
  return (
    <span class="away state-stalled" role="status">
      <b class="state-word">
        not connected; {since > 0n && `shown as of ${clockTime(since)}; `}
        {left > 0 ? `trying again in ${left} s` : "trying again"}
      </b>{" "}
      <button type="button" class="plain link" onClick={() => app.stream.retry()}>
        now
      </button>
    </span>
  );
}

/** Returns the seconds up to a time of the browser's clock, as they pass. */
function useSecondsTo(time: number): number {
  const seconds = () => Math.max(0, Math.ceil((time - Date.now()) / 1000));
  const [left, setLeft] = useState(seconds);
  useEffect(() => {
    setLeft(seconds());
    const timer = setInterval(() => setLeft(seconds()), 500);
    return () => clearInterval(timer);
  }, [time]);
  return left;
}
