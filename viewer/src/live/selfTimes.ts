/** Self time: how long a span did something itself, while no span below it ran; as in the terminal. */

import type { TimedSpans } from "../model/criticalPath";
import { at1 } from "../model/trace";

/** Returns the self time of each span; siblings must be in the order of their starts. */
export function selfTimes(spans: TimedSpans): number[] {
  const { start, until, firstChild, nextSibling } = spans;
  return Array.from({ length: start.length }, (_, span) => {
    const end = at1(until, span);
    let at = at1(start, span);
    let own = 0;
    for (let child = at1(firstChild, span); child >= 0; child = at1(nextSibling, child)) {
      if (at >= end) break;
      if (at1(start, child) > at) own += Math.min(at1(start, child), end) - at;
      at = Math.max(at, at1(until, child));
    }
    return own + Math.max(end - at, 0);
  });
}
