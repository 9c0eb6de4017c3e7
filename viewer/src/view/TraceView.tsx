/** The viewer: shows a document of traces, which its owner may replace by a newer one. */

import { useSignalEffect } from "@preact/signals";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { addressOf, applyAddress } from "../model/address";
import { visible } from "../model/format";
import { View } from "../model/view";
import { Details } from "./Details";
import { ErrorList } from "./ErrorList";
import { Flame } from "./Flame";
import { Header } from "./Header";
import { Help } from "./Help";
import { keyHandler } from "./keys";
import { LogList } from "./LogList";
import { Minimap } from "./Minimap";
import { SpanTable } from "./SpanTable";
import { StatusLine } from "./StatusLine";
import { TopBar } from "./TopBar";
import { TraceList } from "./TraceList";
import { Waterfall } from "./Waterfall";

export interface Props {
  /** The decoded JSON of a document, as `data/contract.ts` describes it. */
  data: unknown;
  /** Whether trace, zoom and search are kept in the address of the page. */
  address?: boolean;
}

/** Throws a `DataError` if the first data is not a document; see `src/main.tsx` for a page around it. */
export function TraceView({ data, address = false }: Props) {
  const view = useMemo(() => {
    const made = new View(data);
    if (address) applyAddress(made, location.hash);
    return made;
  }, []);
  const shown = useRef(data);
  useEffect(() => {
    if (shown.current !== data) view.update(data);
    shown.current = data;
  }, [data]);
  const root = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const handler = keyHandler(view, () => root.current);
    document.addEventListener("keydown", handler);
    return () => document.removeEventListener("keydown", handler);
  }, [view]);
  useTheme(view);
  useSignalEffect(() => {
    const next = addressOf(view);
    if (address)
      history.replaceState(null, "", next ? `#${next}` : location.pathname + location.search);
  });
  return (
    <div
      class="otel"
      ref={root}
      onPointerDown={() => {
        view.hasLeftSearch = false;
      }}
    >
      <TopBar view={view} />
      <Body view={view} />
      <StatusLine view={view} />
      <Help view={view} />
    </div>
  );
}

function Body({ view }: { view: View }) {
  const trace = view.trace.value;
  if (view.data.value.traces.length === 0 || !trace) return <NothingYet />;
  const { note } = view.data.value;
  if (view.mode.value === "traces") {
    return (
      <>
        {note && <p class="note">{visible(note)}</p>}
        <TraceList view={view} />
      </>
    );
  }
  return (
    <>
      <Header view={view} trace={trace} />
      {[trace.note, view.data.value.traces.length > 1 ? "" : note].filter(Boolean).map((text) => (
        <p key={text} class="note" title={visible(text)}>
          {visible(text)}
        </p>
      ))}
      <Minimap view={view} trace={trace} />
      <div class="main">
        <Main view={view} />
        {view.detailsOpen.value && view.selected.value >= 0 && (
          <Details view={view} trace={trace} />
        )}
      </div>
    </>
  );
}

function Main({ view }: { view: View }) {
  switch (view.mode.value) {
    case "flame":
      return <Flame view={view} />;
    case "table":
      return <SpanTable view={view} />;
    case "logs":
      return <LogList view={view} />;
    case "errors":
      return <ErrorList view={view} />;
    default:
      return <Waterfall view={view} />;
  }
}

function NothingYet() {
  return (
    <div class="empty">
      <h2>No traces yet</h2>
      <p>Nothing was recorded, or the choice of traces left nothing. Record a program with:</p>
      <pre>otel-ext run -- python app.py</pre>
    </div>
  );
}

/** Puts the theme on the page, and has canvases drawn anew when the colours change. */
function useTheme(view: View): void {
  useSignalEffect(() => {
    const theme = view.theme.value;
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    view.palette.value = view.palette.peek() + 1;
  });
  useEffect(() => {
    const system = matchMedia("(prefers-color-scheme: dark)");
    const changed = () => {
      view.palette.value += 1;
    };
    system.addEventListener("change", changed);
    return () => system.removeEventListener("change", changed);
  }, [view]);
}
