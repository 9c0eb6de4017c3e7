/** Traces: the list with its histogram; a trace unfolds in its place. */

import { useEffect, useRef } from "preact/hooks";
import { ORDERS } from "../../live/contract";
import { countOf } from "../../model/format";
import { Grid } from "../../view/Grid";
import { HEAD_HEIGHT, useAnchor, useElement, useRows } from "../../view/hooks";
import { useApp, usePageKeys } from "../context";
import { moveKeys, useHover } from "../list";
import { traceAddress } from "../route";
import { Failed, FailedLine } from "../shell/Failed";
import { Empty } from "./Empty";
import { HistogramBox } from "./HistogramBox";
import { NoteRow } from "./NoteRow";
import { type ListRow, listRows } from "./rows";
import { SpanRow } from "./SpanRow";
import { Tools } from "./Tools";
import { TraceRow } from "./TraceRow";

/** How near the end the list is when the next page is asked for. */
const NEAR_ROWS = 30;

export function TracesView() {
  const app = useApp();
  const { traces, navigation } = app;
  const { q, order } = traces.choice.value;
  const rows = listRows(traces.ids.value, traces.summaries.value, traces.unfolded.value);
  const at = rows.findIndex((row) => row.key === traces.chosen.value);
  const list = useRows(rows.length, at, HEAD_HEIGHT, traces.chosen.value);
  useAnchor(list, rows.length, at, (row) => rows[row]?.key);
  const isOver = useRef(false);
  const hold = () => {
    traces.isHeld = isOver.current || (list.ref.current?.scrollTop ?? 0) > 0;
  };
  useHover(list.ref, (over) => {
    isOver.current = over;
    hold();
  });
  useElement(list.ref, (element) => {
    element.scrollTop = traces.scrolledTo;
    return () => {
      traces.isHeld = false;
    };
  });
  useUnfoldedInAddress();
  const next = traces.next.value;
  useEffect(() => {
    if (list.last > rows.length - NEAR_ROWS) void traces.more();
  }, [list.last, rows.length, next]);
  const showNew = () => {
    if (list.ref.current) list.ref.current.scrollTop = 0;
    traces.chosen.value = "";
    void traces.showWaiting();
    return undefined;
  };
  const open = (row: ListRow | undefined) => {
    if (!row) return undefined;
    const span = row.kind === "span" ? (row.trace.ids[row.row.span] ?? "") : "";
    navigation.go("trace", { span, ...(q ? { search: q } : {}) }, row.summary.trace_id);
    return undefined;
  };
  const fold = (isOpen: boolean) => () => {
    const row = rows[at];
    if (!row) return undefined;
    const id = row.summary.trace_id;
    if (traces.unfolded.peek().has(id) !== isOpen) {
      traces.toggle(id);
      traces.chosen.value = id;
    }
    return undefined;
  };
  usePageKeys({
    ...moveKeys(rows.length, at, (row) => {
      traces.chosen.value = rows[row]?.key ?? "";
    }),
    l: fold(true),
    ArrowRight: fold(true),
    h: fold(false),
    ArrowLeft: fold(false),
    Enter: () => open(rows[at]),
    m: () => {
      const id = rows[at]?.summary.trace_id;
      if (id) traces.mark(id);
      return undefined;
    },
    u: showNew,
  });
  const error = traces.problem.value;
  if (error && rows.length === 0)
    return <Failed error={error} onRetry={() => void traces.show(traces.choice.peek())} />;
  const hasMatches = q !== "";
  const titles = [
    "Mark",
    "Trace",
    "State",
    "Duration",
    "Spans",
    ...(hasMatches ? ["Matches"] : []),
  ];
  titles.push("Start", "Id");
  const waiting = traces.waiting.value.size;
  return (
    <>
      <Tools />
      {error && error.status !== 400 && <FailedLine error={error} />}
      <HistogramBox
        onChoose={(from, to) => navigation.set({ since: String(from), until: String(to) }, true)}
      />
      <div class={hasMatches ? "table trace-list with-matches" : "table trace-list"}>
        {waiting > 0 && (
          <button type="button" class="new floating" title="(u)" onClick={showNew}>
            ↑ {countOf(waiting, "new trace")}
          </button>
        )}
        {rows.length === 0 ? (
          <Empty />
        ) : (
          <Grid
            list={{
              ...list,
              onScroll: () => {
                list.onScroll();
                traces.scrolledTo = list.ref.current?.scrollTop ?? 0;
                hold();
              },
            }}
            label="Traces"
            isTree
            count={rows.length}
            active={at >= 0 ? `trace-${at}` : undefined}
            head={
              <div class="table-head" role="row">
                {titles.map((title) => (
                  <span key={title} role="columnheader" aria-sort={sortOf(title, order)}>
                    {title === "Duration" || title === "Start" ? (
                      <button type="button" onClick={() => sortBy(title)}>
                        {title} {arrowOf(title, order)}
                      </button>
                    ) : (
                      <span class={title === "Mark" ? "only-read" : undefined}>{title}</span>
                    )}
                  </span>
                ))}
              </div>
            }
          >
            {rows.slice(list.first, list.last).map((row, index) => {
              const place = list.first + index;
              const rest = { index: place, isChosen: place === at, onOpen: () => open(row) };
              if (row.kind === "trace") return <TraceRow key={row.key} row={row} {...rest} />;
              if (row.kind === "span") return <SpanRow key={row.key} row={row} {...rest} />;
              return (
                <NoteRow
                  key={row.key}
                  text={row.text}
                  href={traceAddress(row.summary.trace_id)}
                  index={place}
                />
              );
            })}
          </Grid>
        )}
      </div>
    </>
  );

  function sortBy(title: "Duration" | "Start"): void {
    const [first, second] =
      title === "Duration" ? (["longest", "shortest"] as const) : (["newest", "oldest"] as const);
    navigation.set({ order: order === first ? second : first === ORDERS[0] ? "" : first });
  }
}

/** Keeps in the address which traces are unfolded, so that a link or a reload shows the same. */
function useUnfoldedInAddress(): void {
  const { traces, navigation } = useApp();
  const hasLoaded = traces.hasLoaded.value;
  const isRead = useRef(false);
  useEffect(() => {
    if (!hasLoaded) return;
    if (!isRead.current)
      traces.unfoldAll((navigation.route.peek().query.open ?? "").split(",").filter(Boolean));
    isRead.current = true;
  }, [hasLoaded]);
  const open = [...traces.unfolded.value.keys()].join(",");
  useEffect(() => {
    if (isRead.current && navigation.page.peek() === "traces") navigation.set({ open });
  }, [open, hasLoaded]);
}

function sortOf(title: string, order: string): "ascending" | "descending" | undefined {
  if (title === "Duration" && order === "longest") return "descending";
  if (title === "Duration" && order === "shortest") return "ascending";
  if (title === "Start" && order === "newest") return "descending";
  if (title === "Start" && order === "oldest") return "ascending";
  return undefined;
}

function arrowOf(title: string, order: string): string {
  const sort = sortOf(title, order);
  return sort === undefined ? "" : sort === "descending" ? "▾" : "▴";
}
