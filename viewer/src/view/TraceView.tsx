/** The viewer: shows a document of traces, which its owner may replace by a newer one. */

import { useSignalEffect } from "@preact/signals";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { decode } from "../data/decode";
import { addressOf, applyAddress } from "../model/address";
import { visible } from "../model/format";
import { View } from "../model/view";
import { Help } from "./Help";
import { keyHandler } from "./keys";
import { StatusLine } from "./StatusLine";
import { TopBar } from "./TopBar";
import { TraceList } from "./TraceList";
import { TracePane } from "./TracePane";
import { useTheme } from "./theme";

export interface Props {
  /** The decoded JSON of a document, as `data/contract.ts` describes it. */
  data: unknown;
  /** Whether trace, zoom and search are kept in the address of the page. */
  address?: boolean;
}

/** Throws a `DataError` if the first data is not a document; see `src/main.tsx` for a page around it. */
export function TraceView({ data, address = false }: Props) {
  const view = useMemo(() => {
    const made = new View(decode(data));
    if (address) applyAddress(made, location.hash);
    return made;
  }, []);
  const shown = useRef(data);
  useEffect(() => {
    if (shown.current !== data) view.update(decode(data));
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
  if (view.mode.value !== "traces") return <TracePane view={view} trace={trace} />;
  const { note } = view.data.value;
  return (
    <>
      {note && <p class="note">{visible(note)}</p>}
      <TraceList view={view} />
    </>
  );
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
