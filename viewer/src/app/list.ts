/** What the lists of the application share: moving through rows, and whether the reader looks at them. */

import type { RefObject } from "preact";
import { useRef } from "preact/hooks";
import { useElement } from "../view/hooks";
import type { PageKeys } from "./context";

const PAGE = 20;

/** Returns the keys that move through rows; `choose` gets the row that is chosen then. */
export function moveKeys(count: number, at: number, choose: (row: number) => void): PageKeys {
  const to = (row: number) => () => {
    if (count > 0) choose(Math.min(Math.max(row, 0), count - 1));
    return undefined;
  };
  return {
    j: to(at + 1),
    ArrowDown: to(at + 1),
    k: to(at - 1),
    ArrowUp: to(at - 1),
    PageDown: to(at + PAGE),
    PageUp: to(at - PAGE),
    Home: to(0),
    End: to(count - 1),
  };
}

/** Calls back when the pointer comes over an element, and when it leaves. */
export function useHover<T extends HTMLElement>(
  ref: RefObject<T | null>,
  changed: (isOver: boolean) => void,
): void {
  const latest = useRef(changed);
  latest.current = changed;
  useElement(ref, (element) => {
    const over = () => latest.current(true);
    const left = () => latest.current(false);
    element.addEventListener("pointerenter", over);
    element.addEventListener("pointerleave", left);
    return () => {
      element.removeEventListener("pointerenter", over);
      element.removeEventListener("pointerleave", left);
      left();
    };
  });
}
