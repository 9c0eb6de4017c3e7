/** Hooks that views share: the size of an element, a canvas, a window on many rows. */

import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

export const ROW_HEIGHT = 22;
const BEYOND = 8;

export interface Size {
  width: number;
  height: number;
}

/** Returns the size of an element, as it changes. */
export function useSize<T extends Element>(ref: RefObject<T | null>): Size {
  const [size, setSize] = useState<Size>({ width: 800, height: 600 });
  useLayoutEffect(() => {
    const element = ref.current;
    if (!element) return;
    const measure = () => {
      const { width, height } = element.getBoundingClientRect();
      if (width > 0)
        setSize((old) => (old.width === width && old.height === height ? old : { width, height }));
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, [ref]);
  return size;
}

/** Draws on a canvas at the screen's resolution, whenever something it depends on changes. */
export function useCanvas(
  ref: RefObject<HTMLCanvasElement | null>,
  size: Size,
  draw: (context: CanvasRenderingContext2D, canvas: HTMLCanvasElement) => void,
  dependsOn: unknown[],
): void {
  useEffect(() => {
    const canvas = ref.current;
    const context = canvas?.getContext?.("2d");
    if (!canvas || !context) return;
    const scale = window.devicePixelRatio || 1;
    canvas.width = Math.round(size.width * scale);
    canvas.height = Math.round(size.height * scale);
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, size.width, size.height);
    draw(context, canvas);
  }, [size.width, size.height, ...dependsOn]);
}

/** A list of rows of one height, of which only those in sight are in the page. */
export interface RowWindow {
  ref: RefObject<HTMLDivElement | null>;
  /** The first row that is wholly or partly in sight. */
  topRow: number;
  first: number;
  last: number;
  total: number;
  onScroll: () => void;
}

/** The height of a table's heading, which stays on top of its rows. */
export const HEAD_HEIGHT = 25;

/**
 * Returns which of `count` rows are in sight; keeps row `at` in sight when it changes.
 *
 * A heading of that height above them stays in sight.
 */
export function useRows(count: number, at: number, head = 0): RowWindow {
  const ref = useRef<HTMLDivElement>(null);
  const { height } = useSize(ref);
  const [top, setTop] = useState(0);
  useLayoutEffect(() => {
    const element = ref.current;
    if (!element || at < 0) return;
    const room = element.clientHeight;
    if (room <= 0) return;
    if (at * ROW_HEIGHT < element.scrollTop) element.scrollTop = at * ROW_HEIGHT;
    const lowest = head + (at + 1) * ROW_HEIGHT - room;
    if (lowest > element.scrollTop) element.scrollTop = lowest;
  }, [at, height]);
  const first = Math.max(0, Math.floor(top / ROW_HEIGHT) - BEYOND);
  const last = Math.min(count, Math.ceil((top + height) / ROW_HEIGHT) + BEYOND);
  return {
    ref,
    topRow: Math.floor(top / ROW_HEIGHT),
    first,
    last,
    total: count * ROW_HEIGHT,
    onScroll: () => setTop(ref.current?.scrollTop ?? 0),
  };
}

/** Follows the pointer from a press until it is released. */
export function drag(
  event: PointerEvent,
  move: (event: PointerEvent) => void,
  end?: (event: PointerEvent) => void,
): void {
  event.preventDefault();
  const finish = (last: PointerEvent) => {
    window.removeEventListener("pointermove", move);
    window.removeEventListener("pointerup", finish);
    window.removeEventListener("pointercancel", finish);
    end?.(last);
  };
  window.addEventListener("pointermove", move);
  window.addEventListener("pointerup", finish);
  window.addEventListener("pointercancel", finish);
}
