/** How states look: mark, word and colour. */

import type { State } from "../data/contract";
import { middleCut } from "../model/format";

export const MARKS: { [state in State]: string } = {
  running: "▶",
  stalled: "◷",
  blocked: "◫",
  hung: "◷",
  lost: "☠",
  open: "○",
  abandoned: "✕",
  error: "✗",
  cancelled: "⊘",
  ended: "",
  missing: "?",
};

/** The style sheet's variable of a state. */
export function colourName(state: State): string {
  if (state === "running" || state === "error" || state === "abandoned") return `--${state}`;
  if (state === "stalled" || state === "blocked" || state === "hung") return "--stalled";
  return "--ended";
}

/** How a canvas draws a state besides its colour; as the bars of the waterfall. */
export type Hatch = "slanted" | "dashed" | "dotted" | "none";

export function hatchOf(state: State): Hatch {
  if (state === "abandoned") return "slanted";
  if (state === "stalled" || state === "blocked" || state === "hung") return "dashed";
  return state === "lost" || state === "missing" || state === "open" ? "dotted" : "none";
}

/** Returns what a canvas fills with: a pattern of a colour on a ground, or the colour. */
export function hatched(
  context: CanvasRenderingContext2D,
  hatch: Hatch,
  colour: string,
  ground: string,
): CanvasPattern | string {
  const tile = document.createElement("canvas");
  tile.width = hatch === "dashed" ? 12 : hatch === "dotted" ? 4 : 6;
  tile.height = 6;
  const draw = tile.getContext("2d");
  if (!draw || hatch === "none") return colour;
  draw.fillStyle = ground;
  draw.fillRect(0, 0, tile.width, tile.height);
  draw.fillStyle = draw.strokeStyle = colour;
  if (hatch === "dashed") draw.fillRect(0, 0, 8, 6);
  else if (hatch === "dotted") draw.fillRect(0, 0, 2, 6);
  else {
    draw.lineWidth = 1.5;
    for (const shift of [-6, 0, 6]) {
      draw.moveTo(shift, 6);
      draw.lineTo(shift + 6, 0);
    }
    draw.stroke();
  }
  return context.createPattern(tile, "repeat") ?? colour;
}

const MOST_WIDTHS = 20_000;
const widths = new Map<string, number>();

/** Returns how wide a canvas draws a text; measured once. */
function widthOf(context: CanvasRenderingContext2D, text: string): number {
  const key = `${context.font} ${text}`;
  const known = widths.get(key);
  if (known !== undefined) return known;
  if (widths.size >= MOST_WIDTHS) widths.clear();
  const { width } = context.measureText(text);
  widths.set(key, width);
  return width;
}

/** Cuts a text in the middle so that a canvas draws it within a width; empty if nothing fits. */
export function fitted(context: CanvasRenderingContext2D, text: string, room: number): string {
  const width = widthOf(context, text);
  if (width <= room) return text;
  let most = Math.floor((text.length * room) / width);
  while (most > 1 && widthOf(context, middleCut(text, most)) > room) most -= 1;
  return most > 1 ? middleCut(text, most) : "";
}

/** Returns a function that looks up a colour of the style sheet. */
export function palette(element: Element): (name: string) => string {
  const style = getComputedStyle(element);
  const known = new Map<string, string>();
  return (name) => {
    const colour = known.get(name) ?? style.getPropertyValue(name).trim();
    known.set(name, colour);
    return colour || "#888";
  };
}

/** Returns one of eight hues for a service, always the same one. */
export function hueOf(text: string): string {
  let hash = 7;
  for (let at = 0; at < Math.min(text.length, 100); at++)
    hash = (hash * 31 + text.charCodeAt(at)) >>> 0;
  return `var(--hue${hash % 8})`;
}
