/** Of the records of a span those win that the cases of Python's tests name, in any order. */

// @vitest-environment node

import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { compareRanks, compareTexts, type FileRecord, Merger, rankOf } from "../../src/model/merge";
import { dice, shuffled } from "../random";

interface Case {
  about: string;
  records: FileRecord[];
  winners: number[];
}

const FOLDER = "../tests/cases/merge";
const CASES = readdirSync(FOLDER)
  .filter((name) => name.endsWith(".json"))
  .sort()
  .map((name): [string, Case] => [name, JSON.parse(readFileSync(`${FOLDER}/${name}`, "utf-8"))]);

function merged(records: FileRecord[]): FileRecord[] {
  const merger = new Merger();
  for (const record of records) merger.add(record);
  const found = [...merger.traceIds()].flatMap((traceId) => merger.recordsOf(traceId));
  expect(merger.size).toBe(found.length);
  return found;
}

/** Returns the contents of records, so that sets of them can be compared. */
function contents(records: FileRecord[]): string[] {
  return records.map((record) => JSON.stringify(record)).sort();
}

test("there are cases", () => {
  expect(CASES.length).toBeGreaterThanOrEqual(24);
});

describe.each(CASES)("%s", (_, { records, winners }) => {
  const expected = contents(winners.map((at) => records[at] as FileRecord));

  test("in the given order", () => {
    expect(contents(merged(records))).toEqual(expected);
  });

  test("backward and shuffled", () => {
    expect(contents(merged([...records].reverse()))).toEqual(expected);
    const roll = dice(7);
    for (let round = 0; round < 50; round++) {
      expect(contents(merged(shuffled(records, roll)))).toEqual(expected);
    }
  });

  test("all of them twice", () => {
    expect(contents(merged([...records, ...records]))).toEqual(expected);
    expect(contents(merged(records.flatMap((record) => [record, record])))).toEqual(expected);
  });
});

function record(changes: { [key: string]: unknown }): FileRecord {
  const timestamp = "2026-11-20T16:00:01.000000Z";
  const ids = { trace_id: "t", span_id: "s", process: "p" };
  return {
    __tracer_meta__: { timestamp, kind: "span", phase: "start", seq: 1, ...ids, ...changes },
  };
}

test("adding says whether the result changed", () => {
  const merger = new Merger();
  expect(merger.add(record({}))).toBe(true);
  expect(merger.add(record({ phase: "update", seq: 5 }))).toBe(true);
  expect(merger.add(record({ phase: "update", seq: 5 }))).toBe(false);
  expect(merger.add(record({ phase: "update", seq: 4 }))).toBe(false);
  expect(merger.add(record({ kind: "log", phase: undefined }))).toBe(false);
  expect(merger.size).toBe(1);
});

test("ids that look the same when they are joined are of different spans", () => {
  expect(
    merged([record({ trace_id: "a b" }), record({ trace_id: "a", span_id: "b s" })]),
  ).toHaveLength(2);
});

test.each([
  undefined,
  null,
  5,
  "soon",
  "2026-02-30T00:00:00.000000Z",
  "2026-11-20T24:00:00.000000Z",
  "2026-11-20T16:00:60.000000Z",
  "0000-11-20T16:00:00.000000Z",
  "2026-11-20T16:00:00.000000Z\n",
  "2026-11-20T16:00:00.000Z",
])("%j is not a time, and counts as the first of 1970", (timestamp) => {
  expect(rankOf(record({ timestamp })).time).toBe("1970-01-01T00:00:00.000000Z");
});

test.each(["0001-01-01T00:00:00.000000Z", "2024-02-29T23:59:59.999999Z"])(
  "%s is a time",
  (time) => {
    expect(rankOf(record({ timestamp: time })).time).toBe(time);
  },
);

test.each(["10", 1.5, true, null, Number.POSITIVE_INFINITY])("a seq of %j counts as 0", (seq) => {
  expect(rankOf(record({ seq })).seq).toBe(0);
});

test("texts compare as their bytes in UTF-8", () => {
  const bytes = new TextEncoder();
  const texts = ["", "A", "Z", "a", "a1", "é", "\u{d7ff}", "\u{e000}", "\u{ffff}", "\u{10000}"];
  texts.push(...texts.map((text) => `\u{1f600}${text}`));
  for (const one of texts) {
    for (const other of texts) {
      const expected = Buffer.compare(bytes.encode(one), bytes.encode(other));
      expect(Math.sign(compareTexts(one, other))).toBe(expected);
    }
  }
});

test("one order for all records, whatever they are", () => {
  const roll = dice(3);
  const ranks = Array.from({ length: 60 }, () =>
    rankOf(
      record({
        phase: ["start", "update", "end"][roll(3)],
        abandoned: [undefined, "shutdown"][roll(2)],
        timestamp: `2026-11-20T16:00:0${roll(3)}.000000Z`,
        seq: roll(3),
        process: "pq"[roll(2)],
      }),
    ),
  );
  const sorted = [...ranks].sort(compareRanks);
  sorted.forEach((low, at) => {
    for (const high of sorted.slice(at)) {
      expect(compareRanks(low, high)).toBeLessThanOrEqual(0);
      expect(Math.sign(compareRanks(high, low))).toBe(-Math.sign(compareRanks(low, high)) + 0);
    }
  });
});
