/** One log of the tail. */

import type { LogNow } from "../../live/contract";
import { isTraceId } from "../../live/shape";
import { visible } from "../../model/format";
import { levelOf } from "../../model/levels";
import { ROW_HEIGHT } from "../../view/hooks";
import { traceAddress } from "../route";
import { exactTime, fullTime } from "../times";

interface Props {
  log: LogNow;
  index: number;
  isChosen: boolean;
  onChoose: () => void;
}

export function LogRow({ log, index, isChosen, onChoose }: Props) {
  const text = visible(log.text.slice(0, 500));
  return (
    <div
      id={`log-${index}`}
      role="row"
      class={`table-row level-${levelOf(log.level)}${index % 2 ? " odd" : ""}`}
      aria-selected={isChosen}
      style={{ top: `${index * ROW_HEIGHT}px` }}
      onClick={(event) => {
        if (!(event.target as Element).closest("a")) onChoose();
      }}
    >
      <span role="gridcell" class="mono dim" title={fullTime(log.time_ns)}>
        {exactTime(log.time_ns)}
      </span>
      <span role="gridcell" class="level">
        {visible(log.level.slice(0, 20))}
      </span>
      <span role="gridcell" title={text}>
        {text}
        <Some attributes={log.attributes} />
      </span>
      <span role="gridcell" class="dim">
        {visible(log.service.slice(0, 100))}
      </span>
      <span role="gridcell" class="mono">
        {isTraceId(log.trace_id) && (
          <a
            class="link"
            href={traceAddress(log.trace_id, log.span_id)}
            tabIndex={-1}
            title="To its span"
          >
            {log.trace_id.slice(0, 8)}
          </a>
        )}
      </span>
    </div>
  );
}

/** The first attributes, behind the text. */
function Some({ attributes }: Pick<LogNow, "attributes">) {
  const some = Object.entries(attributes)
    .filter(([, value]) => typeof value !== "object" || value === null)
    .slice(0, 4);
  return (
    <>
      {some.map(([key, value]) => (
        <small key={key} class="dim mono">
          {" "}
          {visible(key.slice(0, 60))}={visible(String(value).slice(0, 80))}
        </small>
      ))}
    </>
  );
}
