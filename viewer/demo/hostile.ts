/** Data that tries to break out of the page, to mislead the reader, or to exhaust the viewer. */

import type { Attributes, Json, TracesDocument } from "../src/data/contract";
import { Builder } from "./builder";

export const TEXTS = [
  "</script><script>window.broken = 1</script>",
  '<img src=x onerror="window.broken = 1">',
  "<!-- <script> ]]> </style> &lt;b&gt; ${window.broken=1} {{7*7}}",
  "safe\u202egnp.exe\u2066 \u200b\u200f\ufeff mixed",
  "NUL \u0000 bell \u0007 escape \u001b[31mred",
  "javascript:window.broken=1",
  "long ".repeat(20_000),
  "x".repeat(100_000),
  "\ud800 half a surrogate",
  "a\u0301".repeat(500),
  "__proto__",
  "",
  "line\nbreaks\r\n\tand tabs",
];

export function hostile(): Promise<TracesDocument> {
  const b = new Builder();
  for (const text of TEXTS) b.process(text, text, "lost");
  const root = b.span({
    name: TEXTS[0] ?? "",
    start: 0,
    end: 1e9,
    details: { attributes: attributes() },
  });
  TEXTS.forEach((text, at) => {
    const span = b.span({
      name: text,
      parent: root,
      process: at,
      start: at,
      end: 1e8,
      state: at % 2 ? "error" : "ended",
      error: text,
      cause: text,
      place: [text, at, text],
      details: {
        attributes: { [text]: text },
        events: [{ name: text, time: 1e308, attributes: attributes() }],
        links: [{ trace_id: text, span_id: text }],
      },
    });
    b.log(span, at % 2 ? 1e308 : -1e308, text, text, { [text]: text });
  });
  b.span({ name: "huge", parent: root, start: -1e18, end: 1e18 });
  b.trace(TEXTS[0] ?? "", TEXTS[1], 1e308);
  return b.document();
}

function attributes(): Attributes {
  let deep: Json = "bottom";
  for (let level = 0; level < 3_000; level++) deep = [deep];
  const many = Object.fromEntries(Array.from({ length: 300 }, (_, at) => [`many.${at}`, at]));
  const own: Attributes = {
    deep,
    huge: 1e308,
    tiny: 5e-324,
    address: "javascript:window.broken=1",
    data: "data:text/html,<script>window.broken=1</script>",
    fine: "https://example.org/a?b=c",
    ...many,
  };
  for (const text of TEXTS)
    Object.defineProperty(own, text, {
      value: text,
      enumerable: true,
      configurable: true,
      writable: true,
    });
  return own;
}
