/** The switch of the time that a table is about. */

import { useApp } from "../context";

/** Their names, and how many minutes they are long; 0 for all times. */
const PERIODS: readonly [string, number][] = [
  ["last 15 min", 15],
  ["last 1 h", 60],
  ["last 24 h", 1_440],
  ["all", 0],
];
/** What the server shows unless it is asked for another. */
const USUAL = 60;
const MINUTE = 60_000_000_000n;

export function Period() {
  const { navigation, clock } = useApp();
  const { since, minutes } = navigation.route.value.query;
  const chosen = since ? Number(minutes ?? -1) : USUAL;
  return (
    <span class="chips" role="group" aria-label="Time">
      {PERIODS.map(([name, length]) => (
        <button
          key={name}
          type="button"
          class="chip"
          aria-pressed={chosen === length}
          onClick={() => {
            // The first nanosecond, since 0 is what is not set.
            const from = length === 0 ? 1n : clock.now() - BigInt(length) * MINUTE;
            const isUsual = length === USUAL;
            navigation.set(
              {
                since: isUsual ? "" : String(from),
                minutes: isUsual ? "" : String(length),
              },
              true,
            );
          }}
        >
          {name}
        </button>
      ))}
    </span>
  );
}
