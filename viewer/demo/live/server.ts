/** A server with generated live data, which answers as the one of otel-ext does. For development. */

import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { gzipSync } from "node:zlib";
import { parse, SearchError } from "../../src/search/parse";
import { FIELDS } from "../../src/search/words";
import { liveTraceOf, logOf, ns, runningOf, summaryOf } from "./answers";
import { matchesIn } from "./search";
import { Store } from "./store";
import { comparisonOf, errorsOf, histogramOf, operationsOf } from "./tables";
import { World } from "./world";

export const LARGE = "5f0c9d7e11d24cbb9a0e8a4cf7c1aa00";
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; require-trusted-types-for 'script'; trusted-types 'none'";
const TYPES: { [ending: string]: string } = {
  html: "text/html",
  js: "text/javascript",
  css: "text/css",
};

class Failure extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly hint = "",
    readonly at: number | null = null,
  ) {
    super(message);
  }
}

export interface Options {
  past: number;
  large: number;
  /** By how many spans the large trace grows each second. */
  grow: number;
  isQuiet: boolean;
  isHostile: boolean;
  /** The folder of the built application. */
  files: URL;
}

export function serve(port: number, options: Options) {
  const store = new Store();
  const world = new World(store);
  world.past(options.past);
  if (options.large > 0) world.large(options.large, LARGE);
  if (options.grow > 0) world.grow(LARGE, options.grow);
  if (options.isHostile) world.hostile();
  if (!options.isQuiet) world.start();
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://demo");
    const path = url.pathname.replace(/^\/api\/v1\//, "");
    if (path === "stream") {
      try {
        parse(url.searchParams.get("q") ?? "");
      } catch {
        response.writeHead(400).end();
        return;
      }
      return stream(store, url, request, response);
    }
    if (path !== url.pathname) return answer(store, path, url, request, response);
    file(url.pathname, options.files, response);
  });
  server.listen(port, "127.0.0.1");
  return server;
}

function file(path: string, files: URL, response: ServerResponse): void {
  const name = path === "/" ? "index.html" : path.slice(1);
  if (!/^[a-z]+\.(html|js|css)$/.test(name)) {
    response.writeHead(404).end();
    return;
  }
  response.setHeader("Content-Security-Policy", POLICY);
  response.setHeader("Content-Type", `${TYPES[name.split(".")[1] ?? ""]}; charset=utf-8`);
  response.end(readFileSync(new URL(name, files)));
}

function answer(
  store: Store,
  path: string,
  url: URL,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  let status = 200;
  let body: unknown;
  try {
    body = routed(store, path, url.searchParams);
  } catch (error) {
    const failure =
      error instanceof SearchError
        ? new Failure(400, error.problem, error.hint, error.at)
        : error instanceof Failure
          ? error
          : new Failure(500, String(error));
    status = failure.status;
    body = { error: { message: failure.message, hint: failure.hint, at: failure.at } };
  }
  const json = JSON.stringify(body);
  response.setHeader("Content-Type", "application/json");
  const isZipped = request.headers["accept-encoding"]?.includes("gzip") && json.length < 1e6;
  if (isZipped) response.setHeader("Content-Encoding", "gzip");
  response.writeHead(status).end(isZipped ? gzipSync(json) : json);
}

function routed(store: Store, path: string, query: URLSearchParams): unknown {
  const [kind = "", id = "", part = "", span = ""] = path.split("/");
  if (path === "traces") return traces(store, query);
  if (path === "traces/histogram") {
    const time = (name: string) => (query.get(name) ? BigInt(query.get(name) ?? "") : null);
    return histogramOf(
      store,
      chosen(store, query),
      Number(query.get("buckets") ?? 60),
      time("since"),
      time("until"),
    );
  }
  if (kind === "traces") {
    const spans = store.traces.get(id);
    if (!spans) throw new Failure(404, `the trace ${id} is not known`);
    if (!part) return liveTraceOf(store, id, Number(query.get("after") ?? 0));
    if (part === "details")
      return { details: Object.fromEntries([...spans].map(([each, one]) => [each, one.details])) };
    const one = spans.get(span);
    if (!one) throw new Failure(404, `the span ${span} is not known`);
    const record = { ...one, __tracer_meta__: { kind: "span", span_id: one.id } };
    return { ...one.details, record, linked_from: [] };
  }
  switch (path) {
    case "running":
      return runningOf(store);
    case "processes":
      return { processes: runningOf(store).processes };
    case "operations":
      return operationsOf(store);
    case "errors":
      return errorsOf(store);
    case "compare":
      return comparisonOf(store, query.get("a") ?? "", query.get("b") ?? "");
    case "logs":
      return logs(store, query);
    case "info":
      return info(store);
    case "agents":
      return {
        traces: [],
        next: null,
        searched_until_ns: null,
        sequence: store.sequence,
        now_ns: ns(store, store.now()),
      };
    case "completion":
      return completion(store, query.get("q") ?? "");
    default:
      throw new Failure(404, `${path} is not known`);
  }
}

function chosen(store: Store, query: URLSearchParams) {
  const q = query.get("q") ?? "";
  const [since, until] = [query.get("since"), query.get("until")];
  return [...store.traces.keys()].flatMap((id) => {
    const summary = summaryOf(store, id);
    if (since && BigInt(summary.start_ns) < BigInt(since)) return [];
    if (until && BigInt(summary.start_ns) > BigInt(until)) return [];
    if (!q.trim()) return [summary];
    const matches = matchesIn(store, id, q);
    return matches.length > 0
      ? [{ ...summary, matches: matches.slice(0, 100), match_count: matches.length }]
      : [];
  });
}

function traces(store: Store, query: URLSearchParams) {
  const found = chosen(store, query);
  const order = query.get("order") ?? "newest";
  const byStart = order === "newest" || order === "oldest";
  const sign = order === "newest" || order === "longest" ? -1 : 1;
  found.sort((one, other) =>
    byStart
      ? sign * Number(BigInt(one.start_ns) - BigInt(other.start_ns))
      : sign * (one.duration_ns - other.duration_ns),
  );
  const from = Number(query.get("cursor") ?? 0);
  const to = from + Number(query.get("limit") ?? 50);
  return {
    traces: found.slice(from, to),
    next: to < found.length ? String(to) : null,
    searched_until_ns: null,
    sequence: store.sequence,
    now_ns: ns(store, store.now()),
  };
}

function logs(store: Store, query: URLSearchParams) {
  const word = (query.get("q") ?? "").toLowerCase();
  const ranks = ["debug", "info", "warning", "error"];
  const least = ranks.indexOf(query.get("level") ?? "");
  const trace = query.get("trace_id");
  const found = store.logs
    .filter((log) => (!trace || log.trace === trace) && ranks.indexOf(log.level) >= least)
    .filter((log) => log.text.toLowerCase().includes(word))
    .sort((one, other) => other.time - one.time);
  const from = Number(query.get("cursor") ?? 0);
  const to = from + Number(query.get("limit") ?? 200);
  return {
    logs: found.slice(from, to).map((log) => logOf(store, log)),
    next: to < found.length ? String(to) : null,
  };
}

function completion(store: Store, word: string) {
  const [key = "", value] = word.split(":");
  const names = new Map<string, number>();
  for (const spans of store.traces.values()) {
    if (spans.size > 1_000) continue;
    for (const span of spans.values()) names.set(span.name, (names.get(span.name) ?? 0) + 1);
  }
  const texts =
    value === undefined
      ? [...FIELDS, "http.route", "user.id"]
          .filter((each) => each.startsWith(key))
          .map((each): [string, number] => [`${each}:`, 1])
      : [...names].map(([name, count]): [string, number] => [
          `${key}:${/\s/.test(name) ? `"${name}"` : name}`,
          count,
        ]);
  return {
    words: texts
      .filter(([text]) => text.startsWith(word))
      .map(([text, count]) => ({ text, count })),
  };
}

function info(store: Store) {
  let spans = 0;
  for (const one of store.traces.values()) spans += one.size;
  return {
    version: "demo",
    folder: "traces",
    listening: { otlp_http: "http://127.0.0.1:4318", otlp_grpc: "127.0.0.1:4317", ui: null },
    editor: { scheme: "vscode", roots: ["/home/me/app"] },
    traces: store.traces.size,
    spans,
    since_ns: ns(store, 0),
  };
}

function stream(store: Store, url: URL, request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
  const query = url.searchParams;
  const topics = (query.get("topics") ?? "").split(",");
  const trace = query.get("trace") ?? "";
  const q = query.get("q") ?? "";
  const resumed = Number(request.headers["last-event-id"] ?? query.get("after") ?? 0);
  let sent = resumed || store.sequence;
  let sentTrace = resumed;
  let sentRunning = -1;
  const send = (event: string, data: unknown, id = 0) =>
    response.write(`${id ? `id: ${id}\n` : ""}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  send("hello", { sequence: store.sequence, now_ns: ns(store, store.now()), info: info(store) });
  const beat = () => {
    const { sequence } = store;
    if (topics.includes("traces") && sequence > sent) {
      const changed = [...store.traceSequence].filter(([, at]) => at > sent).map(([id]) => id);
      const wanted = q.trim()
        ? changed.filter((id) => matchesIn(store, id, q).length > 0)
        : changed;
      if (wanted.length > 0)
        send("traces", { traces: wanted.map((id) => summaryOf(store, id)), more: false }, sequence);
    }
    if (topics.includes("logs") && sequence > sent) {
      const added = store.logs.filter((log) => log.sequence > sent);
      if (added.length > 0) send("logs", { logs: added.map((log) => logOf(store, log)) }, sequence);
    }
    if (trace && (store.traceSequence.get(trace) ?? 0) > sentTrace) {
      send("trace", liveTraceOf(store, trace, sentTrace), sequence);
      sentTrace = sequence;
    }
    if (topics.includes("running") && store.runningSequence !== sentRunning) {
      sentRunning = store.runningSequence;
      send("running", runningOf(store));
    }
    sent = sequence;
  };
  beat();
  const timer = setInterval(beat, 100);
  request.on("close", () => clearInterval(timer));
}
