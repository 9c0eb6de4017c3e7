/** One running span: what it is, for how long, where it is, and whether its process is alive. */

import type { ProcessNow } from "../../live/contract";
import { duration, visible } from "../../model/format";
import { ROW_HEIGHT } from "../../view/hooks";
import { MARKS } from "../../view/look";
import { useApp } from "../context";
import { clockTime, fullTime } from "../times";
import type { NowRow } from "./model";

interface Props {
  row: NowRow;
  index: number;
  isChosen: boolean;
  time: bigint;
  oldest: number;
  process: ProcessNow | undefined;
  address: string;
  onOpen: () => void;
}

/** Conditions of a process in which its spans do not go on. */
const AT_REST: ReadonlySet<string> = new Set(["dead", "silent", "ended"]);

export function NowRowLine(props: Props) {
  const { row, index, isChosen, time, oldest, process, address, onOpen } = props;
  const app = useApp();
  const { span, isGone } = row;
  const isAtRest = isGone || AT_REST.has(process?.condition ?? "");
  const age = isAtRest ? span.age_ns : Math.max(Number(time - span.start_ns), 0);
  const name = visible(span.name.slice(0, 300)) || "(no name)";
  const place = span.where || span.opened_at;
  const state = isGone ? "ended" : span.state;
  const editor = app.around.editorLink?.(place);
  return (
    <div
      id={`now-${index}`}
      role="row"
      class={`table-row state-${state}${index % 2 ? " odd" : ""}${isGone ? " gone" : ""}`}
      aria-selected={isChosen}
      style={{ top: `${index * ROW_HEIGHT}px` }}
      onClick={(event) => {
        app.now.chosen.value = row.key;
        if (!(event.target as Element).closest("a")) onOpen();
      }}
    >
      <span role="gridcell" title={name}>
        <b class="state-word" title={isGone ? "ended" : span.state}>
          {isGone ? "✓" : MARKS[span.state]}
        </b>{" "}
        <span class={span.root ? "strong" : undefined}>{name}</span>
        {!isGone && span.state !== "running" && <small class="state-word"> {span.state}</small>}
        {isGone && <small class="dim"> ended</small>}
        {span.service && <small class="dim"> {visible(span.service.slice(0, 100))}</small>}
      </span>
      <span role="gridcell" class="mono" title={`since ${fullTime(span.start_ns)}`}>
        <i class="length" style={{ width: `${barOf(age, oldest)}%` }} />
        {duration(age)}
      </span>
      <span role="gridcell" class="mono dim" title={visible(place.slice(0, 1000))}>
        {editor ? (
          <a
            class="link"
            href={editor}
            title={`Open ${visible(place.slice(0, 300))} in the editor`}
          >
            {shortPlace(place)}
          </a>
        ) : (
          shortPlace(place)
        )}
        {!span.where && span.opened_at && <small> (opened)</small>}
      </span>
      <ProcessCell process={process} id={span.process} />
      <span role="gridcell" class="mono">
        <a class="link" href={address} tabIndex={-1}>
          {span.trace_id.slice(0, 8)}
        </a>
      </span>
    </div>
  );
}

/** Returns how long a bar is: ages differ so much that its scale is logarithmic. */
function barOf(age: number, oldest: number): number {
  const size = (ns: number) => Math.log10(1 + ns / 1e6);
  return Math.min(100, (size(age) / Math.max(size(oldest), 0.1)) * 100);
}

function ProcessCell({ process, id }: { process: ProcessNow | undefined; id: string }) {
  const label = visible((process?.label ?? id).slice(0, 200));
  const condition = process?.condition ?? "silent";
  const isWell = condition === "alive";
  const seen = process?.last_seen_ns;
  const words = isWell ? "" : seen ? `${condition}, last seen ${clockTime(seen)}` : condition;
  return (
    <span role="gridcell" title={`${label}${words && `: ${words}`}`}>
      {label}
      {words && <small class={`condition-${condition}`}> {words}</small>}
    </span>
  );
}

/** Leaves out the folders of a path. */
function shortPlace(place: string): string {
  const [path = "", ...rest] = place.split(" ");
  return visible([path.split(/[/\\]/).at(-1), ...rest].join(" ").slice(0, 200));
}
