/** The overview of the whole trace, with the window that is shown. */

import { useRef, useState } from "preact/hooks";
import { STATES } from "../data/contract";
import { replaceZoom, zoomTo } from "../model/commands";
import { clamp, fraction, type Span, timeAt } from "../model/timescale";
import { at1, ENDED, type Trace } from "../model/trace";
import type { View } from "../model/view";
import { drag, type Size, useCanvas, useSize } from "./hooks";
import { colourName, hatched, hatchOf, MARKS, palette } from "./look";

const MOST_LINES = 26;
const EDGE = 6;
/** The line of marks at the bottom, and how much room one takes. */
const MARK_HEIGHT = 12;
const MARK_WIDTH = 11;

export function Minimap({ view, trace }: { view: View; trace: Trace }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const box = useRef<HTMLDivElement>(null);
  const size = useSize(box);
  const [dragged, setDragged] = useState<Span | null>(null);
  const bounds = view.bounds.value;
  useCanvas(
    canvas,
    size,
    (context, element) => draw(context, element, trace, bounds, view.clock.peek() ?? 0, size),
    [trace, bounds, view.palette.value],
  );
  const window = dragged ?? view.window.value;
  const [left, right] = [fraction(bounds, window.from) * 100, fraction(bounds, window.to) * 100];
  const isZoomed = view.zooms.value.length > 0 || dragged !== null;
  return (
    <div
      class="minimap"
      ref={box}
      title="Drag to zoom, drag the window to move it, double click shows all"
      onPointerDown={(event) => pressed(view, event, setDragged)}
      onDblClick={() => {
        view.zooms.value = [];
      }}
    >
      <canvas ref={canvas} role="img" aria-label="Overview of the trace" />
      {isZoomed && (
        <>
          <i class="shade" style={{ left: 0, width: `${left}%` }} />
          <i class="shade" style={{ left: `${right}%`, right: 0 }} />
          <i class="window" style={{ left: `${left}%`, width: `${right - left}%` }} />
        </>
      )}
    </div>
  );
}

/** Begins what a drag does there: move the window, move one of its edges, or choose a new one. */
function pressed(view: View, event: PointerEvent, show: (window: Span | null) => void): void {
  const box = (event.currentTarget as Element).getBoundingClientRect();
  const bounds = view.bounds.value;
  const window = view.window.value;
  const at = (moved: PointerEvent) => (moved.clientX - box.left) / box.width;
  const x = (time: number) => fraction(bounds, time) * box.width;
  const start = timeAt(bounds, at(event));
  const pixel = event.clientX - box.left;
  const isZoomed = view.zooms.value.length > 0;
  const onLeft = isZoomed && Math.abs(pixel - x(window.from)) < EDGE;
  const onRight = isZoomed && Math.abs(pixel - x(window.to)) < EDGE;
  const inside = isZoomed && pixel > x(window.from) && pixel < x(window.to);
  if (onLeft || onRight) {
    const fixed = onLeft ? window.to : window.from;
    drag(event, (moved) => replaceZoom(view, between(fixed, timeAt(bounds, at(moved)), bounds)));
  } else if (inside) {
    drag(event, (moved) => {
      const shift = timeAt(bounds, at(moved)) - start;
      replaceZoom(view, clamp({ from: window.from + shift, to: window.to + shift }, bounds));
    });
  } else {
    const chosen = (moved: PointerEvent) => between(start, timeAt(bounds, at(moved)), bounds);
    drag(
      event,
      (moved) => show(chosen(moved)),
      (last) => {
        show(null);
        if (Math.abs(last.clientX - event.clientX) >= 4) zoomTo(view, chosen(last));
      },
    );
  }
}

function between(one: number, other: number, bounds: Span): Span {
  const from = Math.max(Math.min(one, other), bounds.from);
  return { from, to: Math.min(Math.max(one, other, from + 100), bounds.to) };
}

/**
 * Draws a line of 2 pixels a depth; what went wrong is drawn last, with the pattern and, below, the
 * mark of its state, and never too small to see.
 */
function draw(
  context: CanvasRenderingContext2D,
  canvas: HTMLCanvasElement,
  trace: Trace,
  bounds: Span,
  now: number,
  size: Size,
): void {
  const colour = palette(canvas);
  const depth = trace.depth.reduce((most, one) => Math.max(most, one), 0) + 1;
  const lines = Math.min(depth, MOST_LINES);
  const height = Math.max(2, Math.min(6, Math.floor((size.height - 4 - MARK_HEIGHT) / lines)));
  const lastX = new Float64Array(lines).fill(-1);
  const ground = colour("--odd");
  const styles = STATES.map((state) =>
    hatched(context, hatchOf(state), colour(colourName(state)), ground),
  );
  const one = (span: number, least: number) => {
    const line = at1(trace.depth, span) % lines;
    const left = fraction(bounds, at1(trace.start, span)) * size.width;
    const until = Math.max(at1(trace.until, span), trace.isGoingOn(span) ? now : 0);
    const right = Math.max(fraction(bounds, until) * size.width, left + least);
    if (least < 2 && right <= at1(lastX, line)) return; // nothing new would be seen
    lastX[line] = right;
    context.fillRect(left, 2 + line * height, right - left, height - 1);
  };
  context.fillStyle = colour("--ended");
  for (let span = 0; span < trace.count; span++) if (trace.state[span] === ENDED) one(span, 0.5);
  context.font = "10px system-ui, sans-serif";
  context.textBaseline = "bottom";
  const taken = new Set<number>();
  for (let span = 0; span < trace.count; span++) {
    if (trace.state[span] === ENDED) continue;
    const state = trace.stateOf(span);
    context.fillStyle = styles[at1(trace.state, span)] ?? ground;
    one(span, 2);
    const x = Math.max(fraction(bounds, at1(trace.start, span)) * size.width, 1);
    const place = Math.floor(x / MARK_WIDTH);
    if (taken.has(place)) continue;
    taken.add(place);
    context.fillStyle = colour(`${colourName(state)}-text`);
    context.fillText(
      MARKS[state],
      Math.min(place * MARK_WIDTH + 1, size.width - MARK_WIDTH),
      size.height - 1,
    );
  }
}
