/** The spans of agents in a trace, as a forest without the spans between them. */

import type { SpanDetails } from "../data/contract";
import { treeOf } from "../model/forest";
import { at1 } from "../model/trace";
import { type Facts, factsOf } from "./facts";
import type { AgentLog, AgentSpan, Message, Tokens } from "./model";

/** The spans of one trace, and the logs that belong to them. */
export interface AgentTrace {
  spans: readonly AgentSpan[];
  logs?: readonly AgentLog[];
}

export type DetailsById = { readonly [spanId: string]: SpanDetails };

export interface Node {
  span: AgentSpan;
  facts: Facts;
  above: Node | null;
  depth: number;
  /** By start. */
  children: Node[];
  /** Whether its calls of a model tell what was said, or, without any, the agents within it. */
  isTold: boolean;
}

/** The topmost spans of agents below one root of the trace. */
export interface Top {
  /** The root; the first span of an agent where the root is missing. */
  root: AgentSpan;
  nodes: Node[];
}

/** How many characters of attributes are read as messages. */
const MOST_CHARACTERS = 40_000_000;
/** How deep spans of agents stand within each other; a deeper one stands beside its parent. */
const MOST_DEPTH = 24;

export function nodesOf(trace: AgentTrace, details: DetailsById): { tops: Top[]; leftOut: number } {
  const tree = treeOf(trace.spans.map(sound));
  const logs = logsBySpan(trace.logs ?? []);
  const shown: Node[] = [];
  const tops = new Map<number, Top>();
  // The nearest span of an agent for each span, and its root.
  const nearest: (Node | null)[] = [];
  const roots: number[] = [];
  let size = 0;
  let leftOut = 0;
  const hasRoom = (more: number) => {
    size += more;
    if (size > MOST_CHARACTERS) leftOut += 1;
    return size <= MOST_CHARACTERS;
  };
  tree.spans.forEach((span, at) => {
    const parent = at1(tree.parent, at);
    const above = parent < 0 ? null : (nearest[parent] ?? null);
    const root = parent < 0 ? at : (roots[parent] ?? at);
    roots.push(root);
    const own = span && Object.hasOwn(details, span.id) ? (details[span.id] ?? null) : null;
    const facts = span && own ? factsOf(own, logs.get(span.id) ?? [], hasRoom) : null;
    if (!span || !facts || facts.kind === "link") {
      nearest.push(above);
      return;
    }
    const node = newNode(withFailure(span, facts.failure), facts, above);
    nearest.push(node);
    shown.push(node);
    if (node.above) node.above.children.push(node);
    else {
      const top = tops.get(root) ?? { root: tree.spans[root] ?? span, nodes: [] };
      tops.set(root, top);
      top.nodes.push(node);
    }
  });
  for (const node of shown.reverse()) settle(node);
  for (const top of tops.values()) top.nodes = inOrder(top.nodes);
  return { tops: [...tops.values()], leftOut };
}

function newNode(span: AgentSpan, facts: Facts, nearest: Node | null): Node {
  const above = nearest && nearest.depth >= MOST_DEPTH ? nearest.above : nearest;
  const depth = above ? above.depth + 1 : 0;
  return { span, facts, above, depth, children: [], isTold: false };
}

/** Takes the exception for the error of a failed span that has no text of its own. */
function withFailure(span: AgentSpan, failure: string): AgentSpan {
  return span.error === "" && span.state === "error" ? { ...span, error: failure } : span;
}

/** Makes a span one that a tree can be made of; the data may come from anywhere. */
function sound(span: AgentSpan): AgentSpan {
  const start = Number.isFinite(span.start) ? span.start : 0;
  const end = span.end === null || Number.isFinite(span.end) ? span.end : start;
  const until = Number.isFinite(span.until) ? span.until : (end ?? start);
  return { ...span, id: String(span.id), parent: String(span.parent ?? ""), start, end, until };
}

function logsBySpan(logs: readonly AgentLog[]): Map<string, AgentLog[]> {
  const bySpan = new Map<string, AgentLog[]>();
  for (const log of logs) {
    // Most logs are not of messages; those have attributes or a text that name them.
    if (!log.text.includes("gen_ai.") && !log.attributes.includes("gen_ai.")) continue;
    const others = bySpan.get(log.span);
    if (others) others.push(log);
    else bySpan.set(log.span, [log]);
  }
  return bySpan;
}

/**
 * Brings the children of a node into their final form; its children are in theirs.
 *
 * Two instrumentations may tell of one call, the one within or beside the other. A call within
 * which several others are made, or tools run, is an agent.
 */
function settle(node: Node): void {
  node.children = inOrder(node.children);
  const calls = node.children.filter(({ facts }) => facts.kind === "model");
  const hasTools = node.children.some(({ facts }) => facts.kind === "tool");
  const [inner] = calls;
  if (node.facts.kind === "model" && inner) {
    if (calls.length > 1 || hasTools) node.facts = { ...node.facts, kind: "agent" };
    else {
      node.facts = together(node.facts, inner.facts);
      node.children = [...node.children.filter((child) => child !== inner), ...inner.children];
    }
  }
  // What a model was told and answered; without a call of a model, what another agent was.
  const tellers = calls.length > 0 ? calls : node.children.filter(isAgent);
  node.isTold = tellers.some(({ facts, isTold }) => isTold || hasContent(facts));
}

function isAgent({ facts }: Node): boolean {
  return facts.kind === "agent";
}

function hasContent({ input, output, history }: Facts): boolean {
  return input.length + output.length + history.length > 0;
}

/** Returns nodes by start; those that tell of one call as one. */
function inOrder(nodes: Node[]): Node[] {
  const sorted = nodes.sort((one, other) => one.span.start - other.span.start);
  const kept: Node[] = [];
  for (const node of sorted) {
    const last = kept.at(-1);
    if (last && isSameCall(last, node)) {
      last.facts = together(last.facts, node.facts);
      last.children = [...last.children, ...node.children];
    } else kept.push(node);
  }
  return kept;
}

function isSameCall({ span, facts }: Node, other: Node): boolean {
  if (facts.kind !== "model" || other.facts.kind !== "model") return false;
  const end = span.end ?? Number.POSITIVE_INFINITY;
  return facts.answer !== "" && facts.answer === other.facts.answer && other.span.start < end;
}

/** Returns what the first tells, and what only the second does. */
function together(one: Facts, other: Facts): Facts {
  const longer = (a: Message[], b: Message[]) => (a.length > 0 ? a : b);
  return {
    ...one,
    input: longer(one.input, other.input),
    output: longer(one.output, other.output),
    model: one.model || other.model,
    provider: one.provider || other.provider,
    finish: one.finish || other.finish,
    answer: one.answer || other.answer,
    tokens: {
      input: one.tokens.input ?? other.tokens.input,
      output: one.tokens.output ?? other.tokens.output,
      cached: one.tokens.cached ?? other.tokens.cached,
      reasoning: one.tokens.reasoning ?? other.tokens.reasoning,
    } satisfies Tokens,
  };
}
