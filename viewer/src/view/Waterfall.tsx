/** The waterfall: the tree of spans on the left, their time on the right. */

import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { panBy, reveal, rowAt, select, zoomBy } from "../model/commands";
import { visible } from "../model/format";
import type { Row } from "../model/rows";
import { at1, type Log, type Trace } from "../model/trace";
import type { View } from "../model/view";
import { Axis } from "./Axis";
import { drag, useAnchor, useRows, useSize } from "./hooks";
import { WaterfallRow } from "./WaterfallRow";

const LEAST_NAMES = 160;
const USUAL_NAMES = 340;
const MOST_ABOVE = 20;

export function Waterfall({ view }: { view: View }) {
  const trace = view.trace.value as Trace;
  const rows = view.rows.value;
  const at = rowAt(view);
  const list = useRows(rows.length, at, 0, `${trace.id} ${trace.ids[view.selected.value]}`);
  const size = useSize(list.ref);
  const usual = Math.min(USUAL_NAMES, size.width * 0.38);
  const nameWidth = Math.min(view.nameWidth.value || usual, size.width * 0.6);
  const timeWidth = Math.max(size.width - nameWidth, 50);
  const logs = useMemo(() => logsBySpan(trace), [trace]);
  const pieces = useMemo(() => piecesBySpan(trace), [trace]);
  useWheel(view, list.ref, nameWidth);
  const isWhole = view.folding.value.kept === null;
  useLayoutEffect(() => {
    if (isWhole) reveal(view, view.selected.value); // which a filter or a subtree alone showed
  }, [isWhole, view.top.value]);
  useEffect(() => list.ref.current?.focus({ preventScroll: true }), [trace.id]);
  useAnchor(list, rows.length, at, (row) => trace.ids[rows[row]?.span ?? -1]);
  if (rows.length === 0) return <NothingFound view={view} />;
  const resize = (event: PointerEvent) => {
    const offset = event.clientX - nameWidth;
    drag(event, (moved) => {
      view.nameWidth.value = Math.max(LEAST_NAMES, moved.clientX - offset);
    });
  };
  return (
    <div class="waterfall">
      <div class="axis-line">
        <div class="axis-name" style={{ width: `${nameWidth}px` }}>
          <Above view={view} trace={trace} span={rows[list.topRow]?.span ?? -1} />
          <div
            class="resize"
            role="separator"
            tabIndex={0}
            aria-orientation="vertical"
            aria-label="Width of the names"
            aria-valuenow={Math.round(nameWidth)}
            title="Drag, or use the arrow keys"
            onPointerDown={resize}
            onKeyDown={(event) => {
              const by = { ArrowLeft: -20, ArrowRight: 20 }[event.key];
              if (by) view.nameWidth.value = Math.max(LEAST_NAMES, nameWidth + by);
            }}
          />
        </div>
        <Axis view={view} width={timeWidth} />
      </div>
      <div
        class="rows"
        ref={list.ref}
        role="treegrid"
        tabIndex={0}
        aria-label="Spans"
        aria-rowcount={rows.length}
        aria-activedescendant={at >= 0 ? `row-${at}` : undefined}
        onScroll={list.onScroll}
        onPointerDown={(event) => panByDrag(view, event, nameWidth, timeWidth)}
      >
        <div class="filler" style={{ height: `${list.total}px` }} role="presentation">
          {rows.slice(list.first, list.last).map((row: Row, index) => (
            <WaterfallRow
              key={`${row.span}${row.group ? "g" : ""}`}
              view={view}
              trace={trace}
              row={row}
              index={list.first + index}
              selected={list.first + index === at}
              nameWidth={nameWidth}
              timeWidth={timeWidth}
              logs={logs}
              pieces={view.showCritical.value ? pieces : null}
            />
          ))}
        </div>
      </div>
    </div>
  );
}

/** Names the spans above the first row in sight, which are scrolled away. */
function Above({ view, trace, span }: { view: View; trace: Trace; span: number }) {
  const above: number[] = [];
  for (let one = span < 0 ? -1 : at1(trace.parent, span); one >= 0; one = at1(trace.parent, one)) {
    above.unshift(one);
    if (above.length === MOST_ABOVE) break;
  }
  const parent = above.at(-1);
  if (parent === undefined) return <>Span</>;
  const path = above.map((one) => visible(trace.name(one).slice(0, 100))).join(" › ");
  return (
    <button type="button" class="plain above" title={path} onClick={() => select(view, parent)}>
      <bdi>{path}</bdi>
    </button>
  );
}

function NothingFound({ view }: { view: View }) {
  return (
    <div class="empty">
      <h2>Nothing matches</h2>
      <p>
        No span of this trace matches <code>{view.search.value}</code>.
      </p>
      <button
        type="button"
        onClick={() => {
          view.onlyFound.value = false;
        }}
      >
        Show all spans
      </button>
    </div>
  );
}

/** Zooms with Ctrl and the wheel, about the pointer; moves with Shift or a sideways wheel. */
function useWheel(view: View, ref: { current: HTMLDivElement | null }, nameWidth: number): void {
  const names = useRef(nameWidth);
  names.current = nameWidth;
  useEffect(() => {
    const element = ref.current;
    if (!element) return;
    const turned = (event: WheelEvent) => {
      const box = element.getBoundingClientRect();
      const width = box.width - names.current;
      const at = Math.min(Math.max((event.clientX - box.left - names.current) / width, 0), 1);
      const sideways = event.shiftKey && event.deltaX === 0 ? event.deltaY : event.deltaX;
      if (event.ctrlKey || event.metaKey) zoomBy(view, Math.exp(event.deltaY * 0.004), at);
      else if (Math.abs(sideways) > Math.abs(event.shiftKey ? 0 : event.deltaY))
        panBy(view, sideways / width);
      else return;
      event.preventDefault();
    };
    element.addEventListener("wheel", turned, { passive: false });
    return () => element.removeEventListener("wheel", turned);
  });
}

/** Moves in time while the pointer drags over the timeline. */
function panByDrag(view: View, event: PointerEvent, nameWidth: number, timeWidth: number): void {
  const box = (event.currentTarget as Element).getBoundingClientRect();
  if (event.button !== 0 || event.clientX - box.left < nameWidth || view.zooms.value.length === 0)
    return;
  let last = event.clientX;
  drag(
    event,
    (moved) => {
      panBy(view, (last - moved.clientX) / timeWidth);
      last = moved.clientX;
    },
    (end) => {
      if (Math.abs(end.clientX - event.clientX) >= 4) ignoreClick();
    },
  );
}

/** Keeps the click that ends a drag from selecting a row. */
function ignoreClick(): void {
  const ignore = (click: Event) => click.stopPropagation();
  window.addEventListener("click", ignore, { capture: true, once: true });
  setTimeout(() => window.removeEventListener("click", ignore, { capture: true }), 0);
}

function logsBySpan(trace: Trace): Map<number, Log[]> {
  const found = new Map<number, Log[]>();
  for (const log of trace.logs)
    found.set(log.span, [...(found.get(log.span) ?? []).slice(0, 200), log]);
  return found;
}

/** Returns the parts of the critical paths on each span. */
function piecesBySpan(trace: Trace): Map<number, [number, number][]> {
  const found = new Map<number, [number, number][]>();
  for (const path of trace.paths) {
    for (const [span, from, to] of path.segments) {
      const pieces = found.get(span);
      if (pieces) pieces.push([from, to]);
      else found.set(span, [[from, to]]);
    }
  }
  return found;
}
