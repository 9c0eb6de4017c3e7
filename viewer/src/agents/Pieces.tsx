/** The pieces of messages: texts as text, never as markup, and values. */

import type { Json } from "../data/contract";
import { middleCut } from "../model/format";
import { Value } from "../view/Attributes";
import type { Part } from "./model";
import { Fold, shown, Words } from "./ui";
import { canonical } from "./values";

/** How long a value may be to stand in a line. */
export const IN_LINE = 90;

/** A value with its name beside it. */
export function Field({ name, value }: { name: string; value: Json | undefined }) {
  return (
    <div class="agent-field">
      <span class="dim">{name}</span>
      <Value value={inLine(value ?? null)} />
    </div>
  );
}

/** Returns a short object or list as one line. */
function inLine(value: Json): Json {
  if (typeof value !== "object" || value === null) return value;
  const line = canonical(value);
  return line.length <= IN_LINE ? line : value;
}

/** The pieces of a message; text is text, never markup. */
export function Parts({ parts }: { parts: readonly Part[] }) {
  return (
    <>
      {parts.map((part, at) => (
        <PartView key={at} part={part} />
      ))}
    </>
  );
}

function PartView({ part }: { part: Part }) {
  switch (part.type) {
    case "text":
      return (
        <div class="agent-text">
          <Value value={part.text} />
        </div>
      );
    case "reasoning":
      return (
        <Fold
          class="agent-reasoning"
          label="Reasoning"
          isOpen={false}
          head={<Words words={[`reasoning: ${middleCut(shown(part.text), 100)}`]} />}
        >
          <div class="agent-text">
            <Value value={part.text} />
          </div>
        </Fold>
      );
    case "media":
      return <Field name={shown(part.media)} value={part.text} />;
    case "result":
      return <Field name={`result ${shown(part.name || part.id)}`} value={part.value} />;
    case "data":
      return <Field name={shown(part.name) || "value"} value={part.value} />;
    case "call":
      return null; // shown as a tool
  }
}
