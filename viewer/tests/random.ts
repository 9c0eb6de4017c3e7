/** Numbers for tests that look random and are the same in each run. */

/** Returns a function that gives a whole number from 0 to below `below`. */
export function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 48271) % 2147483647;
    return state % below;
  };
}

/** Returns the values in another order. */
export function shuffled<T>(values: readonly T[], roll: (below: number) => number): T[] {
  const found = [...values];
  for (let at = found.length - 1; at > 0; at--) {
    const other = roll(at + 1);
    [found[at], found[other]] = [found[other] as T, found[at] as T];
  }
  return found;
}
