/** What the conversation of a trace needs of the server, from the trace that is open. */

import type { AgentsClient } from "../../agents";
import type { SpanDetails } from "../../data/contract";
import { allDetails, spanDetails } from "../../live/contract";
import type { App } from "../app";

/** Up to how many spans are asked for one by one. */
const MOST_SINGLE = 12;

export function agentsClient(app: App): AgentsClient {
  return {
    trace: (id) => {
      const model = app.trace.value;
      return model?.id === id ? (model.view.value?.trace.value ?? null) : null;
    },
    now: (id) => {
      const model = app.trace.peek();
      if (model?.id !== id) return 0;
      return Number(app.clock.now() - model.live.baseNs);
    },
    details: async (id, changed) => {
      if (!changed || changed.length > MOST_SINGLE) {
        const path = `traces/${id}/details`;
        const { details } = await app.client.get(path, allDetails, { exact: true });
        return Object.fromEntries(details);
      }
      const found = changed.map(async (span): Promise<[string, SpanDetails]> => {
        const path = `traces/${id}/spans/${span}`;
        return [span, await app.client.get(path, spanDetails, { exact: true })];
      });
      return Object.fromEntries(await Promise.all(found));
    },
  };
}
