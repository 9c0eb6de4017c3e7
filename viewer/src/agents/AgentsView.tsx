/** The agents of one trace of a server: takes the trace and its details, and follows their changes. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { SpanDetails, State } from "../data/contract";
import { visible } from "../model/format";
import { Conversation } from "./ConversationView";
import { conversationOf } from "./conversation";
import type { AgentSpan } from "./model";
import type { AgentTrace } from "./nodes";

/** A trace by columns, as the class `Trace` is; a new object whenever something in it changed. */
export interface TraceColumns {
  readonly ids: readonly string[];
  /** Index of the parent, -1 for a root. */
  readonly parent: ArrayLike<number>;
  readonly start: ArrayLike<number>;
  readonly until: ArrayLike<number>;
  readonly logs: readonly { span: number; text: string; attributes: string }[];
  name(span: number): string;
  stateOf(span: number): State;
  isOpen(span: number): boolean;
  service(span: number): string;
  error(span: number): string;
}

export type SpanDetailsById = { [spanId: string]: SpanDetails };

/** What the view needs of whoever talks with the server. */
export interface AgentsClient {
  /** Returns the trace as it is known; null before. Reads a signal, so that the view follows it. */
  trace(traceId: string): TraceColumns | null;
  /** Returns the server's time, relative as the times of the trace. */
  now(traceId: string): number;
  /**
   * Returns attributes, events and links by the ids of spans.
   *
   * `changed` are the spans that are new, open, or ended since the last call: details of these
   * alone are enough. Without it, those of the whole trace. What did not change should be the
   * same object as before, so that it is not read again.
   */
  details(traceId: string, changed?: readonly string[]): Promise<SpanDetailsById>;
}

interface Props {
  client: AgentsClient;
  traceId: string;
  /** Selects a span. */
  onSpan?: (spanId: string) => void;
  selected?: string;
}

/** How long the view waits between two requests for details, in milliseconds. */
const PAUSE = 500;

export function AgentsView({ client, traceId, onSpan = ignore, selected = "" }: Props) {
  const trace = client.trace(traceId);
  const { details, problem, retry } = useDetails(client, traceId, trace);
  const model = useMemo(
    () => (trace && details ? conversationOf(agentTraceOf(trace), details) : null),
    [trace, details],
  );
  const now = useNow(client, traceId, (model?.totals.open ?? 0) > 0);
  return (
    <>
      {problem && (
        <p class="note" role="alert">
          The messages could not be read: {visible(problem.slice(0, 500))}.{" "}
          <button type="button" onClick={retry}>
            Try again
          </button>
        </p>
      )}
      {model && <Conversation model={model} now={now} onSpan={onSpan} selected={selected} />}
      {!model && <div class="agents" aria-busy="true" />}
    </>
  );
}

function ignore(): void {}

/** Returns the spans of a trace that is given by columns. */
export function agentTraceOf(trace: TraceColumns): AgentTrace {
  const idOf = (span: number | undefined) => trace.ids[span ?? -1] ?? "";
  const spans = trace.ids.map((id, span): AgentSpan => {
    const start = trace.start[span] ?? 0;
    const until = trace.until[span] ?? start;
    return {
      id,
      parent: idOf(trace.parent[span]),
      name: trace.name(span),
      state: trace.stateOf(span),
      start,
      end: trace.isOpen(span) ? null : until,
      until,
      service: trace.service(span),
      error: trace.error(span),
    };
  });
  const logs = trace.logs.map(({ span, text, attributes }) => ({
    span: idOf(span),
    text,
    attributes,
  }));
  return { spans, logs };
}

/** Keeps the details of a trace up to date: one request at a time, and only for what changed. */
function useDetails(client: AgentsClient, traceId: string, trace: TraceColumns | null) {
  const [found, setFound] = useState<Found>({ traceId, details: null, problem: "" });
  const [tries, setTries] = useState(0);
  const work = useRef<Work>(newWork(""));
  if (work.current.traceId !== traceId) work.current = newWork(traceId);
  useEffect(() => {
    const own = work.current;
    own.next = trace;
    if (trace && !own.isBusy) void run(own);
    return () => {
      own.next = null;
    };
  }, [client, trace, traceId, tries]);

  async function run(own: Work): Promise<void> {
    own.isBusy = true;
    while (own.next && own === work.current) {
      const wanted = own.next;
      own.next = null;
      let problem = "";
      try {
        const changed = own.details ? changesOf(wanted, own.ended) : undefined;
        const more = changed?.length === 0 ? {} : await client.details(traceId, changed);
        own.details = { ...own.details, ...more };
        own.ended = endedOf(wanted);
      } catch (error) {
        problem = error instanceof Error ? error.message : String(error);
      }
      if (own === work.current) setFound({ traceId, details: own.details, problem });
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
    own.isBusy = false;
  }
  const isOwn = found.traceId === traceId;
  return {
    details: isOwn ? found.details : null,
    problem: isOwn ? found.problem : "",
    retry: () => setTries(tries + 1),
  };
}

interface Found {
  traceId: string;
  details: SpanDetailsById | null;
  problem: string;
}

interface Work {
  traceId: string;
  isBusy: boolean;
  /** The newest trace, while its details are not asked for. */
  next: TraceColumns | null;
  details: SpanDetailsById | null;
  /** The spans that had ended when details were asked for: these do not change. */
  ended: ReadonlySet<string>;
}

function newWork(traceId: string): Work {
  return { traceId, isBusy: false, next: null, details: null, ended: new Set() };
}

/** Returns the spans that have ended, each with its state: a late end may change it once more. */
function endedOf(trace: TraceColumns): Set<string> {
  const ended = trace.ids.map((id, span) => (trace.isOpen(span) ? "" : keyOf(trace, id, span)));
  return new Set(ended);
}

function changesOf(trace: TraceColumns, ended: ReadonlySet<string>): string[] {
  return trace.ids.filter(
    (id, span) => trace.stateOf(span) !== "missing" && !ended.has(keyOf(trace, id, span)),
  );
}

function keyOf(trace: TraceColumns, id: string, span: number): string {
  return `${id} ${trace.stateOf(span)}`;
}

/** Returns the time now, each second anew while something is open. */
function useNow(client: AgentsClient, traceId: string, isOpen: boolean): number {
  const [, tick] = useState(0);
  useEffect(() => {
    if (!isOpen) return;
    const timer = setInterval(() => tick((count) => count + 1), 1_000);
    return () => clearInterval(timer);
  }, [isOpen]);
  return client.now(traceId);
}
