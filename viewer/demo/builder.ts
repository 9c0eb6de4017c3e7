/** Writes documents for the demo and for tests. */

import {
  type Attributes,
  FORMAT,
  KINDS,
  type Kind,
  type LogEntry,
  type PathEntry,
  type ProcessState,
  type SpanDetails,
  STATES,
  type State,
  type TracesDocument,
} from "../src/data/contract";

export interface NewSpan {
  name: string;
  parent?: number;
  state?: State;
  kind?: Kind;
  process?: number;
  start: number;
  end: number | null;
  until?: number;
  error?: string;
  cause?: string;
  place?: [string, number, string];
  where?: string;
  details?: SpanDetails;
}

/** Collects spans and logs of several traces. */
export class Builder {
  private readonly strings: string[] = [];
  private readonly indexes = new Map<string, number>();
  private readonly processes: TracesDocument["processes"] = [];
  private readonly traces: TracesDocument["traces"] = [];
  private readonly entries: { [name: string]: SpanDetails[] } = {};
  private spans: NewSpan[] = [];
  private logs: LogEntry[] = [];

  process(id: string, service: string, state: ProcessState = "unknown"): number {
    return (
      this.processes.push({
        id: this.text(id),
        label: this.text(`${service} (${id})`),
        service: this.text(service),
        state,
      }) - 1
    );
  }

  /** Adds a span; returns its number. */
  span(span: NewSpan): number {
    return this.spans.push(span) - 1;
  }

  log(span: number, time: number, level: string, text: string, attributes?: Attributes): void {
    const json = attributes ? this.text(JSON.stringify(attributes)) : -1;
    this.logs.push([span, time, this.text(level), this.text(text), json]);
  }

  /** Ends a trace: what was added since the last one belongs to it. */
  trace(id: string, note = "", leftOut = 0, paths: PathEntry[] = []): void {
    const { spans } = this;
    const optional = (text: string | undefined) => (text ? this.text(text) : -1);
    const covered = new Float64Array(spans.length);
    const until = spans.map((span) => span.until ?? span.end ?? span.start);
    spans.forEach((span, at) => {
      const parent = span.parent ?? -1;
      if (parent >= 0) covered[parent] = (covered[parent] ?? 0) + (until[at] ?? 0) - span.start;
    });
    const details = `chunk-${this.traces.length}`;
    const entries = spans.map((span) => span.details ?? null);
    this.entries[details] = entries;
    this.traces.push({
      trace_id: id,
      note,
      left_out: leftOut,
      spans: {
        id: spans.map((_, at) => (at * 2654435761 + 1).toString(16).padStart(16, "0").slice(-16)),
        parent: spans.map((span) => span.parent ?? -1),
        name: spans.map((span) => this.text(span.name)),
        state: spans.map((span) => STATES.indexOf(span.state ?? "ended")),
        kind: spans.map((span) => KINDS.indexOf(span.kind ?? "internal")),
        process: spans.map((span) => span.process ?? 0),
        start: spans.map((span) => span.start),
        end: spans.map((span) => span.end),
        until,
        self: spans.map((span, at) =>
          Math.max((until[at] ?? 0) - span.start - (covered[at] ?? 0), 0),
        ),
        error: spans.map((span) => optional(span.error)),
        file: spans.map((span) => optional(span.place?.[0])),
        line: spans.map((span) => span.place?.[1] ?? 0),
        function: spans.map((span) => optional(span.place?.[2])),
        cause: spans.map((span) => optional(span.cause)),
        where: spans.map((span) => optional(span.where)),
      },
      paths,
      logs: this.logs,
      details,
    });
    this.spans = [];
    this.logs = [];
  }

  async document(): Promise<TracesDocument> {
    const chunks: { [name: string]: string } = {};
    for (const [name, entries] of Object.entries(this.entries))
      chunks[name] = await deflate(entries);
    return {
      format: FORMAT,
      version: 1,
      base_ns: "1795967377357913200",
      now_ns: null,
      written_ns: 3e9,
      zone: "+01:00",
      note: "",
      strings: this.strings,
      processes: this.processes,
      traces: this.traces,
      chunks,
    };
  }

  private text(text: string): number {
    const known = this.indexes.get(text);
    if (known !== undefined) return known;
    const index = this.strings.push(text) - 1;
    this.indexes.set(text, index);
    return index;
  }
}

/** Returns a value as base64 of gzip of JSON, the opposite of `inflate`. */
async function deflate(value: unknown): Promise<string> {
  const stream = new CompressionStream("gzip");
  const writer = stream.writable.getWriter();
  void writer.write(new TextEncoder().encode(JSON.stringify(value)));
  void writer.close();
  let binary = "";
  const reader = stream.readable.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    for (const byte of part.value) binary += String.fromCharCode(byte);
  }
  return btoa(binary);
}
