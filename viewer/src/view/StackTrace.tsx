/** An exception: its type and message, and its stack trace, in which libraries' frames are dim. */

import type { Attributes } from "../data/contract";
import { visible } from "../model/format";
import { textOf } from "../search/tests";

const MOST_CHARACTERS = 200_000;
const OF_LIBRARY = /site-packages|dist-packages|[\\/]lib[\\/]python\d|<frozen /;

export function StackTrace({ attributes }: { attributes: Attributes }) {
  const of = (key: string) => textOf(attributes[`exception.${key}`] ?? "");
  const stack = of("stacktrace").slice(0, MOST_CHARACTERS).trimEnd();
  const heading = [of("type"), of("message").slice(0, 500)].filter(Boolean).join(": ");
  if (!stack) return <p class="exception mono">{visible(heading)}</p>;
  return (
    <details class="exception">
      <summary>
        <span class="mono">{visible(heading) || "exception"}</span>
      </summary>
      <pre tabIndex={0}>
        {framesOf(stack).map(({ text, isLibrary }, at) => (
          <span key={at} class={isLibrary ? "dim" : undefined}>
            {text}
          </span>
        ))}
      </pre>
    </details>
  );
}

/** Returns the pieces of a stack trace; a frame is its `File` line and the lines below it. */
export function framesOf(stack: string): { text: string; isLibrary: boolean }[] {
  const pieces: { text: string; isLibrary: boolean }[] = [];
  for (const line of stack.split("\n")) {
    const isFile = /^\s*File "/.test(line);
    const last = pieces.at(-1);
    const isBelow = /^\s{4,}/.test(line);
    const isLibrary = isFile ? OF_LIBRARY.test(line) : isBelow && (last?.isLibrary ?? false);
    const text = `${visible(line)}\n`;
    if (last && last.isLibrary === isLibrary) last.text += text;
    else pieces.push({ text, isLibrary });
  }
  return pieces;
}
