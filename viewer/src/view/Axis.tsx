/** The ruler of time; dragging over it zooms. */

import { useState } from "preact/hooks";
import { axisTimes, timeOfDay } from "../model/format";
import { fraction, ticks } from "../model/timescale";
import { at1, type Trace } from "../model/trace";
import type { View, Zero } from "../model/view";
import { zoomByDrag } from "./zoomByDrag";

const NEXT: { [zero in Zero]: Zero } = { trace: "span", span: "clock", clock: "trace" };
const WORDS: { [zero in Zero]: string } = {
  trace: "from trace",
  span: "from span",
  clock: "clock",
};

export function Axis({ view, width }: { view: View; width: number }) {
  const [[from, to], setDragged] = useState([0, 0]);
  const window = view.window.value;
  const zero = zeroOf(view);
  const { step, times } = ticks(window, Math.min(8, width / 110), zero);
  const texts = axisTimes(times, zero, step);
  const { baseNs, zone } = view.data.value;
  const isClock = view.zero.value === "clock";
  return (
    <div
      class="axis"
      title="Drag to zoom, double click shows all"
      onPointerDown={(event) => {
        if (!(event.target as Element).closest("button"))
          zoomByDrag(view, event, (a, b) => setDragged([a, b]));
      }}
      onDblClick={() => {
        view.zooms.value = [];
      }}
    >
      {times.map((time, index) => {
        const at = fraction(window, time);
        return (
          <span
            key={time}
            class={width - at * width < room(isClock) ? "tick before" : "tick"}
            style={{ left: `${at * 100}%` }}
          >
            {isClock ? timeOfDay(baseNs, time, zone) : texts[index]}
          </span>
        );
      })}
      {from !== to && (
        <div
          class="dragged"
          style={{ left: `${Math.min(from, to) * 100}%`, width: `${Math.abs(to - from) * 100}%` }}
        />
      )}
      <button
        type="button"
        class="zero"
        title="Where the times count from"
        onClick={() => {
          view.zero.value = NEXT[view.zero.value];
        }}
      >
        {isClock ? zone : WORDS[view.zero.value]}
      </button>
    </div>
  );
}

/** How much room a tick and the button at the end of the axis need, in pixels. */
function room(isClock: boolean): number {
  return isClock ? 170 : 150;
}

function zeroOf(view: View): number {
  const trace = view.trace.value as Trace;
  const span = view.selected.value;
  if (view.zero.value === "span" && span >= 0) return at1(trace.start, span);
  return trace.from;
}
