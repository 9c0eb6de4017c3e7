/** Operations: how often each ran, how long it took, how often it failed. */

import { useSignal } from "@preact/signals";
import type { OperationNow } from "../../live/contract";
import { countOf, duration, number, visible } from "../../model/format";
import { Grid } from "../../view/Grid";
import { HEAD_HEIGHT, ROW_HEIGHT, useRows } from "../../view/hooks";
import { hueOf } from "../../view/look";
import { useApp, usePageKeys } from "../context";
import { moveKeys } from "../list";
import { addressOfRoute, traceAddress } from "../route";
import { Failed, FailedLine } from "../shell/Failed";
import { NothingYet } from "../shell/NothingYet";
import { Bars } from "./Bars";
import { NothingMatches } from "./NothingMatches";
import { Period } from "./Period";
import { clicked, OPERATION_COLUMNS, sortedOperations, sortOf } from "./sort";
import { useRefresh } from "./useRefresh";

export function OperationsView() {
  const app = useApp();
  const { navigation, operations } = app;
  const { query } = navigation.route.value;
  const chosen = useSignal("");
  const sort = sortOf(query.sort);
  const all = operations.value.value?.operations ?? [];
  const rows = sortedOperations(all, sort, query.q ?? "");
  const at = rows.findIndex((one) => keyOf(one) === chosen.value);
  const list = useRows(rows.length, at, HEAD_HEIGHT, chosen.value);
  useRefresh();
  const open = (one: OperationNow | undefined) => {
    if (one) navigation.go("traces", { q: searchOf(one), since: query.since ?? "" });
    return undefined;
  };
  usePageKeys({
    ...moveKeys(rows.length, at, (row) => {
      const one = rows[row];
      chosen.value = one ? keyOf(one) : "";
    }),
    Enter: () => open(rows[at]),
  });
  const error = operations.problem.value;
  if (error && !operations.value.value) return <Failed error={error} onRetry={app.loadPage} />;
  return (
    <>
      {error && <FailedLine error={error} />}
      <div class="tools">
        <strong>{countOf(rows.length, "operation")}</strong>
        <Period />
      </div>
      <div class="table operations">
        {rows.length === 0 ? (
          <Nothing isLoading={operations.isLoading.value} isFiltered={all.length > 0} />
        ) : (
          <Grid
            list={list}
            label="Operations"
            count={rows.length}
            active={at >= 0 ? `operation-${at}` : undefined}
            head={
              <div class="table-head" role="row">
                {OPERATION_COLUMNS.map(({ title, key }) => (
                  <div
                    key={key}
                    role="columnheader"
                    class={key === "name" ? undefined : "figure"}
                    aria-sort={sort.key !== key ? "none" : sort.down ? "descending" : "ascending"}
                  >
                    <button
                      type="button"
                      onClick={() => navigation.set({ sort: clicked(sort, key) })}
                    >
                      {title} {sort.key === key ? (sort.down ? "▾" : "▴") : ""}
                    </button>
                  </div>
                ))}
                <span role="columnheader">Durations</span>
                <span role="columnheader">Example</span>
              </div>
            }
          >
            {rows.slice(list.first, list.last).map((one, index) => (
              <Row
                key={keyOf(one)}
                one={one}
                index={list.first + index}
                isChosen={list.first + index === at}
                onOpen={() => {
                  chosen.value = keyOf(one);
                  open(one);
                }}
              />
            ))}
          </Grid>
        )}
      </div>
    </>
  );
}

interface RowProps {
  one: OperationNow;
  index: number;
  isChosen: boolean;
  onOpen: () => void;
}

function Row({ one, index, isChosen, onOpen }: RowProps) {
  const time = (ns: number | null) => (ns === null ? "–" : duration(ns));
  const rate = one.count > 0 ? (one.errors / one.count) * 100 : 0;
  return (
    <div
      id={`operation-${index}`}
      role="row"
      class={`table-row${index % 2 ? " odd" : ""}`}
      aria-selected={isChosen}
      style={{ top: `${index * ROW_HEIGHT}px` }}
      onClick={(event) => {
        if (!(event.target as Element).closest("a")) onOpen();
      }}
    >
      <span role="gridcell" title={visible(`${one.service} ${one.name}`)}>
        {one.service && <i class="dot" style={{ background: hueOf(one.service) }} />}
        <a
          class="trace-link"
          href={addressOfRoute({ page: "traces", id: "", query: { q: searchOf(one) } })}
          tabIndex={-1}
        >
          {visible(one.name.slice(0, 300)) || "(no name)"}
        </a>
        <small class="dim">
          {" "}
          {visible(one.service.slice(0, 100))}
          {one.kind !== "internal" && ` ${one.kind}`}
        </small>
      </span>
      <span role="gridcell" class="mono figure">
        {number(one.count)}
      </span>
      <span role="gridcell" class={one.errors > 0 ? "mono figure state-error" : "mono figure dim"}>
        {one.errors > 0 ? (
          <b class="state-word">
            {number(one.errors)} · {rate < 1 ? "<1" : rate.toFixed(0)} %
          </b>
        ) : (
          "0"
        )}
      </span>
      <span role="gridcell" class="mono figure dim">
        {number(one.open)}
      </span>
      {[one.p50_ns, one.p95_ns, one.p99_ns, one.max_ns].map((ns, at) => (
        <span key={at} role="gridcell" class="mono figure">
          {time(ns)}
        </span>
      ))}
      <span role="gridcell" class="mono figure">
        {duration(one.total_ns)}
      </span>
      <span role="gridcell">
        <Bars buckets={one.buckets} />
      </span>
      <span role="gridcell">
        {one.last && (
          <a class="link" href={traceAddress(one.last)} tabIndex={-1}>
            last
          </a>
        )}
      </span>
    </div>
  );
}

function Nothing({ isLoading, isFiltered }: { isLoading: boolean; isFiltered: boolean }) {
  if (isFiltered) return <NothingMatches title="No operation matches" />;
  if (isLoading) return <div class="empty dim">Counting …</div>;
  return <NothingYet title="No operations yet" />;
}

function keyOf({ service, name, kind }: OperationNow): string {
  return `${service} ${name} ${kind}`;
}

function searchOf({ service, name }: OperationNow): string {
  const term = (key: string, text: string) =>
    `${key}:${/^[\w./-]+$/.test(text) ? text : `"${text.replace(/["\\]/g, "\\$&")}"`}`;
  return [service && term("service", service), term("name", name)].filter(Boolean).join(" ");
}
