/** One trace: header, overview, one of its views, and the details of the selected span. */

import { visible } from "../model/format";
import type { Trace } from "../model/trace";
import type { View } from "../model/view";
import { Details } from "./Details";
import { ErrorList } from "./ErrorList";
import { Flame } from "./Flame";
import { Header } from "./Header";
import { LogList } from "./LogList";
import { Minimap } from "./Minimap";
import { SpanTable } from "./SpanTable";
import { Waterfall } from "./Waterfall";

export function TracePane({ view, trace }: { view: View; trace: Trace }) {
  const { note, traces } = view.data.value;
  const notes = [trace.note, traces.length > 1 ? "" : note].filter(Boolean);
  return (
    <>
      <Header view={view} trace={trace} />
      {notes.map((text) => (
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
