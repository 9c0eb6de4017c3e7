/** Logs: the live tail, the newest below; it stands still while the reader scrolls up. */

import { useLayoutEffect, useRef } from "preact/hooks";
import { countOf, number, visible } from "../../model/format";
import { LEVELS } from "../../model/levels";
import { Grid } from "../../view/Grid";
import { ROW_HEIGHT, useRows } from "../../view/hooks";
import { useApp, usePageKeys } from "../context";
import { moveKeys } from "../list";
import { Failed, FailedLine } from "../shell/Failed";
import { NothingYet } from "../shell/NothingYet";
import { LogDetails } from "./LogDetails";
import { LogRow } from "./LogRow";
import { logChoiceOf } from "./model";

/** How near the top older logs are asked for. */
const NEAR_PX = 600;

export function LogsView() {
  const app = useApp();
  const { logs: model, navigation } = app;
  const { query } = navigation.route.value;
  const logs = model.logs.value;
  const at = logs.findIndex((log) => log.id === model.chosen.value);
  const list = useRows(logs.length, at, 0, model.chosen.value);
  useTail(list.ref, logs.length, logs[0]?.id);
  const chosen = logs[at];
  const open = () => {
    if (chosen?.trace_id)
      navigation.go("trace", { span: chosen.span_id, view: "" }, chosen.trace_id);
    return undefined;
  };
  const follow = () => {
    model.chosen.value = "";
    model.follow(true);
    const element = list.ref.current;
    if (element) element.scrollTop = element.scrollHeight;
    return undefined;
  };
  usePageKeys({
    ...moveKeys(logs.length, at < 0 ? logs.length : at, (row) => {
      model.chosen.value = logs[row]?.id ?? "";
    }),
    Enter: open,
    u: follow,
  });
  const error = model.problem.value;
  if (error && logs.length === 0)
    return <Failed error={error} onRetry={() => void model.show(logChoiceOf(query))} />;
  const isFiltered = Boolean(query.q || query.level || query.trace);
  return (
    <>
      {error && error.status !== 400 && <FailedLine error={error} />}
      <Tools />
      <div class="main">
        <div class="table tail">
          {logs.length === 0 ? (
            <Nothing isFiltered={isFiltered} />
          ) : (
            <Grid
              list={{
                ...list,
                onScroll: () => {
                  list.onScroll();
                  scrolled(list.ref.current);
                },
              }}
              label="Logs"
              count={logs.length}
              active={at >= 0 ? `log-${at}` : undefined}
            >
              {logs.slice(list.first, list.last).map((log, index) => (
                <LogRow
                  key={log.id}
                  log={log}
                  index={list.first + index}
                  isChosen={list.first + index === at}
                  onChoose={() => {
                    model.chosen.value = log.id === model.chosen.value ? "" : log.id;
                  }}
                />
              ))}
            </Grid>
          )}
          {!model.isFollowing.value && logs.length > 0 && (
            <button type="button" class="new floating below" title="(u)" onClick={follow}>
              ↓ {model.unseen.value > 0 ? countOf(model.unseen.value, "new log") : "follow"}
            </button>
          )}
        </div>
        {chosen && <LogDetails log={chosen} />}
      </div>
    </>
  );

  function scrolled(element: HTMLElement | null): void {
    if (!element) return;
    const left = element.scrollHeight - element.scrollTop - element.clientHeight;
    model.follow(left < ROW_HEIGHT);
    if (element.scrollTop < NEAR_PX) void model.older();
  }
}

/** Keeps the newest in sight while it is followed, and the rest where it is when older ones come. */
function useTail(
  ref: { current: HTMLDivElement | null },
  count: number,
  oldest: string | undefined,
): void {
  const { logs: model } = useApp();
  const before = useRef({ count, oldest });
  useLayoutEffect(() => {
    const element = ref.current;
    const { count: had, oldest: first } = before.current;
    before.current = { count, oldest };
    if (!element) return;
    if (model.isFollowing.peek() && !model.chosen.peek()) element.scrollTop = element.scrollHeight;
    else if (oldest !== first && first !== undefined) {
      const added = model.logs.peek().findIndex((log) => log.id === first);
      if (added > 0 && count > had) element.scrollTop += added * ROW_HEIGHT;
    }
  }, [count, oldest]);
}

function Tools() {
  const app = useApp();
  const { logs: model, navigation } = app;
  const { level = "", trace = "" } = navigation.route.value.query;
  return (
    <div class="tools">
      <strong>
        {number(model.logs.value.length)}
        {model.next.value ? "+" : ""} {model.logs.value.length === 1 ? "log" : "logs"}
      </strong>
      <span class="chips" role="group" aria-label="Least level">
        {LEVELS.map((each) => (
          <button
            key={each}
            type="button"
            class={`chip level-${each}`}
            aria-pressed={(level || "debug") === each}
            title={each === "debug" ? "All logs" : `From ${each} on`}
            onClick={() => navigation.set({ level: each === "debug" ? "" : each }, true)}
          >
            <span class="level">{each === "debug" ? "all" : each}</span>
          </button>
        ))}
      </span>
      {trace && (
        <button
          type="button"
          class="chip"
          aria-pressed="true"
          title="Show the logs of all traces (Esc)"
          onClick={() => navigation.set({ trace: "" }, true)}
        >
          of trace {visible(trace.slice(0, 8))} ✕
        </button>
      )}
      {model.isLoading.value && <span class="dim">loading …</span>}
    </div>
  );
}

function Nothing({ isFiltered }: { isFiltered: boolean }) {
  const { logs: model, navigation } = useApp();
  if (!model.hasLoaded.value) return <div class="empty dim">Looking …</div>;
  if (!isFiltered) return <NothingYet title="No logs yet" />;
  return (
    <div class="empty">
      <h2>No log matches</h2>
      <p>New ones appear here as they come.</p>
      <button type="button" onClick={() => navigation.replace({}, true)}>
        Show all logs
      </button>
    </div>
  );
}
