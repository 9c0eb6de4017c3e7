/** Whatever the attributes hold, a conversation is made, and what is shown stays bounded. */

import { h, render } from "preact";
import { expect, test } from "vitest";
import { TEXTS } from "../../demo/hostile";
import { Conversation } from "../../src/agents/ConversationView";
import { LOOKED_FOR } from "../../src/agents/kinds";
import type { Attributes, Json, State } from "../../src/data/contract";
import { dice } from "../random";
import { type CaseSpan, conversationOfCase, outlineOf } from "./outline";

const KEYS = [
  ...LOOKED_FOR.map((key) => key.replace("*", "operation.name")),
  ...["gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions"],
  ...["gen_ai.prompt.0.content", "gen_ai.prompt.0.role", "gen_ai.prompt.9.tool_calls.0.name"],
  ...["llm.input_messages.0.message.role", "llm.output_messages.0.message.contents.0.x"],
  ...["gen_ai.tool.name", "gen_ai.tool.call.id", "gen_ai.tool.call.arguments", "tool_response"],
  ...["input.value", "output.value", "events", "gen_ai.usage.input_tokens", "final_result"],
  ...["langfuse.observation.input", "gen_ai.response.id", "gen_ai.tool.definitions"],
];
const VALUES: Json[] = [
  ...TEXTS,
  ...["chat", "invoke_agent", "execute_tool", "LLM", "AGENT", "TOOL", "generation", "workflow"],
  ...["[", '[{"role":', "[[]]", "{}", "null", "[null]", '{"messages":[{"role":"tool"}]}'],
  ...[null, true, 0, -1, 1e308, Number.NaN, 12345678901234567890n, [], {}],
  [{ role: "user", parts: [{ type: "tool_call", arguments: "{" }] }],
  [{ role: "assistant", content: [{ type: "tool_use", input: { a: [1] } }, "text", null] }],
  { role: "tool", content: { message: { message: { message: "deep" } } } },
  { __proto__: null, constructor: "x", toString: 1 } as unknown as Json,
];
const STATES: State[] = ["running", "error", "ended", "lost", "missing", "abandoned"];

function randomSpans(seed: number): CaseSpan[] {
  const roll = dice(seed);
  const one = <T>(list: readonly T[]) => list[roll(list.length)] as T;
  return Array.from({ length: 12 }, (_, at) => {
    const attributes: Attributes = {};
    for (let count = roll(8); count >= 0; count--) attributes[one(KEYS)] = one(VALUES);
    return {
      id: `s${roll(9)}`,
      parent: `s${roll(14)}`,
      name: one(TEXTS),
      state: one(STATES),
      start: one([at, roll(20), Number.NaN, -1e300]),
      end: one([null, 30, Number.NaN, Number.NEGATIVE_INFINITY]),
      error: one(TEXTS),
      attributes,
      events: [
        { name: one(["gen_ai.choice", "gen_ai.user.message", "exception"]), time: 1, attributes },
      ],
    };
  });
}

test("attributes of any kind make a conversation", () => {
  for (let seed = 1; seed < 300; seed++) {
    const { runs, totals } = conversationOfCase({ spans: randomSpans(seed) });
    expect(Array.isArray(runs)).toBe(true);
    expect(totals.calls).toBeGreaterThanOrEqual(0);
  }
}, 60_000);

test("a conversation of any kind is shown as text", () => {
  const root = document.createElement("div");
  for (let seed = 1; seed < 30; seed++) {
    const model = conversationOfCase({ spans: randomSpans(seed) });
    render(h(Conversation, { model, now: 50, onSpan: () => {} }), root);
    expect(root.querySelectorAll("img, script, style, iframe, b > i")).toHaveLength(0);
    for (const link of root.querySelectorAll("a")) expect(link.protocol).toMatch(/^https?:$/);
    render(null, root);
  }
  expect((window as { broken?: number }).broken).toBeUndefined();
}, 60_000);

function call(messages: Json, more: Attributes = {}): CaseSpan {
  const attributes = {
    "gen_ai.operation.name": "chat",
    "gen_ai.input.messages": messages,
    ...more,
  };
  return { id: "m", name: "chat", start: 0, end: 1, attributes };
}

test("10,000 messages are read, and 200 of them stand in the page until more are asked for", () => {
  const messages = Array.from({ length: 10_000 }, (_, at) => ({ role: "user", content: `${at}` }));
  const model = conversationOfCase({ spans: [call(JSON.stringify(messages))] });
  expect(model.runs[0]?.items).toHaveLength(10_001);
  const root = document.createElement("div");
  render(h(Conversation, { model, now: 50, onSpan: () => {} }), root);
  expect(root.querySelectorAll("article")).toHaveLength(200);
  expect(root.querySelector(".agent-more")?.textContent).toContain("9,801 steps between");
  render(null, root);
}, 60_000);

test("values that are too deep are said to be", () => {
  const deep = `${"[".repeat(50_000)}${"]".repeat(50_000)}`;
  const turned = `{"messages":[],"instructions":${'{"messages":[],"instructions":'.repeat(20_000)}1`;
  for (const text of [deep, turned + "}".repeat(20_001)]) {
    const output = { "gen_ai.output.messages": text, "gen_ai.tool.definitions": text };
    const model = conversationOfCase({ spans: [call(text, output)] });
    const root = document.createElement("div");
    render(h(Conversation, { model, now: 1, onSpan: () => {} }), root);
    expect(root.textContent?.length).toBeLessThan(100_000);
    render(null, root);
  }
});

test("agents within agents, however deep, neither overflow nor get lost", () => {
  const count = 10_000;
  const spans = Array.from({ length: count }, (_, at): CaseSpan => {
    const kind = ["invoke_agent", "execute_tool", "chat"][at % 3] as string;
    return {
      id: `${at}`,
      parent: at > 0 ? `${at - 1}` : "",
      name: `${at}`,
      start: at,
      end: null,
      attributes: { "gen_ai.operation.name": kind, "gen_ai.tool.name": `tool ${at}` },
    };
  });
  const { totals } = conversationOfCase({ spans });
  expect(totals.tools).toBe(3_333);
  expect(outlineOf(conversationOfCase({ spans: spans.slice(0, 100) })).length).toBeGreaterThan(50);
}, 60_000);

test("what is too much to read is left out, and counted", () => {
  const text = JSON.stringify([{ role: "user", content: "x".repeat(15_000_000) }]);
  const spans = ["a", "b", "c", "d"].map((id, at) => ({ ...call(text), id, start: at }));
  const model = conversationOfCase({ spans });
  expect(model.leftOut).toBe(2);
  expect(model.totals.calls).toBe(4);
});
