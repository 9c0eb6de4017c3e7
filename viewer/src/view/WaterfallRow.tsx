/** One row of the waterfall: name and bar. */

import { useMemo } from "preact/hooks";
import { select, toggle, zoomToSpan } from "../model/commands";
import { duration, number, visible } from "../model/format";
import { levelOf } from "../model/levels";
import { hiddenChain, p95, type Row } from "../model/rows";
import { fraction, joined } from "../model/timescale";
import { at1, type Log, MISSING, type Trace } from "../model/trace";
import type { View } from "../model/view";
import { ROW_HEIGHT } from "./hooks";
import { hueOf, MARKS } from "./look";

const INDENT = 14;
const MOST_LEVELS = 12;
const TAIL = 8;
/** How wide the names are at least when the end of a long one stays in sight. */
const LEAST_FOR_TAIL = 260;
const MOST_REASON = 60;
const MOST_NAME = 300;
const MOST_EVENTS = 200;
const MOST_LOGS = 200;
/** How far bars are drawn beyond the window, so that the end of one is not taken for the edge. */
const BEYOND = 60;

/** How much room words in a bar have at least. */
const LEAST_INSIDE = 60;
/** States whose bars are not filled. */
const HOLLOW: ReadonlySet<string> = new Set(["cancelled", "missing"]);

interface Props {
  view: View;
  trace: Trace;
  row: Row;
  index: number;
  selected: boolean;
  nameWidth: number;
  timeWidth: number;
  /** The logs and the parts of the critical paths, by their spans. */
  logs: ReadonlyMap<number, Log[]>;
  pieces: ReadonlyMap<number, [number, number][]> | null;
}

export function WaterfallRow(props: Props) {
  const { view, trace, row, index, selected, nameWidth } = props;
  const { span } = row;
  const found = view.found.value;
  const spans = row.group ?? hiddenChain(row) ?? [span];
  const isDim = found !== null && !spans.some((one) => found[one]);
  const state = trace.stateOf(span);
  return (
    <div
      id={`row-${index}`}
      role="row"
      aria-level={row.depth + 1}
      aria-rowindex={index + 1}
      aria-selected={selected}
      aria-expanded={row.open ?? undefined}
      class={`row state-${state}${isDim ? " faded" : ""}${index % 2 ? " odd" : ""}`}
      style={{ top: `${index * ROW_HEIGHT}px` }}
      onClick={() => select(view, span)}
      onDblClick={() => zoomToSpan(view, span)}
    >
      <div role="gridcell" class="name-cell" style={{ width: `${nameWidth}px` }}>
        <Name {...props} />
      </div>
      <div role="gridcell" class="time-cell">
        <Bar {...props} />
      </div>
    </div>
  );
}

function Name({ view, trace, row, nameWidth }: Props) {
  const { span, depth, group, open } = row;
  const chain = hiddenChain(row);
  const service = trace.service(span);
  const parent = at1(trace.parent, span);
  const isOtherService = parent < 0 || trace.service(parent) !== service;
  const state = trace.stateOf(span);
  const isOrphan = parent >= 0 && trace.state[parent] === MISSING;
  return (
    <>
      <i class="stripe" style={{ background: service ? hueOf(service) : "transparent" }} />
      <i class="indent" style={{ width: `${Math.min(depth, MOST_LEVELS) * INDENT}px` }} />
      {depth > MOST_LEVELS && <small class="deeper">+{depth - MOST_LEVELS}</small>}
      {open === null ? (
        <i class="twisty" />
      ) : (
        <button
          type="button"
          class="twisty"
          tabIndex={-1}
          aria-label={open ? "Fold" : "Unfold"}
          onClick={(event) => {
            event.stopPropagation();
            toggle(view, row);
          }}
        >
          {open ? "▾" : "▸"}
        </button>
      )}
      <i class="mark">{MARKS[state]}</i>
      <Label text={trace.name(span)} hasRoom={nameWidth >= LEAST_FOR_TAIL && !chain} />
      {group && <b class="count">× {number(group.length)}</b>}
      {chain && (
        <>
          <b class="count">› {number(chain.length - 2)} more ›</b>
          <Label text={trace.name(chain.at(-1) ?? span)} hasRoom={false} />
        </>
      )}
      {!group && !chain && open === false && <b class="count">+{number(at1(trace.below, span))}</b>}
      {isOrphan && <small class="dim">parent unknown</small>}
      {isOtherService && service && <small class="service">{visible(service)}</small>}
    </>
  );
}

/** A name; the end of a long one stays in sight where there is room. */
function Label({ text, hasRoom }: { text: string; hasRoom: boolean }) {
  const name = visible(text.slice(0, MOST_NAME));
  const hasTail = hasRoom && name.length > 2 * TAIL;
  return (
    <span class="name" title={name}>
      <span class="head">{hasTail ? name.slice(0, -TAIL) : name}</span>
      {hasTail && <span class="tail">{name.slice(-TAIL)}</span>}
    </span>
  );
}

/** Says what the bar shows, in full, and then in fewer and fewer words. */
function wordsOf(view: View, trace: Trace, row: Row): string[] {
  const { span, group } = row;
  if (group) {
    const times = `× ${number(group.length)}`;
    return [`${times}, p95 ${duration(p95(trace, group))}`, times];
  }
  const state = trace.stateOf(span);
  if (state === "missing") return ["no record of this span", "?"];
  const time = duration(view.untilOf(trace, span) - at1(trace.start, span));
  const short = MARKS[state] ? `${time} ${MARKS[state]}` : time;
  if (state === "ended" || state === "running") return [short];
  if (state === "open") return [`${time}, open`, short];
  const because = (text: string) => visible(text.slice(0, MOST_REASON));
  if (state === "error") return [`${short} ${because(trace.error(span))}`, short];
  if (state === "lost") return [`${time}, process lost`, short];
  return [`${time}, ${state}${because(reasonOf(trace, span))}`, `${time}, ${state}`, short];
}

/** Says why a span is abandoned, or where it hangs; else where it was opened. */
function reasonOf(trace: Trace, span: number): string {
  const state = trace.stateOf(span);
  if (state === "abandoned" || state === "cancelled") {
    const cause = trace.cause(span);
    return cause && `: ${cause}`;
  }
  const short = (place: string) => place.split(" ")[0]?.split("/").at(-1) ?? "";
  const [now, opened] = [short(trace.where(span)), short(trace.place(span))];
  return now ? ` at ${now}` : opened && `, opened at ${opened}`;
}

function Bar({ view, trace, row, timeWidth, ...by }: Props) {
  const window = view.window.value;
  const { span, group } = row;
  const chain = hiddenChain(row);
  // Only once for each row: a chain may have as many spans as its trace.
  const logs = useMemo(() => ofSpans(row, by.logs).slice(0, MOST_LOGS), [row, by.logs]);
  const pieces = useMemo(() => joined(ofSpans(row, by.pieces)), [row, by.pieces]);
  const x = (time: number) =>
    Math.min(Math.max(fraction(window, time) * timeWidth, -BEYOND), timeWidth + BEYOND);
  const several = group ?? chain;
  const last = several
    ? several.reduce((most, one) => Math.max(most, at1(trace.until, one)), 0)
    : view.untilOf(trace, span);
  const [left, right] = [x(at1(trace.start, span)), x(last)];
  const width = Math.max(right - left, 2);
  const below = row.open === false && !several ? x(at1(trace.untilBelow, span)) : right;
  const words = wordsOf(view, trace, row);
  const events = view.details.value.spans.value?.[span]?.events; // once they are loaded
  return (
    <>
      {below > right + 1 && (
        <i class="below" style={{ left: `${right}px`, width: `${below - right}px` }} />
      )}
      <i class={several ? "bar group" : "bar"} style={{ left: `${left}px`, width: `${width}px` }} />
      {several && <Members trace={trace} group={group ?? several.slice(-1)} x={x} />}
      {pieces.map(([from, to]) => (
        <i
          key={from}
          class="critical"
          style={{ left: `${x(from)}px`, width: `${Math.max(x(to) - x(from), 1)}px` }}
        />
      ))}
      {events?.slice(0, MOST_EVENTS).map((event, at) => (
        <i
          key={at}
          class="event"
          title={visible(String(event.name).slice(0, MOST_NAME))}
          style={{ left: `${x(Number(event.time))}px` }}
        />
      ))}
      {logs.map((log, at) => (
        <i
          key={at}
          class={`log level-${levelOf(log.level)}`}
          style={{ left: `${x(log.time)}px` }}
        />
      ))}
      <BarText
        words={words}
        left={left}
        bar={left + width}
        right={Math.max(below, left + width)}
        width={timeWidth}
        isHollow={several !== null || HOLLOW.has(trace.stateOf(span))}
      />
    </>
  );
}

/** Returns what a row shows of its span; one that stands for a chain, of all spans of that. */
function ofSpans<T>(row: Row, by: ReadonlyMap<number, T[]> | null): T[] {
  return (hiddenChain(row) ?? [row.span]).flatMap((span) => by?.get(span) ?? []);
}

/** The spans of a group, as far as they can be told apart, or the last one of a chain. */
function Members({
  trace,
  group,
  x,
}: {
  trace: Trace;
  group: number[];
  x: (time: number) => number;
}) {
  if (group.length > 60) return null;
  return (
    <>
      {group.map((one) => (
        <i
          key={one}
          class="bar member"
          style={{
            left: `${x(at1(trace.start, one))}px`,
            width: `${Math.max(x(at1(trace.until, one)) - x(at1(trace.start, one)), 1)}px`,
          }}
        />
      ))}
    </>
  );
}

/** Puts the words behind the bar, before it where there is no room, else fewer of them, else inside. */
function BarText(props: {
  words: string[];
  left: number;
  /** Where the bar ends, and where what is drawn below it does. */
  bar: number;
  right: number;
  width: number;
  isHollow: boolean;
}) {
  const { words, left, bar, right, width, isHollow } = props;
  if (right < 0 || left > width) {
    const isBefore = right < 0;
    return (
      <span class="bar-text" style={isBefore ? { left: "4px" } : { right: "4px" }}>
        {isBefore ? `‹ ${words.at(-1)}` : `${words.at(-1)} ›`}
      </span>
    );
  }
  for (const text of words) {
    const needed = text.length * 6.8 + 10;
    const behind = right + needed <= width;
    if (!behind && left < needed) continue;
    const style = behind ? { left: `${right + 5}px` } : { right: `${width - left + 5}px` };
    return (
      <span class="bar-text" style={style}>
        {text}
      </span>
    );
  }
  const room = Math.min(bar, width) - Math.max(left, 0) - 12;
  const isFilled = !isHollow && room >= LEAST_INSIDE;
  return (
    <span
      class={isFilled ? "bar-text inside" : "bar-text inside hollow"}
      style={{
        left: `${Math.max(left, 0) + 6}px`,
        maxWidth: `${Math.max(room, LEAST_INSIDE)}px`,
      }}
    >
      {words[0]}
    </span>
  );
}
