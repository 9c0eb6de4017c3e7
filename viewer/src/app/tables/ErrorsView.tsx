/** Errors: those of one kind together, the latest first, each with an example. */

import { useSignal } from "@preact/signals";
import type { ErrorGroupNow } from "../../live/contract";
import { countOf, number, visible } from "../../model/format";
import { useApp, usePageKeys } from "../context";
import { moveKeys } from "../list";
import { traceAddress } from "../route";
import { Failed, FailedLine } from "../shell/Failed";
import { fullTime, timeBeside } from "../times";
import { NothingMatches } from "./NothingMatches";
import { Period } from "./Period";
import { useRefresh } from "./useRefresh";

export function ErrorsView() {
  const app = useApp();
  const { errors, navigation } = app;
  const { query } = navigation.route.value;
  const chosen = useSignal("");
  const words = (query.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const all = errors.value.value?.errors ?? [];
  const shown = all.filter((one) => {
    const text = `${one.type} ${one.text} ${one.service} ${one.name} ${one.place}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const at = shown.findIndex((one) => keyOf(one) === chosen.value);
  useRefresh();
  usePageKeys({
    ...moveKeys(shown.length, at, (row) => {
      const one = shown[row];
      chosen.value = one ? keyOf(one) : "";
      document.getElementById(`error-${row}`)?.scrollIntoView?.({ block: "nearest" });
    }),
    Enter: () => {
      const one = shown[at];
      if (one) navigation.go("trace", { span: one.span_id }, one.trace_id);
      return undefined;
    },
  });
  const error = errors.problem.value;
  if (error && !errors.value.value) return <Failed error={error} onRetry={app.loadPage} />;
  const count = shown.reduce((sum, one) => sum + one.count, 0);
  return (
    <>
      {error && <FailedLine error={error} />}
      <div class="tools">
        <strong>
          {countOf(count, "error")} in {countOf(shown.length, "group")}
        </strong>
        <Period />
      </div>
      {shown.length === 0 ? (
        <Nothing isLoading={errors.isLoading.value} isFiltered={all.length > 0} />
      ) : (
        <div class="rows errors" tabIndex={0} role="list" aria-label="Errors">
          {shown.map((one, row) => (
            <Group key={keyOf(one)} one={one} id={`error-${row}`} isChosen={row === at} />
          ))}
        </div>
      )}
    </>
  );
}

function Group({ one, id, isChosen }: { one: ErrorGroupNow; id: string; isChosen: boolean }) {
  const app = useApp();
  const editor = app.around.editorLink?.(one.place);
  const now = app.clock.tick.peek();
  return (
    <div class="error-group state-error" role="listitem" id={id} aria-current={isChosen}>
      <h2>
        <b class="count">× {number(one.count)}</b>
        <a class="trace-link state-word" href={traceAddress(one.trace_id, one.span_id)}>
          ✗ {visible(one.type.slice(0, 200))}
        </a>
        <span class="error-text">{visible(one.text.slice(0, 500))}</span>
      </h2>
      <p>
        {visible(one.name.slice(0, 300))}{" "}
        <span class="dim">{visible(one.service.slice(0, 100))}</span>{" "}
        {one.place &&
          (editor ? (
            <a class="link mono" href={editor}>
              {visible(one.place.slice(0, 300))}
            </a>
          ) : (
            <span class="mono dim">{visible(one.place.slice(0, 300))}</span>
          ))}{" "}
        <span class="dim mono" title={fullTime(one.last_ns)}>
          last {timeBeside(one.last_ns, now)}
        </span>
        {one.first_ns !== one.last_ns && (
          <span class="dim mono" title={fullTime(one.first_ns)}>
            {" "}
            first {timeBeside(one.first_ns, now)}
          </span>
        )}
      </p>
    </div>
  );
}

function Nothing({ isLoading, isFiltered }: { isLoading: boolean; isFiltered: boolean }) {
  if (isFiltered) return <NothingMatches title="No error matches" />;
  if (isLoading) return <div class="empty dim">Looking …</div>;
  return (
    <div class="empty">
      <h2>No errors</h2>
      <p>No span of this time failed.</p>
    </div>
  );
}

function keyOf({ type, text, service, name, place }: ErrorGroupNow): string {
  return JSON.stringify([type, text, service, name, place]);
}
