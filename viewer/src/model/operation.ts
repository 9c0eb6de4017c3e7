/** How long the spans of one operation take: those of the same name and service in a trace. */

import { ENDED, ERROR, type Trace } from "./trace";

export interface Operation {
  count: number;
  p50: number;
  p95: number;
}

/** Returns the figures over the ended spans; null if there are not several. */
export function operationOf(trace: Trace, span: number): Operation | null {
  const [name, service] = [trace.nameIndex(span), trace.service(span)];
  const durations: number[] = [];
  for (let one = 0; one < trace.count; one++) {
    const isOver = trace.state[one] === ENDED || trace.state[one] === ERROR;
    if (isOver && trace.nameIndex(one) === name && trace.service(one) === service) {
      durations.push(trace.duration(one));
    }
  }
  if (durations.length < 2) return null;
  durations.sort((a, b) => a - b);
  const at = (part: number) => durations[Math.ceil(durations.length * part) - 1] ?? 0;
  return { count: durations.length, p50: at(0.5), p95: at(0.95) };
}
