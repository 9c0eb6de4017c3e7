/** Histogram, operations, errors and comparison of the demo server. */

import { ns, type Summary } from "./answers";
import type { Store, StoredSpan } from "./store";

export function histogramOf(
  store: Store,
  summaries: Summary[],
  buckets: number,
  since: bigint | null,
  until: bigint | null,
) {
  const starts = summaries.map((one) => BigInt(one.start_ns));
  const from = since ?? [...starts].sort((a, b) => Number(a - b))[0] ?? BigInt(ns(store, 0));
  const to = until ?? BigInt(ns(store, store.now()));
  const width = Number(to - from) / buckets || 1;
  const traces = new Array<number>(buckets).fill(0);
  const errors = new Array<number>(buckets).fill(0);
  summaries.forEach((one, at) => {
    const place = Math.min(buckets - 1, Math.floor(Number((starts[at] ?? 0n) - from) / width));
    if (place < 0) return;
    traces[place] = (traces[place] ?? 0) + 1;
    if (one.errors > 0) errors[place] = (errors[place] ?? 0) + 1;
  });
  return {
    from_ns: String(from),
    to_ns: String(to),
    width_ns: width,
    traces,
    errors,
    sampled: false,
  };
}

export function operationsOf(store: Store) {
  const groups = new Map<string, StoredSpan[]>();
  for (const span of spansOf(store)) {
    const key = `${span.process.split("-")[0]}\n${span.name}\n${span.kind}`;
    const group = groups.get(key);
    if (group) group.push(span);
    else groups.set(key, [span]);
  }
  const operations = [...groups].map(([key, spans]) => {
    const [service = "", name = "", kind = "internal"] = key.split("\n");
    const ended = spans.filter((span) => span.end !== null);
    const durations = ended.map((span) => (span.end ?? 0) - span.start).sort((a, b) => a - b);
    const at = (part: number) => durations[Math.ceil(durations.length * part) - 1] ?? null;
    const buckets: [number, number][] = Array.from({ length: 24 }, (_, power) => [
      1e5 * 2 ** power,
      durations.filter(
        (one) => one <= 1e5 * 2 ** power && (power === 0 || one > 1e5 * 2 ** (power - 1)),
      ).length,
    ]);
    return {
      service,
      name,
      kind,
      count: spans.length,
      errors: spans.filter((span) => span.state === "error").length,
      open: spans.length - ended.length,
      p50_ns: at(0.5),
      p95_ns: at(0.95),
      p99_ns: at(0.99),
      max_ns: at(1),
      total_ns: durations.reduce((sum, one) => sum + one, 0),
      last: spans.at(-1)?.trace ?? null,
      buckets,
    };
  });
  return { from_ns: ns(store, -1e12), to_ns: ns(store, store.now()), operations };
}

export function errorsOf(store: Store) {
  const groups = new Map<string, StoredSpan[]>();
  for (const span of spansOf(store)) {
    if (span.state !== "error" || !span.error) continue;
    groups.set(`${span.name} ${span.error}`, [
      ...(groups.get(`${span.name} ${span.error}`) ?? []),
      span,
    ]);
  }
  const errors = [...groups.values()].map((spans) => {
    const last = spans.at(-1) as StoredSpan;
    const [type = "", text = ""] = (last.error ?? "").split(": ");
    return {
      type,
      text,
      service: last.process.split("-")[0],
      name: last.name,
      place: last.place?.split(" ")[0] ?? "",
      count: spans.length,
      first_ns: ns(store, spans[0]?.start ?? 0),
      last_ns: ns(store, last.start),
      trace_id: last.trace,
      span_id: last.id,
    };
  });
  return { errors: errors.sort((one, other) => other.count - one.count) };
}

export function comparisonOf(store: Store, a: string, b: string) {
  const sums = (trace: string) => {
    const found = new Map<string, { calls: number; self_ns: number }>();
    for (const span of store.traces.get(trace)?.values() ?? []) {
      const key = `${span.process.split("-")[0]}\n${span.name}`;
      const sum = found.get(key) ?? { calls: 0, self_ns: 0 };
      sum.calls += 1;
      sum.self_ns += (span.end ?? span.start) - span.start;
      found.set(key, sum);
    }
    return found;
  };
  const [before, after] = [sums(a), sums(b)];
  const differences = [...new Set([...before.keys(), ...after.keys()])].map((key) => {
    const [one, other] = [before.get(key) ?? null, after.get(key) ?? null];
    const self_ns = (other?.self_ns ?? 0) - (one?.self_ns ?? 0);
    const word = self_ns > 0 ? "slower" : "faster";
    const [service, name] = key.split("\n");
    return {
      service,
      name,
      change: one ? (other ? word : "gone") : "new",
      before: one,
      after: other,
      self_ns,
      share: 0,
    };
  });
  differences.sort((one, other) => Math.abs(other.self_ns) - Math.abs(one.self_ns));
  const self_ns = differences.reduce((sum, one) => sum + one.self_ns, 0);
  return { traces_before: 1, traces_after: 1, self_ns, differences };
}

function* spansOf(store: Store): Generator<StoredSpan> {
  for (const spans of store.traces.values()) if (spans.size < 10_000) yield* spans.values();
}
