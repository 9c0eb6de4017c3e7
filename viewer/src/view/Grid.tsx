/** A grid of rows of one height, of which only those in sight are in the page. */

import type { ComponentChildren } from "preact";
import type { RowWindow } from "./hooks";

interface GridProps {
  list: RowWindow;
  label: string;
  /** Whether rows have others below them. */
  isTree?: boolean;
  count: number;
  /** The id of the chosen row. */
  active: string | undefined;
  head?: ComponentChildren;
  /** The rows in sight. */
  children: ComponentChildren;
}

export function Grid({ list, label, isTree = false, count, active, head, children }: GridProps) {
  const role = isTree ? ("treegrid" as const) : ("grid" as const);
  const named = {
    role,
    "aria-label": label,
    "aria-rowcount": count,
    "aria-activedescendant": active,
  };
  return (
    <div {...named} class="rows" ref={list.ref} tabIndex={0} onScroll={list.onScroll}>
      {head}
      <div class="filler" role="presentation" style={{ height: `${list.total}px` }}>
        {children}
      </div>
    </div>
  );
}
