/** Now: the running spans of all processes, those that hang and the oldest first. */

import { useEffect } from "preact/hooks";
import { countOf, number } from "../../model/format";
import type { Node } from "../../search/nodes";
import { parse } from "../../search/parse";
import { Grid } from "../../view/Grid";
import { HEAD_HEIGHT, useAnchor, useRows } from "../../view/hooks";
import { useApp, usePageKeys } from "../context";
import { moveKeys, useHover } from "../list";
import { traceAddress } from "../route";
import { NothingYet } from "../shell/NothingYet";
import { clockTime } from "../times";
import type { NowRow } from "./model";
import { NowRowLine } from "./NowRowLine";
import { Processes } from "./Processes";
import { RegisteredAgents } from "./RegisteredAgents";

const SWEEP_MS = 1_000;

export function NowView() {
  const app = useApp();
  const { now } = app;
  const { query } = app.navigation.route.value;
  const onlyRoots = query.roots === "1";
  const node = nodeOf(query.q ?? "");
  const time = app.clock.tick.value;
  const rows = now.shown(now.rows.value, node, onlyRoots, query.process ?? "", time);
  const at = rows.findIndex((row) => row.key === now.chosen.value);
  const list = useRows(rows.length, at, HEAD_HEIGHT, now.chosen.value);
  useAnchor(list, rows.length, at, (row) => rows[row]?.key);
  useHover(list.ref, (isOver) => now.hold(isOver));
  useEffect(() => {
    const timer = setInterval(() => now.arrange(), SWEEP_MS);
    return () => clearInterval(timer);
  }, [now]);
  const open = (row: NowRow | undefined) => {
    if (row) app.navigation.go("trace", { span: row.span.span_id }, row.span.trace_id);
    return undefined;
  };
  usePageKeys({
    ...moveKeys(rows.length, at, (row) => {
      now.chosen.value = rows[row]?.key ?? "";
    }),
    Enter: () => open(rows[at]),
    o: () => setRoots(!onlyRoots),
    u: () => {
      now.arrange(true);
      return undefined;
    },
  });
  const setRoots = (isOnly: boolean) => {
    app.navigation.set({ roots: isOnly ? "1" : "" });
    return undefined;
  };
  const { running } = now;
  const oldest = rows.reduce((most, row) => Math.max(most, Number(time - row.span.start_ns)), 1);
  return (
    <>
      <div class="tools">
        <Counts rows={rows} total={running.value?.total ?? 0} />
        <label title="Only the first span of each trace (o)">
          <input
            type="checkbox"
            checked={onlyRoots}
            onChange={(event) => setRoots(event.currentTarget.checked)}
          />
          only roots
        </label>
        <Processes chosen={query.process ?? ""} />
        {now.moved.value > 0 && (
          <button type="button" class="new" title="(u)" onClick={() => now.arrange(true)}>
            put {countOf(now.moved.value, "row")} in order
          </button>
        )}
      </div>
      <RegisteredAgents chosen={query.process ?? ""} />
      <div class="table now">
        {rows.length === 0 ? (
          <Empty isFiltered={Boolean(query.q || onlyRoots || query.process)} />
        ) : (
          <Grid
            list={list}
            label="Running spans"
            count={rows.length}
            active={at >= 0 ? `now-${at}` : undefined}
            head={
              <div class="table-head" role="row">
                {["Span", "For", "Where it is", "Process", "Trace"].map((title) => (
                  <span key={title} role="columnheader">
                    {title}
                  </span>
                ))}
              </div>
            }
          >
            {rows.slice(list.first, list.last).map((row, index) => (
              <NowRowLine
                key={row.key}
                row={row}
                index={list.first + index}
                isChosen={list.first + index === at}
                time={time}
                oldest={oldest}
                process={now.processes.value.get(row.span.process)}
                address={traceAddress(row.span.trace_id, row.span.span_id)}
                onOpen={() => open(row)}
              />
            ))}
          </Grid>
        )}
      </div>
    </>
  );
}

function nodeOf(search: string): Node | null {
  try {
    return search.trim() ? parse(search) : null;
  } catch {
    return null; // the field says what is wrong
  }
}

function Counts({ rows, total }: { rows: NowRow[]; total: number }) {
  const gone = rows.filter((row) => row.isGone).length;
  const shown = rows.length - gone;
  return (
    <strong>
      {shown < total
        ? `${number(shown)} of ${countOf(total, "running span")}`
        : countOf(total, "running span")}
    </strong>
  );
}

function Empty({ isFiltered }: { isFiltered: boolean }) {
  const app = useApp();
  const running = app.now.running.value;
  if (!running) return <div class="empty dim">Waiting for the server …</div>;
  if (isFiltered && running.spans.length > 0) {
    return (
      <div class="empty">
        <h2>Nothing that runs matches</h2>
        <p>{countOf(running.total, "span")} running in all.</p>
        <button type="button" onClick={() => app.navigation.replace({})}>
          Show all
        </button>
      </div>
    );
  }
  if (app.info.value && app.info.value.spans === 0 && running.processes.length === 0)
    return <NothingYet title="Waiting for the first span" />;
  const alive = running.processes.filter((one) => one.condition === "alive").length;
  const last = running.processes.reduce(
    (most, one) => (one.last_seen_ns !== null && one.last_seen_ns > most ? one.last_seen_ns : most),
    0n,
  );
  return (
    <div class="empty">
      <h2>All quiet</h2>
      <p>
        No span is running. {countOf(alive, "process", "processes")} alive
        {last > 0n && `, last sign of life at ${clockTime(last)}`}.
      </p>
      <p>
        <a class="link" href={app.navigation.addressTo("traces")}>
          What happened last
        </a>
      </p>
    </div>
  );
}
