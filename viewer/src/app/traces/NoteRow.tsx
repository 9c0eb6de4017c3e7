/** A line in the list that is neither a trace nor a span. */

import { ROW_HEIGHT } from "../../view/hooks";

interface Props {
  text: string;
  href: string;
  index: number;
}

export function NoteRow({ text, href, index }: Props) {
  return (
    <div
      role="row"
      class={`table-row note-row${index % 2 ? " odd" : ""}`}
      style={{ top: `${index * ROW_HEIGHT}px` }}
    >
      <span role="gridcell" class="dim">
        {text === "…" ? text : <a href={href}>{text}</a>}
      </span>
    </div>
  );
}
