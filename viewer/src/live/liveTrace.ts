/** `LiveTrace`: the spans of one trace as they arrive, and the trace that they make. */

import type { Process, Trace } from "../model/trace";
import type { LiveColumns, LiveTraceAnswer } from "./traceAnswer";
import { type LiveSpan, type Stored, type StoredLog, traceSteps } from "./traceBuild";

/** Keeps spans and logs by their ids; a later answer replaces what an earlier one said. */
export class LiveTrace {
  /** The last change that is held. */
  sequence = 0;
  baseNs = 0n;
  zone = "+00:00";
  note = "";
  /** How many spans the server has, and how many of them it does not send. */
  total = 0;
  leftOut = 0;
  private readonly strings: string[] = [];
  private readonly numbers = new Map<string, number>();
  private readonly processes: Process[] = [];
  private readonly processNumbers = new Map<string, number>();
  private readonly spans = new Map<string, LiveSpan>();
  private readonly logs = new Map<string, StoredLog>();

  constructor(readonly id: string) {}

  get count(): number {
    return this.spans.size;
  }

  /** Takes what changed; returns the ids of the spans, of which some may be as before. */
  apply(answer: LiveTraceAnswer): string[] {
    // An older base, where one server reads what another wrote, would move all times.
    const base = BigInt(answer.base_ns);
    if (this.count === 0) this.baseNs = base;
    const shift = Number(base - this.baseNs);
    this.sequence = Math.max(this.sequence, answer.sequence);
    this.zone = answer.zone;
    this.note = answer.note;
    this.total = answer.total;
    this.leftOut = answer.left_out;
    const texts = Int32Array.from(answer.strings, (text) => this.numberOf(text));
    const processes = answer.processes.map((one) => {
      const of = (index: number) => answer.strings[index] ?? "";
      return this.process({
        id: of(one.id),
        label: of(one.label),
        service: of(one.service),
        state: one.state,
      });
    });
    takeSpans(answer.spans, texts, processes, shift, this.spans);
    for (const [span, time, level, text, attributes, id] of answer.logs) {
      const of = (index: number) => (index < 0 ? -1 : (texts[index] ?? -1));
      this.logs.set(id, {
        span,
        time: time + shift,
        level: of(level),
        text: of(text),
        attributes: of(attributes),
      });
    }
    return answer.spans.id;
  }

  /** Returns the trace. */
  build(): Trace {
    const steps = this.steps();
    for (;;) {
      const step = steps.next();
      if (step.done) return step.value;
    }
  }

  /** Makes the trace in steps, between which the page can draw; see `traceSteps`. */
  steps(isEarly = false): Generator<Trace | null, Trace> {
    const stored: Stored = {
      traceId: this.id,
      note: this.note,
      leftOut: this.leftOut,
      strings: [...this.strings],
      processes: [...this.processes],
      spans: this.spans.values(),
      logs: [...this.logs.values()],
    };
    return traceSteps(stored, isEarly);
  }

  private numberOf(text: string): number {
    const known = this.numbers.get(text);
    if (known !== undefined) return known;
    const number = this.strings.push(text) - 1;
    this.numbers.set(text, number);
    return number;
  }

  private process(process: Process): number {
    const known = this.processNumbers.get(process.id);
    const number = known ?? this.processes.length;
    this.processes[number] = process;
    this.processNumbers.set(process.id, number);
    return number;
  }
}

function takeSpans(
  columns: LiveColumns,
  texts: Int32Array,
  processes: number[],
  shift: number,
  spans: Map<string, LiveSpan>,
): void {
  const text = (index: number | undefined) =>
    index === undefined || index < 0 ? -1 : (texts[index] ?? -1);
  columns.id.forEach((id, at) => {
    const end = columns.end[at] ?? null;
    spans.set(id, {
      id,
      parent: columns.parent[at] ?? "",
      start: (columns.start[at] ?? 0) + shift,
      end: end === null ? null : end + shift,
      until: (columns.until[at] ?? 0) + shift,
      name: text(columns.name[at]),
      state: columns.state[at] ?? 0,
      kind: columns.kind[at] ?? 0,
      process: processes[columns.process[at] ?? 0] ?? 0,
      line: columns.line[at] ?? 0,
      error: text(columns.error[at]),
      file: text(columns.file[at]),
      function: text(columns.function[at]),
      where: text(columns.where[at]),
      cause: text(columns.cause[at]),
      thread: text(columns.thread[at]),
      task: text(columns.task[at]),
    });
  });
}
