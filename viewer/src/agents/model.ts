/** What a conversation consists of: runs of agents, with messages, calls of a model and tools. */

import type { Json, State } from "../data/contract";

/** A span of a trace, as far as a conversation needs it. */
export interface AgentSpan {
  id: string;
  /** The parent's id; empty for a root. */
  parent: string;
  name: string;
  state: State;
  start: number;
  /** Null while the span is open. */
  end: number | null;
  /** Up to when an open span is known. */
  until: number;
  service: string;
  error: string;
}

/** A log of a span; messages are in logs where an instrumentation writes them as log events. */
export interface AgentLog {
  /** The span's id. */
  span: string;
  text: string;
  /** Attributes as JSON; empty without any. */
  attributes: string;
}

/** What a span is to a conversation; a `link` of a chain is not shown, only what is below it. */
export type Kind = "agent" | "model" | "tool" | "retrieval" | "embedding" | "step" | "link";

/** One piece of a message. `key` is equal for pieces of equal role and content. */
export type Part = { key: string } & (
  | { type: "text"; text: string }
  | { type: "reasoning"; text: string }
  | { type: "call"; id: string; name: string; args: Json }
  | { type: "result"; id: string; name: string; value: Json }
  /** A picture, a sound, a file: not its bytes, only what it is or where it is. */
  | { type: "media"; media: string; text: string }
  | { type: "data"; name: string; value: Json }
);

export interface Message {
  role: string;
  /** The name of whoever says it; mostly empty. */
  name: string;
  parts: Part[];
}

/** Numbers of tokens; null where they are not recorded. */
export interface Tokens {
  input: number | null;
  output: number | null;
  /** Of the input, what the provider had in its cache. */
  cached: number | null;
  /** Of the output, what went into reasoning. */
  reasoning: number | null;
}

export interface Totals extends Tokens {
  calls: number;
  tools: number;
  /** Failed calls, tools and steps, and agents of which no part failed. */
  errors: number;
  /** How many of these are open. */
  open: number;
  models: string[];
}

/** The run of one agent, or of a program that calls a model without one (`isImplied`). */
export interface Run {
  type: "run";
  span: AgentSpan;
  name: string;
  isImplied: boolean;
  /** The id that several traces of one conversation share; mostly empty. */
  conversation: string;
  /** The names of the tools that the model may call. */
  offered: string[];
  items: Item[];
  totals: Totals;
}

/** A message that is new in the history of its run. */
export interface Said {
  type: "message";
  /** The span that brings it: the call that sends it, or the agent. */
  span: AgentSpan;
  role: string;
  name: string;
  parts: Part[];
  /** Tools that were called before what is recorded here. */
  tools: Tool[];
}

/** One call of a model. */
export interface Call {
  type: "call";
  span: AgentSpan;
  model: string;
  provider: string;
  tokens: Tokens;
  /** Why the model stopped, such as `stop` or `tool_calls`. */
  finish: string;
  /** How many pieces of its input stand further up, and how many are new. */
  known: number;
  fresh: number;
  parts: Part[];
  tools: Tool[];
}

/** A tool that a model called, that a program ran, or both. */
export interface Tool {
  type: "tool";
  /** The span that records how the tool ran; null if no span does. */
  span: AgentSpan | null;
  /** The span of the call or message that asks for it. */
  caller: AgentSpan;
  id: string;
  name: string;
  args: Json | undefined;
  result: Json | undefined;
  /** What happened within it, such as the run of another agent. */
  items: Item[];
}

/** A retrieval, an embedding, a guardrail or the like. */
export interface Step {
  type: "step";
  kind: Kind;
  span: AgentSpan;
  input: Json | undefined;
  output: Json | undefined;
  tokens: Tokens;
}

export type Item = Run | Said | Call | Tool | Step;

export interface Conversation {
  runs: Run[];
  totals: Totals;
  /** The first start and the last known time. */
  from: number;
  to: number;
  /** Whether the text of at least one message is recorded. */
  hasContent: boolean;
  /** How many spans' messages are left out, because there is too much. */
  leftOut: number;
}
