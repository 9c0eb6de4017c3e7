/**
 * The merge rule: picks the one record of a span that the viewer shows.
 *
 * A real end beats an abandoned end beats an update beats a start. The winner is the greatest
 * by one total order, so it depends neither on the order of arrival nor on repetition. Python
 * and SQL follow the same order and the same cases: tests/cases/merge/.
 */

/** A record as on a line of a file. Nothing in its metadata is trusted. */
export interface FileRecord {
  __tracer_meta__: { [key: string]: unknown };
}

/** The sort key of the records of one span; the greatest wins. */
export interface Rank {
  standing: number;
  /** RFC 3339 in UTC with six digits, so that the order of the texts is that of the times. */
  time: string;
  seq: number;
  process: string;
}

interface Kept<R> {
  record: R;
  rank: Rank;
}

const START = 0;
const UPDATE = 1;
const ABANDONED_END = 2;
const REAL_END = 3;

/** The time of a record whose timestamp is not valid. */
const EPOCH = "1970-01-01T00:00:00.000000Z";
const FORM = /^(?!0000)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;

/** Returns the sort key of a record among the records of its span. */
export function rankOf({ __tracer_meta__: meta }: FileRecord): Rank {
  const { timestamp, seq, process } = meta;
  return {
    standing: standingOf(meta.phase, meta.abandoned),
    time: isTime(timestamp) ? timestamp : EPOCH,
    seq: Number.isInteger(seq) ? (seq as number) : 0,
    process: String(process),
  };
}

/**
 * Returns a number above 0 if the first of two keys is the greater one, below 0 if the second
 * is, and 0 for copies.
 *
 * Among ends the later time wins: a span that was open at a fork, and that two processes ended,
 * was open until the last of them ended it. Among updates and starts the higher `seq` wins, even
 * where the clock was set back. Ties are decided by the other of the two, then by the process.
 */
export function compareRanks(one: Rank, other: Rank): number {
  if (one.standing !== other.standing) return one.standing - other.standing;
  const bySeq = one.seq - other.seq;
  const byTime = compareTexts(one.time, other.time);
  const first = one.standing < ABANDONED_END ? bySeq || byTime : byTime || bySeq;
  return first || compareTexts(one.process, other.process);
}

/**
 * Compares texts by their code points, which is the order of their bytes in UTF-8 and the order
 * of Python. JavaScript itself compares halves of characters beyond U+FFFF.
 */
export function compareTexts(one: string, other: string): number {
  if (one === other) return 0;
  let at = 0;
  while (at < one.length && at < other.length) {
    const point = one.codePointAt(at) as number;
    const difference = point - (other.codePointAt(at) as number);
    if (difference !== 0) return difference;
    at += point > 0xffff ? 2 : 1;
  }
  return one.length - other.length;
}

/**
 * Takes records one by one, in any order, and keeps the winning one of each span.
 *
 * Holds one record for each span, as a whole: fields of different records are never mixed.
 */
export class Merger<R extends FileRecord = FileRecord> {
  // By trace, then by span: a joined key could be the same for different ids.
  private readonly traces = new Map<string, Map<string, Kept<R>>>();
  private count = 0;

  /** The number of spans. */
  get size(): number {
    return this.count;
  }

  /**
   * Adds one record.
   *
   * Returns whether the result changed: the span is new, or the record beats the one that was
   * kept. False for records of other kinds, such as a log that names a span.
   */
  add(record: R): boolean {
    const meta = record.__tracer_meta__;
    if (meta.kind !== "span") return false;
    const traceId = String(meta.trace_id);
    const spanId = String(meta.span_id);
    const spans: Map<string, Kept<R>> = this.traces.get(traceId) ?? new Map();
    const kept = spans.get(spanId);
    const rank = rankOf(record);
    if (kept && compareRanks(rank, kept.rank) <= 0) return false;
    if (!kept) this.count++;
    spans.set(spanId, { record, rank });
    this.traces.set(traceId, spans);
    return true;
  }

  /** Yields the ids of the traces, in the order of their first records. */
  traceIds(): IterableIterator<string> {
    return this.traces.keys();
  }

  /** Returns the winning records of a trace, in the order of the first records of their spans. */
  recordsOf(traceId: string): R[] {
    return [...(this.traces.get(traceId)?.values() ?? [])].map((kept) => kept.record);
  }
}

function standingOf(phase: unknown, abandoned: unknown): number {
  if (phase === "end") return abandoned == null ? REAL_END : ABANDONED_END;
  return phase === "update" ? UPDATE : START;
}

/** Whether a value is a timestamp in its one form, of a day and hour that exist. */
function isTime(value: unknown): value is string {
  if (typeof value !== "string" || !FORM.test(value)) return false;
  const second = value.slice(0, 19);
  // `Date` takes the 30th of February as a day of March, and so gives another text back.
  const time = Date.parse(`${second}Z`);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(second);
}
