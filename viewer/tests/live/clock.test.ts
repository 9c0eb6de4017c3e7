/** The server's time goes on between answers, and stands still when the server is away. */

import { expect, test } from "vitest";
import { Clock } from "../../src/live/clock";

let passed = 0;
const made = () => new Clock(() => passed);

test("it goes on from what an answer said, whatever the browser's clock says", () => {
  passed = 5_000;
  const clock = made();
  expect(clock.isKnown).toBe(false);
  expect(clock.now()).toBe(0n);
  clock.set(1_000_000_000n);
  passed += 250;
  expect(clock.now()).toBe(1_250_000_000n);
});

test("a late answer does not set it back, a clock that was set back does", () => {
  const clock = made();
  clock.set(10_000_000_000n);
  passed += 100;
  clock.set(10_020_000_000n); // 80 ms on the way
  expect(clock.now()).toBe(10_100_000_000n);
  clock.set(4_000_000_000n);
  expect(clock.now()).toBe(4_000_000_000n);
});

test("it stands still until the next answer, and publishes itself when it is asked to", () => {
  const clock = made();
  clock.set(1_000n);
  clock.stop();
  passed += 1_000;
  clock.beat();
  expect(clock.tick.value).toBe(1_000n);
  clock.set(2_000n);
  passed += 1;
  clock.beat();
  expect(clock.tick.value).toBe(1_002_000n);
});
