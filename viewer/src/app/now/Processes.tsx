/** The processes, one chip each: alive or not, how many spans run, how many hang. */

import { useState } from "preact/hooks";
import type { Condition, ProcessNow } from "../../live/contract";
import { number, visible } from "../../model/format";
import { useApp } from "../context";
import { clockTime } from "../times";

const CONDITION_MARKS: { [condition in Condition]: string } = {
  alive: "●",
  hung: "◷",
  stopped: "‖",
  blocked: "◫",
  dead: "☠",
  silent: "?",
  ended: "○",
};

/** How many are shown before the reader asks for all. */
const MOST = 6;

export function Processes({ chosen }: { chosen: string }) {
  const app = useApp();
  const [isWhole, setWhole] = useState(false);
  const processes = [...app.now.processes.value.values()].sort(
    (one, other) =>
      rank(one) - rank(other) || Number(one.label > other.label) - Number(one.label < other.label),
  );
  const shown = isWhole ? processes : processes.slice(0, MOST);
  const other = processes.find((one) => one.id === chosen && !shown.includes(one));
  return (
    <span class="chips processes" role="group" aria-label="Processes">
      {[...shown, ...(other ? [other] : [])].map((one) => (
        <button
          key={one.id}
          type="button"
          class={`chip condition-${one.condition}`}
          aria-pressed={one.id === chosen}
          title={titleOf(one)}
          onClick={() => app.navigation.set({ process: one.id === chosen ? "" : one.id })}
        >
          {CONDITION_MARKS[one.condition]} {visible(one.label.slice(0, 60))}
          {one.condition !== "alive" && ` ${one.condition}`}
          <small>
            {" "}
            {one.open > 0 && number(one.open)}
            {one.stalled > 0 && (
              <span class="state-stalled">
                <b class="state-word"> ◷{number(one.stalled)}</b>
              </span>
            )}
          </small>
        </button>
      ))}
      {processes.length > shown.length && (
        <button type="button" class="chip" onClick={() => setWhole(true)}>
          {number(processes.length - shown.length)} more
        </button>
      )}
    </span>
  );
}

function rank(one: ProcessNow): number {
  if (one.condition === "ended" || (one.condition === "dead" && one.open === 0)) return 3;
  if (one.condition === "alive") return one.stalled > 0 ? 0 : 2;
  return 1;
}

function titleOf(one: ProcessNow): string {
  const lines = [
    one.command || one.label,
    `${one.condition}${one.last_seen_ns === null ? "" : `, last seen ${clockTime(one.last_seen_ns)}`}`,
    `${one.open} running, ${one.stalled} stalled`,
    one.dropped > 0 ? `${one.dropped} records dropped` : "",
    one.host && `on ${one.host}`,
  ];
  return lines.filter(Boolean).map(visible).join("\n");
}
