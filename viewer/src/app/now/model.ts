/** What runs now: rows that keep their places while the reader looks at them. */

import { computed, signal } from "@preact/signals";
import type { ProcessNow, Running, RunningSpan } from "../../live/contract";
import type { Node } from "../../search/nodes";
import { matchesRunning } from "./matchRunning";

/** A running span, or one that has ended and keeps its place for a moment. */
export interface NowRow {
  key: string;
  span: RunningSpan;
  /** Whether it does not run any more. */
  isGone: boolean;
}

/** How long a span that ended keeps its place. */
const LINGER_MS = 1_200;
/** How long it has run then: shorter ones were not read, and would hide what runs. */
const READ_NS = 1e9;
const HANGING: ReadonlySet<string> = new Set(["stalled", "blocked", "hung"]);

export class NowModel {
  readonly running = signal<Running | null>(null);
  readonly processes = signal<ReadonlyMap<string, ProcessNow>>(new Map());
  /** How many spans hang, for the tab. */
  readonly stalled = computed(() => {
    let sum = 0;
    for (const one of this.processes.value.values()) sum += one.stalled;
    return sum;
  });
  /** All rows, in the order in which they are shown. */
  readonly rows = signal<NowRow[]>([]);
  readonly chosen = signal("");
  /** Whether the reader looks at the rows, so that none may move. */
  readonly isHeld = signal(false);
  /** How many rows would be in other places. */
  readonly moved = signal(0);
  private sequence = 0;
  private readonly goneAt = new Map<string, number>();

  constructor(private readonly time: () => number = () => performance.now()) {}

  take(running: Running): void {
    if (running.sequence < this.sequence) return;
    this.sequence = running.sequence;
    this.running.value = running;
    this.takeProcesses(running.processes);
    this.arrange();
  }

  /** Takes the next answer whatever its number is: the numbers begin again. */
  countAgain(): void {
    this.sequence = 0;
  }

  takeProcesses(processes: ProcessNow[]): void {
    this.processes.value = new Map(processes.map((process) => [process.id, process]));
  }

  /** Puts the rows in order again, unless the reader looks at them. */
  arrange(isAsked = false): void {
    const wanted = new Map(this.ordered().map((span) => [keyOf(span), span]));
    const now = this.time();
    const stay: NowRow[] = [];
    for (const row of this.rows.peek()) {
      const span = wanted.get(row.key);
      if (span) {
        this.goneAt.delete(row.key);
        stay.push({ key: row.key, span, isGone: false });
        continue;
      }
      const since = this.goneAt.get(row.key) ?? now;
      this.goneAt.set(row.key, since);
      const isKept =
        !isAsked && (this.isHeld.peek() || (row.span.age_ns >= READ_NS && now - since < LINGER_MS));
      if (isKept) stay.push({ ...row, isGone: true });
      else this.goneAt.delete(row.key);
    }
    const known = new Set(stay.map((row) => row.key));
    const added = [...wanted].filter(([key]) => !known.has(key));
    const kept = [...stay, ...added.map(([key, span]) => ({ key, span, isGone: false }))];
    const inOrder = sorted(kept, [...wanted.keys()]);
    const moved = inOrder.filter((row, at) => kept[at]?.key !== row.key).length;
    const holds = this.isHeld.peek() && !isAsked;
    this.moved.value = holds ? moved : 0;
    this.rows.value = holds ? kept : inOrder;
  }

  /** Says whether the reader looks at the rows. */
  hold(isHeld: boolean): void {
    if (this.isHeld.peek() === isHeld) return;
    this.isHeld.value = isHeld;
    if (!isHeld) this.arrange();
  }

  /** Returns the rows that are found, only of roots if that is set. */
  shown(rows: NowRow[], node: Node | null, onlyRoots: boolean, process: string, now: bigint) {
    return rows.filter(({ span }) => {
      if (onlyRoots && !span.root) return false;
      if (process && span.process !== process) return false;
      const ageNs = Number(now - span.start_ns);
      const at = this.processes.value.get(span.process);
      return !node || matchesRunning(node, { span, process: at, ageNs });
    });
  }

  /** Returns the spans, those that hang first, then the oldest; children below their parents. */
  private ordered(): RunningSpan[] {
    const spans = this.running.peek()?.spans ?? [];
    const rank = (span: RunningSpan) => (HANGING.has(span.state) ? 0 : 1);
    return [...spans].sort(
      (one, other) =>
        rank(one) - rank(other) || Number(one.start_ns - other.start_ns) || one.depth - other.depth,
    );
  }
}

export function keyOf(span: RunningSpan): string {
  return `${span.trace_id} ${span.span_id}`;
}

/** Returns rows in the wanted order; those that are gone stay below the row that they are below. */
function sorted(rows: NowRow[], wanted: string[]): NowRow[] {
  const after = new Map<string, NowRow[]>();
  let last = "";
  for (const row of rows) {
    if (row.isGone) after.set(last, [...(after.get(last) ?? []), row]);
    else last = row.key;
  }
  const byKey = new Map(rows.map((row) => [row.key, row]));
  return [
    ...(after.get("") ?? []),
    ...wanted.flatMap((key) => {
      const row = byKey.get(key);
      return row ? [row, ...(after.get(key) ?? [])] : [];
    }),
  ];
}
