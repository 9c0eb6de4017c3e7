/** The keys: one list that the handler and the help read. */

import {
  back,
  copy,
  fold,
  foldToDepth,
  follow,
  goTo,
  moveRow,
  nextMode,
  openTrace,
  panBy,
  select,
  step,
  unfoldAll,
  zoomBy,
  zoomToSpan,
} from "../model/commands";
import type { Mode, View } from "../model/view";
import { nextTheme } from "./theme";

export interface Key {
  keys: string[];
  help: string;
  /** Acts on the view; `root` is the element that shows it. */
  run: (view: View, root: Element | null) => void;
}

const page = 20;

export const KEYS: Key[] = [
  { keys: ["j", "ArrowDown"], help: "next row", run: (view) => moveRow(view, 1) },
  { keys: ["k", "ArrowUp"], help: "previous row", run: (view) => moveRow(view, -1) },
  { keys: ["PageDown"], help: "a page down", run: (view) => moveRow(view, page) },
  { keys: ["PageUp"], help: "a page up", run: (view) => moveRow(view, -page) },
  { keys: ["Home"], help: "first row", run: (view) => moveRow(view, -Infinity) },
  { keys: ["End"], help: "last row", run: (view) => moveRow(view, Infinity) },
  { keys: ["h", "ArrowLeft"], help: "fold, or go to the parent", run: (view) => fold(view, false) },
  {
    keys: ["l", "ArrowRight"],
    help: "unfold, or go to the first child",
    run: (view) => fold(view, true),
  },
  {
    keys: ["Enter"],
    help: "details; in the errors, go to the span",
    run: (view) => {
      if (view.mode.value === "errors") goTo(view, view.selected.value);
      else view.detailsOpen.value = !view.detailsOpen.value;
    },
  },
  {
    keys: ["p"],
    help: "root of all",
    run: (view) => select(view, view.trace.value?.roots[0] ?? -1),
  },
  { keys: ["e"], help: "next error", run: (view) => step(view, true, "error") },
  { keys: ["E"], help: "previous error", run: (view) => step(view, false, "error") },
  { keys: ["r"], help: "next open span", run: (view) => step(view, true, "open") },
  { keys: ["R"], help: "previous open span", run: (view) => step(view, false, "open") },
  { keys: ["n"], help: "next match", run: (view) => step(view, true, "match") },
  { keys: ["N"], help: "previous match", run: (view) => step(view, false, "match") },
  {
    keys: ["/"],
    help: "search; Enter goes to the first match, Esc back to the rows",
    run: (_, root) => focusSearch(root),
  },
  { keys: ["w"], help: "zoom in", run: (view) => zoomBy(view, 0.7) },
  { keys: ["s"], help: "zoom out", run: (view) => zoomBy(view, 1 / 0.7) },
  { keys: ["a"], help: "earlier", run: (view) => panBy(view, -0.15) },
  { keys: ["d"], help: "later", run: (view) => panBy(view, 0.15) },
  { keys: ["A"], help: "much earlier", run: (view) => panBy(view, -0.6) },
  { keys: ["D"], help: "much later", run: (view) => panBy(view, 0.6) },
  { keys: ["z"], help: "zoom to the span", run: (view) => zoomToSpan(view, view.selected.value) },
  {
    keys: ["Z", "0"],
    help: "all of the time",
    run: (view) => {
      view.zooms.value = [];
    },
  },
  { keys: ["."], help: "follow what goes on; again: all of the time", run: follow },
  { keys: ["x"], help: "fold all", run: (view) => foldToDepth(view, 0) },
  {
    keys: ["X"],
    help: "unfold all",
    run: unfoldAll,
  },
  {
    keys: ["i"],
    help: "this subtree alone, and back",
    run: (view) => {
      view.top.value = view.top.value >= 0 ? -1 : view.selected.value;
    },
  },
  {
    keys: ["c"],
    help: "critical path",
    run: (view) => {
      view.showCritical.value = !view.showCritical.value;
    },
  },
  { keys: ["v"], help: "next view", run: nextMode },
  { keys: ["f"], help: "flame graph, and back", run: (view) => toggleMode(view, "flame") },
  { keys: ["J", "]"], help: "next trace", run: (view) => openTrace(view, view.traceAt.value + 1) },
  {
    keys: ["K", "["],
    help: "previous trace",
    run: (view) => openTrace(view, view.traceAt.value - 1),
  },
  {
    keys: ["y"],
    help: "copy the span's id",
    run: (view) => copy(view, view.trace.value?.ids[view.selected.value] ?? "", "the span's id"),
  },
  {
    keys: ["Y"],
    help: "copy a link to this view",
    run: (view) => copy(view, location.href, "a link"),
  },
  { keys: ["t"], help: "light, dark, as the system", run: nextTheme },
  {
    keys: ["?"],
    help: "these keys",
    run: (view) => {
      view.helpOpen.value = !view.helpOpen.value;
    },
  },
  { keys: ["Escape"], help: "one step back", run: back },
];

const BY_KEY = new Map(KEYS.flatMap((key) => key.keys.map((name): [string, Key] => [name, key])));
const GO = new Map<string, Mode>([
  ["t", "traces"],
  ["w", "waterfall"],
  ["f", "flame"],
  ["a", "table"],
  ["l", "logs"],
  ["e", "errors"],
]);
const NO_TEXT = /^(checkbox|radio|button|submit|reset|range|color|file|image)$/;

/**
 * Returns a handler of key presses; it remembers a `g` for the key after it.
 *
 * It acts at once, so that what is typed after `/` is in the search.
 */
export function keyHandler(view: View, root: () => Element | null): (event: KeyboardEvent) => void {
  let went = false;
  return (event) => {
    const target = event.target instanceof HTMLElement ? event.target : null;
    if (event.key === "f" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault(); // the browser's own search does not find rows out of sight
      focusSearch(root());
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (isTextField(target)) {
      if (event.key !== "Escape") return;
      event.preventDefault(); // a search field would clear its text
      view.hasLeftSearch = target?.matches(SEARCH) ?? false;
      focusRows(root(), target);
      return;
    }
    const onButton = target?.closest("button, a, summary, [role=tab]");
    if (onButton && (event.key === "Enter" || event.key === " ")) return;
    if (target?.closest("[role=separator]") && event.key.startsWith("Arrow")) return;
    if (view.helpOpen.value && event.key !== "?" && event.key !== "Escape") return;
    if (view.mode.value === "traces" && inTraces(view, event.key)) {
      event.preventDefault();
      return;
    }
    const mode = went ? GO.get(event.key) : undefined;
    went = event.key === "g";
    if (mode) view.mode.value = mode;
    else if (/^[1-9]$/.test(event.key)) foldToDepth(view, Number(event.key));
    else {
      const key = BY_KEY.get(event.key);
      if (!key) return;
      key.run(view, root());
    }
    view.hasLeftSearch = false;
    event.preventDefault();
  };
}

const SEARCH = ".search > input";

function isTextField(element: HTMLElement | null): boolean {
  if (!element) return false;
  if (element instanceof HTMLInputElement) return !NO_TEXT.test(element.type);
  return /^(SELECT|TEXTAREA)$/.test(element.tagName);
}

function focusSearch(root: Element | null): void {
  const field = root?.querySelector<HTMLInputElement>(SEARCH);
  field?.focus();
  field?.select();
}

/** Leaves a field for the rows, where the keys work. */
export function focusRows(root: Element | null, field: HTMLElement | null): void {
  field?.blur();
  root?.querySelector<HTMLElement>(".rows")?.focus({ preventScroll: true });
}

/** Handles the keys that mean another thing in the list of traces; returns whether it did. */
function inTraces(view: View, key: string): boolean {
  const by = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1, Home: -Infinity, End: Infinity }[key];
  if (by === undefined) {
    if (key === "Enter") openTrace(view, view.traceAt.value);
    return key === "Enter";
  }
  const shown = view.shownTraces.value;
  const at = Math.min(Math.max(shown.indexOf(view.traceAt.value) + by, 0), shown.length - 1);
  openTrace(view, shown[at] ?? -1, "traces");
  return true;
}

function toggleMode(view: View, mode: Mode): void {
  view.mode.value = view.mode.value === mode ? "waterfall" : mode;
}
