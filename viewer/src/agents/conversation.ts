/** Makes the conversation of the agents of one trace out of its spans. */

import { History } from "./history";
import type { AgentSpan, Call, Conversation, Item, Message, Part, Run, Said, Tool } from "./model";
import { type AgentTrace, type DetailsById, type Node, nodesOf } from "./nodes";
import { Tools } from "./tools";
import { totalsOf, totalsOfRun } from "./totals";

/**
 * Returns the conversation of a trace.
 *
 * `details` are those of its spans by id; a span without is left out. Spans that are not of an
 * agent are left out too, what is below them is not. Whatever the attributes hold, it returns:
 * what cannot be read as messages is shown as the value that it is.
 */
export function conversationOf(trace: AgentTrace, details: DetailsById): Conversation {
  const { tops, leftOut } = nodesOf(trace, details);
  const maker = new Maker();
  const runs = tops.flatMap(({ root, nodes }) =>
    nodes.every((node) => node.facts.kind === "agent")
      ? nodes.map((node) => maker.runOf(node))
      : [maker.impliedRun(root, nodes)],
  );
  const spans = runs.map((run) => run.span);
  return {
    runs,
    totals: totalsOf(runs),
    from: spans.reduce((least, { start }) => Math.min(least, start), Number.POSITIVE_INFINITY),
    to: spans.reduce((most, { end, until }) => Math.max(most, end ?? until), 0),
    hasContent: maker.hasContent,
    leftOut,
  };
}

/** What is known of one run while it is made. */
class Scope {
  readonly history = new History();
  readonly tools = new Tools();
  readonly items: Item[] = [];
  readonly offered = new Set<string>();

  /** Adds what is new in some messages. */
  say(messages: readonly Message[], span: AgentSpan): void {
    this.add(this.history.take(messages).messages, span);
  }

  /** Adds messages, each with the calls of tools in it. */
  add(messages: readonly Message[], span: AgentSpan): void {
    const added: Said[] = [];
    for (const { role, name, parts } of messages) {
      const said: Said = { type: "message", span, role, name, ...this.divided(parts, span) };
      if (said.parts.length > 0 || said.tools.length > 0) added.push(said);
    }
    const told = added.findIndex(({ role }) => role !== "system");
    const count = told < 0 ? added.length : told;
    // An agent's span says what it was asked, its first call the instructions: those stand above.
    if (count > 0 && this.items.every((item) => item.type === "message"))
      this.items.splice(0, 0, ...added.splice(0, count));
    for (const said of added) this.items.push(said);
  }

  /** Divides pieces into what is said and the tools that are called; results go to their tools. */
  divided(parts: readonly Part[], span: AgentSpan): { parts: Part[]; tools: Tool[] } {
    const tools: Tool[] = [];
    const rest: Part[] = [];
    for (const part of parts) {
      if (part.type === "call") tools.push(this.tools.asked(part, span));
      else if (part.type !== "result" || !this.tools.answered(part)) rest.push(part);
    }
    return { parts: rest, tools };
  }
}

class Maker {
  hasContent = false;
  private readonly scopes = new Map<Run, Scope>();

  /** The run of a program that calls a model, or tools, without an agent around it. */
  impliedRun(root: AgentSpan, nodes: Node[]): Run {
    const scope = new Scope();
    this.addAll(scope, nodes);
    return this.finished(root, root.name, scope, null);
  }

  runOf(node: Node): Run {
    const { span, facts, isTold } = node;
    const scope = new Scope();
    for (const name of facts.offered) scope.offered.add(name);
    // What an agent was given as a value is only needed where no call of a model tells the same.
    const whole = facts.history.length > 0 ? facts.history : facts.input;
    scope.say(isTold ? facts.input.filter(isSaid) : whole, span);
    this.addAll(scope, node.children);
    scope.say(isTold ? facts.output.filter(isSaid) : facts.output, span);
    return this.unwrapped(node, scope) ?? this.finished(span, facts.name, scope, node);
  }

  /** Returns the one run within a run that tells nothing more, unless only the outer one failed. */
  private unwrapped({ span, facts }: Node, scope: Scope): Run | null {
    const [inner, ...others] = scope.items.filter((item) => item.type === "run");
    if (!inner || others.length > 0) return null;
    if (span.state === "error" && inner.span.state !== "error") return null;
    const history = this.scopes.get(inner)?.history;
    const isMore = scope.items.some(
      (item) =>
        item !== inner &&
        !(item.type === "message" && item.parts.every((part) => history?.has(part.key))),
    );
    return isMore ? null : { ...inner, name: inner.name || facts.name };
  }

  private addAll(scope: Scope, nodes: Node[]): void {
    for (const node of nodes) {
      const { span, facts } = node;
      if (facts.kind === "agent") scope.items.push(this.runOf(node));
      else if (facts.kind === "model") this.addCall(scope, node);
      else if (facts.kind === "tool") {
        const { tool, isAsked } = scope.tools.ran(span, facts);
        const within = new Scope();
        this.addAll(within, node.children);
        tool.items = within.items;
        if (!isAsked) scope.items.push(tool);
      } else {
        const { kind, args, result, tokens } = facts;
        scope.items.push({ type: "step", kind, span, input: args, output: result, tokens });
        this.addAll(scope, node.children);
      }
    }
  }

  private addCall(scope: Scope, { span, facts, children }: Node): void {
    const { input, output, model, provider, tokens, finish } = facts;
    for (const name of facts.offered) scope.offered.add(name);
    const { messages, known, fresh } = scope.history.takeCall(input, output);
    scope.add(messages, span);
    const answer = scope.divided(
      output.flatMap((message) => message.parts),
      span,
    );
    if (input.length + output.length > 0) this.hasContent = true;
    const call: Call = {
      type: "call",
      span,
      model,
      provider,
      tokens,
      finish,
      known,
      fresh,
      ...answer,
    };
    scope.items.push(call);
    this.addAll(scope, children);
  }

  private finished(span: AgentSpan, name: string, scope: Scope, node: Node | null): Run {
    const { items } = scope;
    if (items.some((item) => item.type === "message")) this.hasContent = true;
    const run: Run = {
      type: "run",
      span,
      name: name || span.name,
      isImplied: node === null,
      conversation: node?.facts.conversation ?? "",
      offered: [...scope.offered],
      items,
      totals: totalsOfRun(span, items, node?.facts.tokens ?? null),
    };
    this.scopes.set(run, scope);
    return run;
  }
}

/** Returns whether a message is more than a value that a function was called with. */
function isSaid(message: Message): boolean {
  return message.parts.some((part) => part.type !== "data");
}
