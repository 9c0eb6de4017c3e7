/** Two traces beside each other: what took longer, what is new, what is gone. */

import { useEffect, useMemo } from "preact/hooks";
import type { Comparison } from "../../live/contract";
import { isTraceId } from "../../live/shape";
import { duration, number, visible } from "../../model/format";
import { useApp } from "../context";
import { addressOfRoute } from "../route";
import { Failed } from "../shell/Failed";
import { Unfolded } from "../traces/unfolded";
import { SideTrace } from "./SideTrace";

const CHANGE_MARKS: { [change: string]: string } = {
  slower: "▲",
  faster: "▼",
  equal: "=",
  new: "+",
  gone: "−",
  unfinished: "▶",
};
const MOST = 200;

export function CompareView() {
  const app = useApp();
  const { a = "", b = "" } = app.navigation.route.value.query;
  const [one, other] = [useTrace(a), useTrace(b)];
  if (!one || !other) return <Choose />;
  const error = app.comparison.problem.value;
  const found = app.comparison.value.value;
  const lengths = [lengthOf(one.trace.value), lengthOf(other.trace.value)] as const;
  const longest = Math.max(...lengths, 1);
  const isWhole = one.trace.value !== null && other.trace.value !== null;
  return (
    <div class="rows compare" tabIndex={0} role="region" aria-label="Comparison">
      <div class="tools">
        <strong>
          {found && isWhole ? sentence(found, lengths[1] - lengths[0]) : "Comparing …"}
        </strong>
        <a class="link" href={addressOfRoute({ page: "compare", id: "", query: { a: b, b: a } })}>
          the other way round
        </a>
      </div>
      {error && <Failed error={error} onRetry={app.loadPage} />}
      {found && <Differences found={found} />}
      <div class="sides">
        <SideTrace title="Before" one={one} longest={longest} found={found} />
        <SideTrace title="After" one={other} longest={longest} found={found} />
      </div>
    </div>
  );
}

function useTrace(id: string): Unfolded | null {
  const app = useApp();
  const one = useMemo(() => (isTraceId(id) ? new Unfolded(app.client, id) : null), [id]);
  useEffect(() => {
    void one?.load();
    return () => one?.close();
  }, [one]);
  return one;
}

function lengthOf(trace: Unfolded["trace"]["value"]): number {
  return trace ? trace.to - trace.from : 0;
}

/** Says how much longer the second took; spans beside each other can do more in less time. */
function sentence({ self_ns }: Comparison, took: number): string {
  const by = (ns: number, more: string, less: string) =>
    `${duration(Math.abs(ns))} ${ns > 0 ? more : less}`;
  const length =
    took === 0 ? "Both took the same" : `The second took ${by(took, "longer", "less")}`;
  return self_ns === 0 ? length : `${length}; its spans worked ${by(self_ns, "more", "less")}`;
}

function Differences({ found }: { found: Comparison }) {
  const { differences } = found;
  const most = differences.reduce((all, one) => Math.max(all, Math.abs(one.self_ns)), 1);
  return (
    <table class="differences">
      <thead>
        <tr>
          <th scope="col">Operation</th>
          <th scope="col">Change</th>
          <th scope="col">Own time</th>
          <th scope="col">Share</th>
          <th scope="col">Calls</th>
        </tr>
      </thead>
      <tbody>
        {differences.slice(0, MOST).map((one) => (
          <tr key={JSON.stringify([one.service, one.name])} class={`change-${one.change}`}>
            <td>
              {visible(one.name.slice(0, 200))}{" "}
              <small class="dim">{visible((one.service ?? "").slice(0, 100))}</small>
            </td>
            <td>
              <b>{CHANGE_MARKS[one.change] ?? ""}</b> {visible(one.change.slice(0, 20))}
            </td>
            <td class="mono">
              <i class="length" style={{ width: `${(Math.abs(one.self_ns) / most) * 100}%` }} />
              {one.self_ns > 0 ? "+" : one.self_ns < 0 ? "−" : ""}
              {duration(Math.abs(one.self_ns))}
            </td>
            <td class="mono dim">{one.share > 0 ? `${(one.share * 100).toFixed(0)} %` : ""}</td>
            <td class="mono dim">
              {number(one.before?.calls ?? 0)} → {number(one.after?.calls ?? 0)}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Says how two traces are chosen. */
function Choose() {
  const app = useApp();
  const marked = app.traces.marked.value;
  return (
    <div class="empty">
      <h2>Compare two traces</h2>
      <p>
        Mark two of them in the list: by the box before each, or with <kbd>m</kbd>.
        {marked.length === 1 && " One is marked."}
      </p>
      <p>
        {marked.length === 2 ? (
          <a
            class="link"
            href={addressOfRoute({
              page: "compare",
              id: "",
              query: { a: marked[0] ?? "", b: marked[1] ?? "" },
            })}
          >
            Compare the two that are marked
          </a>
        ) : (
          <a class="link" href={app.navigation.addressTo("traces")}>
            To the list of traces
          </a>
        )}
      </p>
    </div>
  );
}
