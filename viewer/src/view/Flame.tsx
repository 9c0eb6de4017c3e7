/** The flame graph: every span below its parent, by time, on a canvas. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { STATES } from "../data/contract";
import { panBy, select, zoomBy, zoomToSpan } from "../model/commands";
import { flameRows } from "../model/flame";
import { duration, visible } from "../model/format";
import { fraction } from "../model/timescale";
import { at1, type Trace } from "../model/trace";
import type { View } from "../model/view";
import { Axis } from "./Axis";
import { useCanvas, useSize } from "./hooks";
import { colourName, fitted, hatched, hatchOf, MARKS, palette } from "./look";

const ROW = 20;
/** How high the edge below a span is, whose colour and pattern tell its state. */
const EDGE = 4;

export function Flame({ view }: { view: View }) {
  const trace = view.trace.value as Trace;
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const size = useSize(box);
  const [top, setTop] = useState(0);
  const [hovered, setHovered] = useState(-1);
  const { rows, count } = useMemo(() => flameRows(trace), [trace]);
  const [window, found, selected] = [view.window.value, view.found.value, view.selected.value];
  useCanvas(
    canvas,
    size,
    (context, element) => {
      const colour = palette(element);
      const styles = STATES.map((state) => {
        const fill = colour(`${colourName(state)}-fill`);
        return { fill, edge: hatched(context, hatchOf(state), colour(colourName(state)), fill) };
      });
      context.font = "11.5px system-ui, sans-serif";
      context.textBaseline = "middle";
      for (let span = 0; span < trace.count; span++) {
        const y = at1(rows, span) * ROW - top;
        if (y < -ROW || y > size.height) continue;
        const left = Math.max(fraction(window, at1(trace.start, span)) * size.width, -1);
        const right = Math.min(
          fraction(window, view.untilOf(trace, span)) * size.width,
          size.width + 1,
        );
        if (right < 0 || left > size.width) continue;
        const width = Math.max(right - left - 1, 1);
        const isDim = found !== null && !found[span];
        context.globalAlpha = isDim ? 0.3 : 1;
        const { fill, edge } = styles[at1(trace.state, span)] ?? { fill: "", edge: "" };
        context.fillStyle = fill;
        context.fillRect(left, y, width, ROW - 1);
        context.fillStyle = edge;
        context.fillRect(left, y + ROW - 1 - EDGE, width, EDGE);
        context.globalAlpha = 1; // the words of what does not match stay readable
        if (span === selected) {
          context.strokeStyle = colour("--focus");
          context.lineWidth = 2;
          context.strokeRect(left + 1, y + 1, Math.max(width - 2, 1), ROW - 3);
        }
        if (right - Math.max(left, 0) < 30) continue;
        context.fillStyle = colour(isDim ? "--dim" : "--text");
        context.fillText(
          fitted(
            context,
            labelOf(trace, span),
            Math.min(right, size.width) - Math.max(left, 0) - 8,
          ),
          Math.max(left, 0) + 4,
          y + 7,
        );
      }
    },
    [trace, rows, window, found, selected, top, view.palette.value],
  );
  useEffect(() => {
    const y = selected >= 0 ? at1(rows, selected) * ROW : 0;
    setTop((old) => Math.max(Math.min(old, y), y + 2 * ROW - size.height, 0));
  }, [selected, rows, size.height]);
  const spanAt = (event: MouseEvent): number => {
    const area = box.current?.getBoundingClientRect();
    if (!area) return -1;
    const row = Math.floor((event.clientY - area.top + top) / ROW);
    const time =
      window.from + ((event.clientX - area.left) / size.width) * (window.to - window.from);
    const slack = ((window.to - window.from) / size.width) * 1.5;
    for (let span = trace.count - 1; span >= 0; span--) {
      if (
        rows[span] === row &&
        at1(trace.start, span) <= time &&
        at1(trace.until, span) + slack >= time
      )
        return span;
    }
    return -1;
  };
  const turned = (event: WheelEvent) => {
    const area = (event.currentTarget as Element).getBoundingClientRect();
    if (event.ctrlKey || event.metaKey) {
      zoomBy(view, Math.exp(event.deltaY * 0.004), (event.clientX - area.left) / size.width);
    } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      panBy(view, (event.deltaX || event.deltaY) / size.width);
    } else {
      setTop(
        Math.min(Math.max(top + event.deltaY, 0), Math.max(count * ROW - size.height + ROW, 0)),
      );
    }
    event.preventDefault();
  };
  const said = hovered >= 0 ? hovered : selected;
  return (
    <div class="flame">
      <div class="axis-line">
        <Axis view={view} width={size.width} />
      </div>
      <div
        class="flame-box rows"
        ref={box}
        tabIndex={0}
        onWheel={turned}
        onMouseMove={(event) => setHovered(spanAt(event))}
        onMouseLeave={() => setHovered(-1)}
        onClick={(event) => select(view, spanAt(event))}
        onDblClick={(event) => zoomToSpan(view, spanAt(event))}
      >
        <canvas
          ref={canvas}
          role="img"
          aria-label="Flame graph; the waterfall and the table show the same as text"
        />
      </div>
      <p class="flame-says" aria-live="polite">
        {said >= 0 && (
          <>
            <b>{labelOf(trace, said)}</b> {duration(trace.duration(said))}, self{" "}
            {duration(at1(trace.self, said))}, {trace.stateOf(said)}{" "}
            <span class="dim">{visible(trace.service(said))}</span>
          </>
        )}
      </p>
    </div>
  );
}

/** Returns a span's name after the mark of its state. */
function labelOf(trace: Trace, span: number): string {
  return `${MARKS[trace.stateOf(span)]} ${visible(trace.name(span).slice(0, 300))}`.trimStart();
}
