/** Searches of the demo server, by the viewer's own search. */

import type { SpanDetails } from "../../src/data/contract";
import { LiveTrace } from "../../src/live/liveTrace";
import { find } from "../../src/search/match";
import { parse } from "../../src/search/parse";
import { liveTraceOf } from "./answers";
import type { Store } from "./store";

/** Returns the ids of the spans of a trace that are found. */
export function matchesIn(store: Store, trace: string, search: string): string[] {
  const live = new LiveTrace(trace);
  live.apply(liveTraceOf(store, trace, 0));
  const built = live.build();
  const spans = store.traces.get(trace);
  const details = built.ids.map((id): SpanDetails => spans?.get(id)?.details ?? null);
  const found = find(parse(search), {
    trace: built,
    details,
    nowNs: store.now(),
    baseNs: store.base,
    zone: "+00:00",
  });
  return built.ids.filter((_, span) => found[span]);
}
