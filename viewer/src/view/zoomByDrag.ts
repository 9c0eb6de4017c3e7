/** Dragging over a ruler, to zoom. */

import { zoomTo } from "../model/commands";
import { timeAt } from "../model/timescale";
import type { View } from "../model/view";
import { drag } from "./hooks";

/** Zooms to what is dragged over on a ruler of this width. */
export function zoomByDrag(
  view: View,
  event: PointerEvent,
  show: (from: number, to: number) => void,
): void {
  const box = (event.currentTarget as Element).getBoundingClientRect();
  const at = (moved: PointerEvent) =>
    Math.min(Math.max((moved.clientX - box.left) / box.width, 0), 1);
  const from = at(event);
  const window = view.window.value;
  drag(
    event,
    (moved) => show(from, at(moved)),
    (last) => {
      show(0, 0);
      const [low, high] = [Math.min(from, at(last)), Math.max(from, at(last))];
      if ((high - low) * box.width < 4) return;
      zoomTo(view, { from: timeAt(window, low), to: timeAt(window, high) });
    },
  );
}
