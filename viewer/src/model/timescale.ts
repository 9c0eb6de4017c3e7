/** The window of time that is seen, and how it moves. Pure functions. */

/** A window, in nanoseconds relative to the base. */
export interface Span {
  from: number;
  to: number;
}

/** The least that a window shows. */
const LEAST = 100;

/** Returns where a time lies in a window: 0 at its start, 1 at its end. */
export function fraction(window: Span, time: number): number {
  const length = window.to - window.from;
  return length > 0 ? (time - window.from) / length : 0;
}

/** Returns the times that are covered, in order, each as one. */
export function joined(times: readonly [number, number][]): [number, number][] {
  const all: [number, number][] = [];
  for (const [from, to] of [...times].sort((a, b) => a[0] - b[0])) {
    const last = all.at(-1);
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else all.push([from, to]);
  }
  return all;
}

/** Returns the time at a fraction of a window. */
export function timeAt(window: Span, at: number): number {
  return window.from + (window.to - window.from) * at;
}

/** Zooms about a fraction of the window; a factor below 1 shows less. */
export function zoomAt(window: Span, at: number, factor: number, bounds: Span): Span {
  const length = Math.max(LEAST, (window.to - window.from) * factor);
  const middle = timeAt(window, at);
  return clamp({ from: middle - length * at, to: middle + length * (1 - at) }, bounds);
}

/** Moves the window by a fraction of its length. */
export function pan(window: Span, by: number, bounds: Span): Span {
  const shift = (window.to - window.from) * by;
  return clamp({ from: window.from + shift, to: window.to + shift }, bounds);
}

/** Returns a window around a span of time, with a little air on both sides. */
export function around(span: Span, bounds: Span): Span {
  const air = Math.max((span.to - span.from) * 0.05, LEAST / 2);
  return clamp({ from: span.from - air, to: span.to + air }, bounds);
}

/** Keeps a window within bounds, with its length where that is possible. */
export function clamp(window: Span, bounds: Span): Span {
  const most = bounds.to - bounds.from;
  const length = Math.min(window.to - window.from, most);
  const from = Math.min(Math.max(window.from, bounds.from), bounds.to - length);
  return { from, to: from + length };
}

/** Returns round times in a window, about `wanted` of them, counted from `zero`. */
export function ticks(
  window: Span,
  wanted: number,
  zero: number,
): { step: number; times: number[] } {
  const length = window.to - window.from;
  if (!(length > 0) || wanted < 1) return { step: 1, times: [] };
  const rough = length / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, ([1, 2, 5, 10].find((size) => size * power >= rough) ?? 10) * power);
  const times: number[] = [];
  for (let at = Math.ceil((window.from - zero) / step); zero + at * step <= window.to; at++) {
    times.push(zero + at * step);
  }
  return { step, times };
}
