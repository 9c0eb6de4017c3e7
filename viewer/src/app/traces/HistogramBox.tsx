/** How many traces began when, drawn on a canvas; dragging over it chooses a time. */

import { useRef, useState } from "preact/hooks";
import type { Histogram } from "../../live/contract";
import { countOf } from "../../model/format";
import { drag, type Size, useCanvas, useSize } from "../../view/hooks";
import { palette } from "../../view/look";
import { useApp } from "../context";
import { clockTime, timeBeside } from "../times";

const AXIS = 14;

export function HistogramBox({ onChoose }: { onChoose: (from: bigint, to: bigint) => void }) {
  const app = useApp();
  const histogram = app.traces.histogram.value;
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const size = useSize(box);
  const [[from, to], setDragged] = useState([0, 0]);
  const [hovered, setHovered] = useState(-1);
  useCanvas(
    canvas,
    size,
    (context, element) => {
      if (histogram) draw(context, element, histogram, size);
    },
    [histogram, app.palette.value],
  );
  const at = (event: PointerEvent) => {
    const { left, width } = (box.current as HTMLElement).getBoundingClientRect();
    return Math.min(Math.max((event.clientX - left) / width, 0), 1);
  };
  const pressed = (event: PointerEvent) => {
    if (!histogram || event.button !== 0) return;
    const start = at(event);
    drag(
      event,
      (moved) => setDragged([start, at(moved)]),
      (last) => {
        setDragged([0, 0]);
        const [low, high] = [Math.min(start, at(last)), Math.max(start, at(last))];
        if ((high - low) * size.width >= 4)
          onChoose(timeOf(histogram, low), timeOf(histogram, high));
      },
    );
  };
  return (
    <div
      class="histogram"
      ref={box}
      title="Drag to choose a time"
      onPointerDown={pressed}
      onPointerMove={(event) =>
        setHovered(histogram ? Math.floor(at(event) * histogram.traces.length) : -1)
      }
      onPointerLeave={() => setHovered(-1)}
    >
      <canvas
        ref={canvas}
        role="img"
        aria-label={histogram ? wordsOf(histogram) : "No traces yet"}
      />
      {from !== to && (
        <i
          class="dragged"
          style={{ left: `${Math.min(from, to) * 100}%`, width: `${Math.abs(to - from) * 100}%` }}
        />
      )}
      {histogram && hovered >= 0 && from === to && <Bucket histogram={histogram} at={hovered} />}
    </div>
  );
}

function Bucket({ histogram, at }: { histogram: Histogram; at: number }) {
  const { traces, errors, width_ns } = histogram;
  const count = traces[at] ?? 0;
  const start = histogram.from_ns + BigInt(Math.round(at * width_ns));
  const isLate = at > traces.length / 2;
  const place = `${(isLate ? 1 - at / traces.length : at / traces.length) * 100}%`;
  return (
    <span class="bucket mono" style={isLate ? { right: place } : { left: place }}>
      {clockTime(start)} {countOf(count, "trace")}
      {(errors[at] ?? 0) > 0 && `, ${errors[at]} with errors`}
    </span>
  );
}

function timeOf({ from_ns, to_ns }: Histogram, at: number): bigint {
  return from_ns + BigInt(Math.round(Number(to_ns - from_ns) * at));
}

function wordsOf({ traces, errors, from_ns, to_ns }: Histogram): string {
  const sum = (values: number[]) => values.reduce((all, one) => all + one, 0);
  return `${countOf(sum(traces), "trace")}, ${sum(errors)} with errors, from ${clockTime(from_ns)} to ${clockTime(to_ns)}`;
}

function draw(
  context: CanvasRenderingContext2D,
  canvas: HTMLCanvasElement,
  histogram: Histogram,
  size: Size,
): void {
  const { traces, errors, from_ns, to_ns } = histogram;
  const colour = palette(canvas);
  const most = traces.reduce((one, other) => Math.max(one, other), 1);
  const room = size.height - AXIS - 3;
  const width = size.width / Math.max(traces.length, 1);
  // A few traces beside very many stay in sight.
  const heightOf = (count: number) => (count === 0 ? 0 : Math.max(2, (count / most) * room));
  traces.forEach((count, at) => {
    const height = heightOf(count);
    context.fillStyle = colour("--ended");
    context.fillRect(at * width, 3 + room - height, Math.max(width - 1, 1), height);
    const failed = heightOf(errors[at] ?? 0);
    context.fillStyle = colour("--error");
    context.fillRect(at * width, 3 + room - failed, Math.max(width - 1, 1), failed);
  });
  context.fillStyle = colour("--line");
  context.fillRect(0, 3 + room, size.width, 1);
  context.fillStyle = colour("--dim");
  context.font = "10.5px system-ui, sans-serif";
  context.textBaseline = "bottom";
  const steps = Math.max(2, Math.min(8, Math.floor(size.width / 130)));
  for (let step = 0; step <= steps; step++) {
    const time = from_ns + ((to_ns - from_ns) * BigInt(step)) / BigInt(steps);
    context.textAlign = step === 0 ? "left" : step === steps ? "right" : "center";
    const text = step === 0 ? timeBeside(time, to_ns).slice(0, 14) : clockTime(time);
    context.fillText(text.replace(/\.\d+$/, ""), (size.width * step) / steps, size.height);
  }
}
