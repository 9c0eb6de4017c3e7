/** Attributes, grouped by the first part of their keys, and values that may be anything. */

import { Fragment } from "preact";
import { useState } from "preact/hooks";
import type { Attributes, Json } from "../data/contract";
import { toJson } from "../data/exact";
import { copy } from "../model/commands";
import { countOf, middleCut, visible } from "../model/format";
import type { View } from "../model/view";
import { textOf } from "../search/tests";

const MOST_LINES = 20;
const MOST_CHARACTERS = 2_000;
const MOST_SHOWN = 200_000;

export function AttributeList({ view, attributes }: { view: View; attributes: Attributes }) {
  const [filter, setFilter] = useState("");
  const keys = Object.keys(attributes).sort();
  const wanted = filter.toLowerCase();
  const shown = keys.filter(
    (key) => !wanted || `${key} ${textOf(attributes[key] ?? null)}`.toLowerCase().includes(wanted),
  );
  const groups = new Map<string, string[]>();
  for (const key of shown.slice(0, 1000)) {
    const dot = key.indexOf(".");
    const prefix = dot > 0 ? key.slice(0, dot) : "";
    groups.set(prefix, [...(groups.get(prefix) ?? []), key]);
  }
  return (
    <>
      {keys.length > 8 && (
        <input
          class="filter"
          type="search"
          aria-label="Filter attributes"
          placeholder={`Filter ${countOf(keys.length, "attribute")}`}
          onInput={(event) => setFilter(event.currentTarget.value)}
        />
      )}
      {[...groups].map(([prefix, members]) => (
        <section key={prefix} class="attributes">
          {prefix && <h3>{middleCut(visible(prefix.slice(0, 1000)), 60)}</h3>}
          <dl>
            {members.map((key) => (
              <div key={key} class={isBroad(attributes[key] ?? null) ? "broad" : undefined}>
                <dt title={visible(key.slice(0, 1000))}>
                  <Dotted text={middleCut(visible(key.slice(0, 1000)), 120)} />
                </dt>
                <dd>
                  <Value value={attributes[key] ?? null} />
                  <Actions view={view} name={key} value={attributes[key] ?? null} />
                </dd>
              </div>
            ))}
          </dl>
        </section>
      ))}
    </>
  );
}

/** A name that breaks after its dots. */
function Dotted({ text }: { text: string }) {
  return (
    <>
      {text.split(/(?<=\.)/).map((part, at) => (
        <Fragment key={at}>
          {at > 0 && <wbr />}
          {part}
        </Fragment>
      ))}
    </>
  );
}

/** Whether a value has its own lines, below its key. */
function isBroad(value: Json): boolean {
  return typeof value === "string"
    ? value.length > 80 || value.includes("\n")
    : typeof value === "object";
}

function Actions({ view, name, value }: { view: View; name: string; value: Json }) {
  const text = textOf(value);
  const term = `${quoted(name)}=${quoted(text)}`;
  const add = (more: string) => {
    view.search.value = `${view.search.value} ${more}`.trim();
  };
  return (
    <span class="value-actions">
      <button
        type="button"
        title="Copy"
        aria-label={`Copy ${name}`}
        onClick={() => copy(view, text, name)}
      >
        copy
      </button>
      {text.length < 200 && (
        <>
          <button
            type="button"
            title="Only these"
            aria-label={`Only this ${name}`}
            onClick={() => add(term)}
          >
            =
          </button>
          <button
            type="button"
            title="Not these"
            aria-label={`Not this ${name}`}
            onClick={() => add(`-${term}`)}
          >
            ≠
          </button>
        </>
      )}
    </span>
  );
}

function quoted(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `"${text.replace(/["\\]/g, "\\$&")}"`;
}

/** Shows a value as text, never as HTML; long ones are folded, http addresses are links. */
export function Value({ value }: { value: Json }) {
  const [isOpen, setOpen] = useState(false);
  const text = typeof value === "string" ? value : indented(value);
  const lines = text.split("\n");
  const isLong = text.length > MOST_CHARACTERS || lines.length > MOST_LINES;
  const shown =
    isLong && !isOpen
      ? lines.slice(0, MOST_LINES).join("\n").slice(0, MOST_CHARACTERS)
      : text.slice(0, MOST_SHOWN);
  const clean = shown.split("\n").map(visible).join("\n");
  return (
    <span class={`value type-${value === null ? "null" : typeof value}`}>
      {isAddress(text) ? (
        <a href={text} target="_blank" rel="noopener noreferrer nofollow">
          {clean}
        </a>
      ) : (
        clean
      )}
      {isLong && (
        <button type="button" class="more" onClick={() => setOpen(!isOpen)}>
          {isOpen ? "less" : `… all ${countOf(text.length, "character")}`}
        </button>
      )}
    </span>
  );
}

function indented(value: Json): string {
  if (typeof value !== "object" || value === null) return String(value);
  try {
    return toJson(value, 2);
  } catch {
    return "(too deep to show)";
  }
}

function isAddress(text: string): boolean {
  return text.length < 2_000 && /^https?:\/\/[^\s"'<>\\]+$/i.test(text);
}
