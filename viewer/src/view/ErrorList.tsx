/** The errors of a trace by where they began, with the stack traces of their exceptions. */

import { useEffect, useRef, useState } from "preact/hooks";
import type { SpanDetails } from "../data/contract";
import { goTo } from "../model/commands";
import type { ErrorGroup, SpanError } from "../model/errors";
import { countOf, timeOfDay, visible } from "../model/format";
import { at1, type Trace } from "../model/trace";
import type { View } from "../model/view";
import { StackTrace } from "./StackTrace";

const MOST_GROUPS = 100;
const MOST_MEMBERS = 20;
const MOST_LOADED = 20_000;

export function ErrorList({ view }: { view: View }) {
  const trace = view.trace.value as Trace;
  const groups = view.errors.value;
  const loader = view.details.value;
  const box = useRef<HTMLDivElement>(null);
  const selected = view.selected.value;
  useEffect(() => {
    // Of very many spans a server sends only what is asked for.
    if (trace.count <= MOST_LOADED) void loader.load();
    else loader.loadOne(selected);
  }, [loader, selected]);
  useEffect(() => {
    box.current?.querySelector('[aria-current="true"]')?.scrollIntoView?.({ block: "nearest" });
  }, [selected]);
  if (groups.length === 0) {
    return (
      <div class="empty">
        <h2>No errors</h2>
        <p>No span of this trace failed.</p>
      </div>
    );
  }
  return (
    <div class="rows errors" ref={box} tabIndex={0} role="region" aria-label="Errors">
      {groups.slice(0, MOST_GROUPS).map((group) => (
        <Group
          key={`${group.service} ${group.name} ${group.text}`}
          view={view}
          trace={trace}
          group={group}
          details={loader.spans.value}
        />
      ))}
      {groups.length > MOST_GROUPS && (
        <p class="dim">… {countOf(groups.length - MOST_GROUPS, "other error")}</p>
      )}
    </div>
  );
}

interface GroupProps {
  view: View;
  trace: Trace;
  group: ErrorGroup;
  details: SpanDetails[] | null;
}

function Group({ view, trace, group, details }: GroupProps) {
  const [isWhole, setWhole] = useState(false);
  const { members } = group;
  const at = members.findIndex((one) => one.span === view.selected.value);
  const shown = isWhole || at >= MOST_MEMBERS ? members : members.slice(0, MOST_MEMBERS);
  return (
    <section class="error-group state-error">
      <h2>
        <b class="count">× {group.errors}</b>
        <span class="state-word">✗ {visible(group.text.slice(0, 500)) || "(no text)"}</span>
        <small>{visible(group.name.slice(0, 300))}</small>
        {group.service && <small class="dim">{visible(group.service.slice(0, 100))}</small>}
        {group.swallowed > 0 && (
          <small class="chip">
            {group.swallowed === group.errors ? "" : `${group.swallowed} `}caught
          </small>
        )}
      </h2>
      <ul>
        {shown.map((one) => (
          <Member
            key={one.span}
            view={view}
            trace={trace}
            group={group}
            one={one}
            details={details}
          />
        ))}
      </ul>
      {shown.length < members.length && (
        <button type="button" class="more" onClick={() => setWhole(true)}>
          … all {countOf(members.length, "span")}
        </button>
      )}
    </section>
  );
}

function Member({ view, trace, group, one, details }: GroupProps & { one: SpanError }) {
  const text = trace.error(one.span);
  const { baseNs, zone } = view.data.value;
  const isSelected = one.span === view.selected.value;
  const exceptions = details?.[one.span]?.events?.filter((event) => event.name === "exception");
  return (
    <li class={one.role} aria-current={isSelected}>
      <button
        type="button"
        class="plain error-line"
        title="Go to the span (Enter)"
        onClick={() => goTo(view, one.span)}
      >
        <span class="mono dim">{timeOfDay(baseNs, at1(trace.start, one.span), zone)}</span>
        <span class="error-name">{visible(trace.name(one.span).slice(0, 300))}</span>
        {text !== group.text && <span class="state-word">{visible(text.slice(0, 300))}</span>}
        <span class="dim">{roleOf(trace, one)}</span>
      </button>
      {exceptions?.map((event, at) => (
        <StackTrace key={at} attributes={event.attributes ?? {}} />
      ))}
    </li>
  );
}

/** Says whether the error began there, and what became of it. */
function roleOf(trace: Trace, one: SpanError): string {
  const parent = at1(trace.parent, one.span);
  const above = parent < 0 ? "" : visible(trace.name(parent).slice(0, 100));
  const words = one.role === "origin" ? "origin" : "propagated";
  if (one.isSwallowed) return `${words}, caught by ${above}`;
  return parent < 0 ? `${words} to the top` : words;
}
