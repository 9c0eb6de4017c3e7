/** What the states of spans mean: which is worst, which are open, how each is searched for. */

import { STATES, type State } from "../data/contract";

/** The worst first; the state of a trace is the worst of its spans. */
const WORST: readonly State[] = [
  ...(["error", "abandoned", "lost", "hung", "blocked", "stalled"] as const),
  ...(["cancelled", "running", "open", "ended", "missing"] as const),
];

/** States in which a span may still end. */
export const OPEN: ReadonlySet<State> = new Set(["running", "stalled", "blocked", "hung", "open"]);

/** Returns the worst state of which there is one; counts are by the numbers of `STATES`. */
export function worstOf(counts: ArrayLike<number>): State {
  return WORST.find((state) => (counts[STATES.indexOf(state)] ?? 0) > 0) ?? "missing";
}

/** Returns the search for spans of a state; `open` is no word of the terminal's grammar. */
export function searchFor(state: State): string {
  return state === "open" ? "has:age not (running or stalled or blocked or hung or lost)" : state;
}
