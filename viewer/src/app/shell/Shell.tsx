/** The frame of the application: the bar on top, a page, help. */

import { useSignalEffect } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { visible } from "../../model/format";
import { useTheme } from "../../view/theme";
import { AddingFiles } from "../adding/AddingFiles";
import { AgentsPage } from "../agents/AgentsPage";
import type { App } from "../app";
import { AppContext } from "../context";
import { LogsView } from "../logs/LogsView";
import { NowView } from "../now/NowView";
import { CompareView } from "../tables/CompareView";
import { ErrorsView } from "../tables/ErrorsView";
import { OperationsView } from "../tables/OperationsView";
import { TracePage } from "../trace/TracePage";
import { TracesView } from "../traces/TracesView";
import { Bar, NAMES } from "./Bar";
import { HelpSheet } from "./HelpSheet";
import { appKeys } from "./keys";
import { Line } from "./Line";

const TICK_MS = 100;
/** Where movement is not wanted, times still go on. */
const CALM_TICK_MS = 1_000;
const THEME_KEY = "otel-ext.theme";

export function Shell({ app }: { app: App }) {
  const root = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const stop = app.start();
    const handler = appKeys(app, () => root.current);
    // Captured, so that it comes before the keys of an open trace.
    window.addEventListener("keydown", handler, { capture: true });
    return () => {
      window.removeEventListener("keydown", handler, { capture: true });
      stop();
    };
  }, [app]);
  useTheme(app);
  useKeptTheme(app);
  useTicks(app);
  useSignalEffect(() => {
    const stalled = app.now.stalled.value;
    document.title = `${stalled > 0 ? `(${stalled} stalled) ` : ""}${placeOf(app)} – otel-ext`;
  });
  return (
    <AppContext.Provider value={app}>
      <div class="otel app" ref={root}>
        <Bar />
        <main class="page" aria-label={app.navigation.page.value}>
          {app.navigation.page.value !== "trace" && (
            <h1 class="only-read">{NAMES[app.navigation.page.value]}</h1>
          )}
          <Page app={app} />
        </main>
        {app.navigation.page.value !== "trace" && <Line />}
        <AddingFiles />
        <HelpSheet />
      </div>
    </AppContext.Provider>
  );
}

function Page({ app }: { app: App }) {
  const { page, id } = app.navigation.route.value;
  switch (page) {
    case "traces":
      return <TracesView />;
    case "trace":
      return <TracePage key={id} id={id} />;
    case "operations":
      return <OperationsView />;
    case "errors":
      return <ErrorsView />;
    case "compare":
      return <CompareView />;
    case "logs":
      return <LogsView />;
    case "agents":
      return <AgentsPage key={id} id={id} />;
    default:
      return <NowView />;
  }
}

/** Names what is shown, for the title of the window. */
function placeOf(app: App): string {
  const page = app.navigation.page.value;
  const trace = app.trace.value?.view.value?.trace.value;
  const name = trace?.name(trace.roots[0] ?? 0).slice(0, 100);
  return name ? visible(name) : page.charAt(0).toUpperCase() + page.slice(1);
}

/** Keeps the theme for the next time, where the browser allows that. */
function useKeptTheme(app: App): void {
  useLayoutEffect(() => {
    const kept = attempt(() => localStorage.getItem(THEME_KEY));
    if (kept === "light" || kept === "dark") app.theme.value = kept;
  }, [app]);
  useSignalEffect(() => {
    const theme = app.theme.value;
    attempt(() => localStorage.setItem(THEME_KEY, theme));
  });
}

function attempt<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch {
    return undefined; // a browser may refuse its storage
  }
}

function useTicks(app: App): void {
  useEffect(() => {
    const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const beat = () => {
      if (!document.hidden) app.clock.beat();
    };
    const timer = setInterval(beat, isCalm ? CALM_TICK_MS : TICK_MS);
    return () => clearInterval(timer);
  }, [app]);
}
