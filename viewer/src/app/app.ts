/** `App`: what all pages share: server, stream, clock, address, pause, theme. */

import { computed, effect, signal, untracked } from "@preact/signals";
import type { Client } from "../live/client";
import { Clock } from "../live/clock";
import {
  comparison,
  errors,
  type Info,
  operations,
  processes,
  running,
  traceList,
} from "../live/contract";
import { editorLink } from "../live/editor";
import { isTraceId } from "../live/shape";
import { type NewSource, Stream, type Topics } from "../live/stream";
import type { Surroundings, Theme } from "../model/view";
import { parse } from "../search/parse";
import { Adding } from "./adding/model";
import { type Changes, Held } from "./held";
import { LogsModel, logChoiceOf } from "./logs/model";
import { Navigation } from "./navigation";
import { NowModel } from "./now/model";
import { addressOfRoute, type Page, traceAddress } from "./route";
import { Asked } from "./tables/model";
import { TraceModel } from "./trace/model";
import { choiceOf, TracesModel } from "./traces/model";

/** How often processes are asked for on pages that do not follow running spans. */
const PROCESSES_MS = 5_000;
/** How many traces stay as they were left. */
const MOST_OPEN = 4;

export class App {
  readonly navigation = new Navigation();
  readonly clock = new Clock();
  readonly stream: Stream;
  readonly info = signal<Info | null>(null);
  readonly theme = signal<Theme>("system");
  readonly palette = signal(0);
  readonly helpOpen = signal(false);
  /** What happened last, for the status line and assistive technology. */
  readonly said = signal("");
  readonly isPaused = signal(false);
  readonly held = new Held();
  readonly now = new NowModel();
  readonly traces: TracesModel;
  readonly logs: LogsModel;
  readonly adding: Adding;
  readonly operations: Asked<ReturnType<typeof operations>>;
  readonly errors: Asked<ReturnType<typeof errors>>;
  readonly agents: Asked<ReturnType<typeof traceList>>;
  readonly comparison: Asked<ReturnType<typeof comparison>>;
  /** The trace that is shown, on the pages that show one. */
  readonly trace = computed<TraceModel | null>(() => {
    const { page, id } = this.navigation.route.value;
    return (page === "trace" || page === "agents") && id ? this.modelOf(id) : null;
  });
  private readonly open = new Map<string, TraceModel>();
  private lastSequence = 0;

  constructor(
    readonly client: Client,
    newSource?: NewSource,
  ) {
    this.traces = new TracesModel(client);
    this.logs = new LogsModel(client);
    this.adding = new Adding(client);
    this.operations = new Asked(client, "operations", operations);
    this.errors = new Asked(client, "errors", errors);
    this.agents = new Asked(client, "agents", traceList);
    this.comparison = new Asked(client, "compare", comparison);
    const taker = (): Changes => (this.isPaused.peek() ? this.held : this.changes);
    this.stream = new Stream(
      client,
      {
        hello: (event) => {
          this.info.value = event.info;
          if (event.sequence < this.lastSequence) this.countAgain();
          this.lastSequence = event.sequence;
          this.tell(event.now_ns);
          this.catchUp();
        },
        traces: (event, sequence) => taker().traces(event, sequence),
        trace: (event) => taker().trace(event),
        logs: (event) => taker().logs(event),
        running: (event) => {
          this.tell(event.now_ns);
          taker().running(event);
        },
        problem: (message) => {
          this.said.value = message;
        },
      },
      newSource,
    );
  }

  /** Takes over the address and connects; returns what ends it. */
  start(): () => void {
    const stopNavigation = this.navigation.start();
    let asked = "";
    const stopTopics = effect(() => {
      const topics = topicsOf(this);
      const key = JSON.stringify(topics);
      if (key === asked) return;
      asked = key;
      this.held.forget();
      this.stream.open({ ...topics, after: this.trace.peek()?.live.sequence || 0 });
    });
    const stopShown = effect(() => {
      void this.shown.value;
      untracked(this.loadPage);
    });
    const stopAway = effect(() => {
      if (this.stream.connection.value.state === "away") this.clock.stop();
    });
    const stopTicks = effect(() => {
      this.trace.value?.tick(this.clock.tick.value);
    });
    const timer = setInterval(() => void this.loadProcesses(), PROCESSES_MS);
    return () => {
      clearInterval(timer);
      this.adding.stop();
      for (const stop of [stopNavigation, stopTopics, stopShown, stopAway, stopTicks]) stop();
      this.stream.close();
      for (const model of this.open.values()) model.close();
    };
  }

  /** Whether what happens is shown as it happens. */
  get isLive(): boolean {
    return this.stream.connection.peek().state === "live" && !this.isPaused.peek();
  }

  /** Stops what is shown as it is, or goes on with all that has come. */
  pause(isPaused: boolean): void {
    this.isPaused.value = isPaused;
    if (isPaused) this.clock.stop();
    else {
      this.held.release(this.changes);
      this.catchUp();
    }
  }

  /** What the view of a trace gets from this page. */
  readonly around: Surroundings = {
    editorLink: (place) => editorLink(this.info.value?.editor ?? null, place),
    spanLink: (traceId, spanId) => (isTraceId(traceId) ? traceAddress(traceId, spanId) : null),
    neighbour: (by) => {
      const id = this.traces.neighbour(this.navigation.route.value.id, by);
      return id ? () => this.navigation.go("trace", {}, id) : null;
    },
    folder: () => this.info.value?.folder ?? "",
  };

  private readonly changes: Changes = {
    traces: (event, sequence) => this.traces.take(event, sequence),
    trace: (answer) => this.trace.peek()?.take(answer),
    logs: (event) => this.logs.take(event.logs, event.more),
    running: (event) => this.now.take(event),
  };

  /** Takes the server's changes from the first on: its store is another one than before. */
  private countAgain(): void {
    this.now.countAgain();
    this.traces.countAgain();
    for (const model of this.open.values()) model.live.sequence = 0;
  }

  private tell(nowNs: bigint): void {
    if (!this.isPaused.peek()) this.clock.set(nowNs);
  }

  /** Asks for what a connection may have missed. */
  private catchUp(): void {
    if (hasRunning(this.navigation.page.peek())) void this.loadRunning();
    else void this.loadProcesses();
    this.loadPage();
  }

  /** Counts what hangs, for the tab, where running spans are not followed. */
  private async loadProcesses(): Promise<void> {
    if (hasRunning(this.navigation.page.peek()) || !this.isLive || document.hidden) return;
    try {
      const found = await this.client.get("processes", processes);
      this.now.takeProcesses(found.processes);
    } catch {
      // The line at the bottom says that the server is away.
    }
  }

  private async loadRunning(): Promise<void> {
    try {
      const found = await this.client.get("running", running);
      this.tell(found.now_ns);
      if (!this.isPaused.peek()) this.now.take(found);
    } catch {
      // The line at the bottom says that the server is away.
    }
  }

  /** Changes when something else has to be loaded; what is chosen within a trace does not. */
  private readonly shown = computed(() => {
    const { page, id, query } = this.navigation.route.value;
    if (id) return `${page} ${id}`;
    return addressOfRoute({ page, id, query: { ...query, open: "", sort: "" } });
  });

  /** Asks the server for what the page shows. */
  readonly loadPage = (): void => {
    const { page, id, query } = this.navigation.route.peek();
    if (page === "traces" && isSearch(query.q)) void this.traces.show(choiceOf(query));
    if (page === "logs" && isSearch(query.q)) void this.logs.show(logChoiceOf(query));
    if (page === "operations")
      void this.operations.ask({ since: query.since, service: query.service });
    if (page === "errors") void this.errors.ask({ since: query.since, limit: 200 });
    if (page === "compare" && query.a && query.b)
      void this.comparison.ask({ a: query.a, b: query.b });
    if (page === "agents" && !id) void this.agents.ask({ limit: 100 });
    if (page === "trace" || page === "agents") void this.trace.peek()?.load();
  };

  private modelOf(id: string): TraceModel {
    const known = this.open.get(id);
    this.open.delete(id);
    const model =
      known ??
      new TraceModel(this.client, id, this.around, () =>
        new URLSearchParams(this.navigation.route.peek().query).toString(),
      );
    this.open.set(id, model);
    for (const [oldest, old] of this.open) {
      if (this.open.size <= MOST_OPEN) break;
      old.close();
      this.open.delete(oldest);
    }
    return model;
  }
}

/** Whether a page follows all running spans: those that have no other changes to wait for. */
function hasRunning(page: Page): boolean {
  return page !== "traces" && page !== "trace" && page !== "logs";
}

/** Whether a search can be asked for; of one that cannot, the field says what is wrong. */
function isSearch(text = ""): boolean {
  try {
    parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Returns the changes that the shown page needs. */
function topicsOf(app: App): Topics {
  const { page, id, query } = app.navigation.route.value;
  const isList = page === "traces" || page === "logs";
  if (isList && isSearch(query.q)) return { topics: [page], q: query.q ?? "" };
  // Once the whole trace is there, so that the stream brings only what changes.
  if (app.trace.value?.isReady.value) return { topics: [], trace: id };
  return { topics: hasRunning(page) ? ["running"] : [] };
}
