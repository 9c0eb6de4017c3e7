/** A log as a whole, with its attributes. */

import type { LogNow } from "../../live/contract";
import { isTraceId } from "../../live/shape";
import { visible } from "../../model/format";
import { levelOf } from "../../model/levels";
import { Value } from "../../view/Attributes";
import { useApp } from "../context";
import { traceAddress } from "../route";
import { fullTime } from "../times";

export function LogDetails({ log }: { log: LogNow }) {
  const app = useApp();
  const isInTrace = isTraceId(log.trace_id);
  return (
    <aside class={`details level-${levelOf(log.level)}`} aria-label="The log">
      <button
        type="button"
        class="close"
        aria-label="Close"
        onClick={() => {
          app.logs.chosen.value = "";
        }}
      >
        ✕
      </button>
      <h2 class="level">{visible(log.level)}</h2>
      <p class="mono dim">{fullTime(log.time_ns)}</p>
      <Value value={log.text} />
      {Object.keys(log.attributes).length > 0 && (
        <>
          <h3>Attributes</h3>
          <Value value={log.attributes} />
        </>
      )}
      <h3>From</h3>
      <p>
        {visible([log.service, log.process].filter(Boolean).join(", ")) || "an unknown process"}
        {log.kind === "event" && ", an event of its span"}
      </p>
      {isInTrace && (
        <div class="actions">
          <a class="action" href={traceAddress(log.trace_id, log.span_id)}>
            To its span
          </a>
          <button type="button" onClick={() => app.navigation.set({ trace: log.trace_id }, true)}>
            Only this trace
          </button>
        </div>
      )}
    </aside>
  );
}
