/** The conversation in a page: what is shown, folded and selected, and by which keys. */

import { h, render } from "preact";
import { act } from "preact/test-utils";
import { beforeEach, expect, test } from "vitest";
import { agentRun } from "../../demo/agents";
import { Conversation } from "../../src/agents/ConversationView";
import { conversationOf } from "../../src/agents/conversation";
import { type CaseSpan, conversationOfCase } from "./outline";

let root: HTMLElement;
let selected: string[];

beforeEach(() => {
  document.body.replaceChildren();
  root = document.createElement("div");
  document.body.append(root);
  selected = [];
});

function show(model = modelAfter(64), now = 64e9): void {
  const onSpan = (spanId: string) => selected.push(spanId);
  act(() => render(h(Conversation, { model, now, onSpan }), root));
}

function modelAfter(seconds: number) {
  const { spans, details } = agentRun(seconds);
  return conversationOf({ spans }, details);
}

function text(selector: string): string {
  return root.querySelector(selector)?.textContent ?? "";
}

function texts(selector: string): string[] {
  return [...root.querySelectorAll(selector)].map((element) => element.textContent ?? "");
}

function press(key: string): void {
  const from = document.activeElement ?? root;
  from.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
}

test("the head adds up models, calls, tools, tokens, time and errors", () => {
  show();
  const facts = texts(".agents-totals > div");
  expect(facts).toContain("Modelsclaude-sonnet-5, gpt-5");
  expect(facts).toContain("Calls6");
  expect(facts).toContain("Tool calls6");
  expect(facts).toContain("Tokens22,353");
  expect(facts).toContain("in21,027 (14,093 cached)");
  expect(facts).toContain("out1,326");
  expect(facts).toContain("Time1 min 03 s");
  expect(facts).toContain("Errors1");
});

test("each message is shown once, though each call repeats it", () => {
  show();
  const whole = root.textContent ?? "";
  expect(whole.split("The nightly build is red").length).toBe(2);
  expect(whole.split("I run the tests first").length).toBe(2);
  expect(texts(".agent-words").join("\n")).toContain("context 8, 2 new");
});

test("a tool shows its arguments and its result, and the agent that it ran", () => {
  show();
  const tools = [...root.querySelectorAll(".agent-tool")];
  const research = tools.find(
    (tool) => tool.querySelector(".agent-name")?.textContent === "⚙ research",
  );
  expect(research?.textContent).toContain('"most": 3');
  expect(research?.querySelector(".agent-run .agent-name")?.textContent).toBe("researcher");
  expect(research?.textContent).toContain("Most shops round the **total**.");
});

test("an error stands where it happened, and once", () => {
  show();
  expect(text(".agent-failure")).toBe(
    "✗ PermissionError: [Errno 13] Permission denied: 'shop/cart.py'",
  );
  expect((root.textContent ?? "").split("PermissionError").length).toBe(2);
});

test("instructions and reasoning are folded until they are opened", () => {
  show();
  expect(root.textContent).not.toContain("Never edit files outside");
  const twisty = root.querySelector<HTMLElement>(".role-system .twisty");
  expect(twisty?.getAttribute("aria-expanded")).toBe("false");
  act(() => twisty?.click());
  expect(twisty?.getAttribute("aria-expanded")).toBe("true");
  expect(root.textContent).toContain("Never edit files outside");
});

test("long texts are folded at 20 lines", () => {
  show();
  expect(root.textContent).not.toContain("line_40");
  act(() => root.querySelector<HTMLElement>(".more")?.click());
  expect(root.textContent).toContain("line_40");
});

test("markup is text", () => {
  show();
  expect(root.textContent).toContain("<b>Nothing else was touched.</b>");
  expect(root.querySelectorAll(".agent-text b")).toHaveLength(0);
});

test("each step selects its span", () => {
  show();
  const steps = [...root.querySelectorAll<HTMLElement>("[data-step]")];
  for (const step of steps) step.click();
  const { spans } = agentRun(64);
  const ids = new Set(spans.map((span) => span.id));
  expect(selected).toHaveLength(steps.length);
  expect(selected.every((id) => ids.has(id))).toBe(true);
  expect(new Set(selected).size).toBe(spans.length - 1); // all but the root, which is no agent
});

test("keys go from step to step and stay within the list", () => {
  show();
  root.querySelector<HTMLElement>(".agents-list")?.focus();
  let leaked = 0;
  const count = () => {
    leaked += 1;
  };
  document.addEventListener("keydown", count);
  press("j");
  press("j");
  expect(document.activeElement?.textContent).toBe("system");
  press("k");
  expect(document.activeElement?.textContent).toBe("repairer");
  press("k");
  expect(document.activeElement?.textContent).toBe("repairer");
  press("End");
  press("ArrowDown");
  expect(document.activeElement?.textContent).toBe("assistant");
  expect(leaked).toBe(0);
  press("x");
  expect(leaked).toBe(1);
  document.removeEventListener("keydown", count);
});

test("what runs says so, with an age that grows without a new model", () => {
  const model = modelAfter(20);
  show(model, 20e9);
  expect(texts(".agent-time.state-running .state-word")).toEqual([
    " ▶ running",
    " ▶ running",
    " ▶ running",
    " ▶ running",
  ]);
  expect(text(".agent-top > .agent-line .agent-time")).toContain("20.0 s");
  show(model, 25e9);
  expect(text(".agent-top > .agent-line .agent-time")).toContain("25.0 s");
});

test("a conversation grows, and keeps what was folded", () => {
  show(modelAfter(20), 20e9);
  act(() => root.querySelector<HTMLElement>(".role-system .twisty")?.click());
  show(modelAfter(64), 64e9);
  expect(root.textContent).toContain("All 214 tests pass.");
  expect(root.textContent).toContain("Never edit files outside");
});

test("a trace without agents says what is looked for", () => {
  show(conversationOfCase({ spans: [{ id: "a", name: "x", start: 0, end: 1 }] }));
  expect(text("h2")).toBe("No spans of an agent in this trace");
  expect(text(".mono")).toContain("gen_ai.*, openinference.span.kind");
});

test("a call without messages says how to record them", () => {
  const attributes = { "gen_ai.operation.name": "chat", "gen_ai.request.model": "m1" };
  const call: CaseSpan = { id: "m", name: "chat m1", start: 0, end: 1, attributes };
  show(conversationOfCase({ spans: [call] }));
  expect(text(".note")).toContain("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT");
});
