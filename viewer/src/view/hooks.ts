/** Hooks that views share: the size of an element, a canvas, a window on many rows. */

import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

export const ROW_HEIGHT = 22;
const BEYOND = 8;

export interface Size {
  width: number;
  height: number;
}

/** Does something with an element once it is there, and again with another one in its place. */
export function useElement<T extends Element>(
  ref: RefObject<T | null>,
  attach: (element: T) => () => void,
): void {
  const nothing = () => {};
  const held = useRef<{ element: T | null; end: () => void }>({ element: null, end: nothing });
  useLayoutEffect(() => {
    const element = ref.current;
    if (element === held.current.element) return;
    held.current.end();
    held.current = { element, end: element ? attach(element) : nothing };
  });
  useLayoutEffect(() => () => held.current.end(), []);
}

/** Returns the size of an element, as it changes. */
export function useSize<T extends Element>(ref: RefObject<T | null>): Size {
  const [size, setSize] = useState<Size>({ width: 800, height: 600 });
  useElement(ref, (element) => {
    const measure = () => {
      const { width, height } = element.getBoundingClientRect();
      if (width > 0)
        setSize((old) => (old.width === width && old.height === height ? old : { width, height }));
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  });
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
 * Returns which of `count` rows are in sight; brings row `at` into sight when another is chosen.
 *
 * A heading of that height above them stays in sight. `chosen` is what the row is known by where
 * rows come and go: the place of the same row may then change without it.
 */
export function useRows(
  count: number,
  at: number,
  head = 0,
  chosen: string | number | undefined = at,
): RowWindow {
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
  }, [chosen, height]);
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

/**
 * Keeps the row that the reader looks at where it is while rows come and go above it: the one under
 * the pointer, else the chosen one if it is in sight, else the first in sight.
 *
 * `idAt` returns what a row is known by when the rows are others.
 */
export function useAnchor(
  list: RowWindow,
  count: number,
  chosen: number,
  idAt: (row: number) => string | undefined,
): void {
  const anchor = useRef<{ id: string | undefined; row: number }>({ id: undefined, row: -1 });
  const pointer = useRef(Number.NaN);
  const choose = (element: HTMLElement) => {
    const top = element.scrollTop;
    const isInSight = (row: number) =>
      row >= 0 &&
      row < count &&
      (row + 1) * ROW_HEIGHT > top &&
      row * ROW_HEIGHT < top + element.clientHeight;
    const under = Math.floor((pointer.current + top) / ROW_HEIGHT);
    const first = top > 0 ? Math.floor(top / ROW_HEIGHT) : -1;
    const row = [under, chosen].find(isInSight) ?? first;
    anchor.current = { id: row >= 0 ? idAt(row) : undefined, row };
  };
  useLayoutEffect(() => {
    const element = list.ref.current;
    if (!element) return;
    const { id, row } = anchor.current;
    if (id !== undefined && idAt(row) !== id) {
      for (let now = 0; now < count; now++) {
        if (idAt(now) !== id) continue;
        element.scrollTop += (now - row) * ROW_HEIGHT;
        break;
      }
    }
    choose(element);
  });
  useElement(list.ref, (element) => {
    const moved = (event: PointerEvent) => {
      const head = element.querySelector(".table-head")?.clientHeight ?? 0;
      pointer.current = event.clientY - element.getBoundingClientRect().top - head;
    };
    const left = () => {
      pointer.current = Number.NaN;
    };
    element.addEventListener("pointermove", moved);
    element.addEventListener("pointerleave", left);
    return () => {
      element.removeEventListener("pointermove", moved);
      element.removeEventListener("pointerleave", left);
    };
  });
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
