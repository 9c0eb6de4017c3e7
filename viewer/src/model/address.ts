/** Keeps trace, view, span, zoom and search in the address, so that a link shows the same. */

import { select, zoomTo } from "./commands";
import { MODES, type Mode, type View } from "./view";

export function addressOf(view: View): string {
  const trace = view.trace.value;
  const parts = new URLSearchParams();
  if (trace && view.data.value.traces.length > 1) parts.set("trace", trace.id);
  if (view.mode.value !== "waterfall") parts.set("view", view.mode.value);
  const id = trace?.ids[view.selected.value];
  if (id && view.selected.value !== trace.roots[0]) parts.set("span", id);
  if (view.search.value) parts.set("search", view.search.value);
  if (view.onlyFound.value) parts.set("only", "1");
  const zoom = view.zooms.value.at(-1);
  if (zoom) parts.set("zoom", `${Math.round(zoom.from)}-${Math.round(zoom.to)}`);
  return parts.toString();
}

/** Takes over what an address says; what it gets wrong is ignored. */
export function applyAddress(view: View, hash: string): void {
  const parts = new URLSearchParams(hash.replace(/^#/, ""));
  const at = view.data.value.traces.findIndex((trace) => trace.id === parts.get("trace"));
  if (at >= 0) {
    view.traceAt.value = at;
    view.reset();
    view.mode.value = "waterfall";
  }
  const mode = parts.get("view") as Mode | null;
  if (mode && (MODES.includes(mode) || mode === "traces")) view.mode.value = mode;
  view.search.value = parts.get("search") ?? view.search.value;
  if (parts.get("only") === "1") view.onlyFound.value = true;
  const zoom = /^(-?\d+)-(-?\d+)$/.exec(parts.get("zoom") ?? "");
  if (zoom && Number(zoom[1]) < Number(zoom[2])) {
    zoomTo(view, { from: Number(zoom[1]), to: Number(zoom[2]) });
  }
  const span = view.trace.value?.ids.indexOf(parts.get("span") ?? "") ?? -1;
  if (span >= 0) select(view, span);
}
