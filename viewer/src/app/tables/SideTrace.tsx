/** One of two traces: its spans with their bars, on the scale of the longer trace. */

import type { Comparison } from "../../live/contract";
import { duration, visible } from "../../model/format";
import { at1 } from "../../model/trace";
import { MARKS } from "../../view/look";
import { traceAddress } from "../route";
import type { Unfolded } from "../traces/unfolded";

interface Props {
  title: string;
  one: Unfolded;
  /** How long the longer of the two traces took. */
  longest: number;
  found: Comparison | null;
}

export function SideTrace({ title, one, longest, found }: Props) {
  const trace = one.trace.value;
  if (one.problem.value)
    return <section class="side">It cannot be shown: {one.problem.value}</section>;
  if (!trace) return <section class="side dim">Loading …</section>;
  const { rows, left } = one.rows();
  const changes = new Map(
    found?.differences.map((each) => [
      JSON.stringify([each.service ?? "", each.name]),
      each.change,
    ]),
  );
  return (
    <section class="side" aria-label={title}>
      <h2>
        {title}:{" "}
        <a class="link" href={traceAddress(one.id)}>
          {visible(trace.name(trace.roots[0] ?? 0).slice(0, 200))}
        </a>{" "}
        <span class="mono">{duration(trace.to - trace.from)}</span>{" "}
        <small class="mono dim">{one.id.slice(0, 8)}</small>
      </h2>
      {rows.map(({ span, depth, group }) => {
        const state = trace.stateOf(span);
        const start = at1(trace.start, span);
        const until = group
          ? group.reduce((most, each) => Math.max(most, at1(trace.until, each)), 0)
          : at1(trace.until, span);
        const change = changes.get(JSON.stringify([trace.service(span), trace.name(span)])) ?? "";
        return (
          <div key={trace.ids[span]} class={`side-row state-${state} change-${change}`}>
            <span class="side-name" title={visible(trace.name(span).slice(0, 300))}>
              <i class="indent" style={{ width: `${Math.min(depth, 10) * 12}px` }} />
              <b class="state-word">{MARKS[state]}</b> {visible(trace.name(span).slice(0, 200))}
              {group && <b class="count">× {group.length}</b>}
            </span>
            <span class="time-cell">
              <i
                class={group ? "bar group" : "bar"}
                style={{
                  left: `${((start - trace.from) / longest) * 100}%`,
                  width: `max(2px, ${((until - start) / longest) * 100}%)`,
                }}
              />
            </span>
            <span class="mono side-time">{duration(until - start)}</span>
          </div>
        );
      })}
      {left > 0 && (
        <p class="dim">
          <a class="link" href={traceAddress(one.id)}>
            {left} more rows
          </a>
        </p>
      )}
    </section>
  );
}
