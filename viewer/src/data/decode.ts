/** Checks a document and turns it into traces; nothing in it is trusted. */

import { type Process, Trace } from "../model/trace";
import { checkProcess, checkTrace, DataError, list } from "./checks";
import { FORMAT, type TracesDocument, VERSION } from "./contract";

export { DataError };

/** A checked document. */
export interface Traces {
  baseNs: bigint;
  nowNs: number | null;
  writtenNs: number;
  zone: string;
  note: string;
  processes: Process[];
  traces: Trace[];
  chunks: { [name: string]: string };
}

/** Returns the traces of a document; throws a `DataError` that says what is wrong. */
export function decode(data: unknown): Traces {
  const document = data as TracesDocument;
  if (typeof data !== "object" || data === null || document.format !== FORMAT) {
    throw new DataError(`the data is not of the format ${FORMAT}`);
  }
  if (document.version !== VERSION) {
    throw new DataError(`version ${String(document.version)} is not known, only ${VERSION}`);
  }
  if (!/^-?\d{1,30}$/.test(String(document.base_ns)))
    throw new DataError("base_ns is not a number");
  const isNow = document.now_ns === null || Number.isFinite(document.now_ns);
  if (!isNow) throw new DataError("now_ns is neither a number nor null");
  if (!Number.isFinite(document.written_ns)) throw new DataError("written_ns is not a number");
  const strings = list(document.strings, "strings").map((text) => String(text));
  const entries = list(document.processes, "processes");
  const processes = entries.map((entry, at) => {
    checkProcess(entry, `processes[${at}]`, strings.length);
    return {
      id: strings[entry.id] ?? "",
      label: strings[entry.label] ?? "",
      service: strings[entry.service] ?? "",
      state: entry.state,
    };
  });
  const counts = { strings: strings.length, processes: processes.length };
  const traces = list(document.traces, "traces").map((entry, at) => {
    checkTrace(entry, `traces[${at}]`, counts);
    return new Trace(entry, strings, processes);
  });
  return {
    baseNs: BigInt(document.base_ns),
    nowNs: document.now_ns,
    writtenNs: document.written_ns,
    zone: typeof document.zone === "string" ? document.zone : "+00:00",
    note: typeof document.note === "string" ? document.note : "",
    processes,
    traces,
    chunks: typeof document.chunks === "object" && document.chunks !== null ? document.chunks : {},
  };
}
