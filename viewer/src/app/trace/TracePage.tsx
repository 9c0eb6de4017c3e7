/** One trace, as it grows. */

import { untracked, useSignalEffect } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { addressOf, applyAddress } from "../../model/address";
import { back, follow } from "../../model/commands";
import type { View } from "../../model/view";
import { keyHandler } from "../../view/keys";
import { StatusLine } from "../../view/StatusLine";
import { TracePane } from "../../view/TracePane";
import { useApp, usePageKeys } from "../context";
import { Failed } from "../shell/Failed";
import { Connection } from "../shell/Line";

export function TracePage({ id }: { id: string }) {
  const app = useApp();
  const model = app.trace.value;
  const view = model?.view.value;
  if (view) return <Open view={view} />;
  const error = model?.problem.value;
  if (!error) return <div class="empty dim">Loading the trace …</div>;
  if (error.status !== 404) return <Failed error={error} onRetry={app.loadPage} />;
  return (
    <div class="empty">
      <h2>No such trace</h2>
      <p>
        The server has no span of <code>{id}</code>. If it has only begun, it appears here by
        itself; if it is old, it may have been deleted.
      </p>
      <p>
        <a class="link" href={app.navigation.addressTo("traces")}>
          All traces
        </a>
      </p>
    </div>
  );
}

function Open({ view }: { view: View }) {
  const app = useApp();
  const root = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const handler = keyHandler(view, () => root.current?.closest(".otel") ?? null);
    document.addEventListener("keydown", handler);
    return () => document.removeEventListener("keydown", handler);
  }, [view]);
  useSignalEffect(() => {
    view.palette.value = app.palette.value;
  });
  useAddress(view);
  const to = (by: number) => () => {
    app.around.neighbour?.(by)?.();
    return undefined;
  };
  usePageKeys({
    J: to(1),
    "]": to(1),
    K: to(-1),
    "[": to(-1),
    ".": () => {
      if (view.zooms.value.length === 0 || !view.trace.value?.goesOn) return false;
      follow(view);
      return undefined;
    },
    Escape: () => {
      if (hasStepBack(view)) back(view);
      else app.navigation.goTo("traces");
      return undefined;
    },
  });
  const trace = view.trace.value;
  return (
    <div
      class="page"
      ref={root}
      onPointerDown={() => {
        view.hasLeftSearch = false;
      }}
    >
      {trace && <TracePane view={view} trace={trace} />}
      <StatusLine view={view}>
        <Connection app={app} />
      </StatusLine>
    </div>
  );
}

/** Whether `Esc` has something to undo in the trace. */
function hasStepBack(view: View): boolean {
  return (
    view.detailsOpen.value ||
    view.zooms.value.length > 0 ||
    view.top.value >= 0 ||
    view.onlyFound.value ||
    view.search.value !== ""
  );
}

/** Keeps what is chosen in the address, and follows an address that is another one. */
function useAddress(view: View): void {
  const { navigation } = useApp();
  const written = useRef("");
  useSignalEffect(() => {
    const address = addressOf(view);
    written.current = new URLSearchParams(address).toString();
    navigation.replace(Object.fromEntries(new URLSearchParams(address)));
  });
  // Effects come later than keys: what an older drawing knew of the address must not come back.
  useSignalEffect(() => {
    const { query, page } = navigation.route.value;
    const address = new URLSearchParams(query).toString();
    if (page !== "trace" || address === written.current) return;
    untracked(() => applyAddress(view, address));
  });
}
