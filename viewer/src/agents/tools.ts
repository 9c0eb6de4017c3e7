/** Brings together the calls of tools that a model asks for, the spans that ran them, and results. */

import type { Json } from "../data/contract";
import type { Facts } from "./facts";
import type { AgentSpan, Part, Tool } from "./model";
import { canonical } from "./values";

/** Tools in the order in which they were asked for, of which the first are done with. */
class Queue {
  private readonly tools: Tool[] = [];
  private at = 0;

  add(tool: Tool): void {
    this.tools.push(tool);
  }

  /** Returns the first for which something is still to come; one that is done stays so. */
  first(isDone: (tool: Tool) => boolean): Tool | undefined {
    let tool = this.tools[this.at];
    while (tool && isDone(tool)) {
      this.at += 1;
      tool = this.tools[this.at];
    }
    return tool;
  }
}

/** The tools of one run. */
export class Tools {
  private readonly byId = new Map<string, Tool>();
  /** Those that a span may have run, by name and arguments, and by name. */
  private readonly toRun = new Map<string, Queue>();
  /** Those that a result may belong to, by name; all of them without a name. */
  private readonly toAnswer = new Map<string, Queue>();

  /** Adds a call that a message asks for. */
  asked(part: Part & { type: "call" }, caller: AgentSpan): Tool {
    const { id, name, args } = part;
    const tool: Tool = newTool(caller, id, name);
    tool.args = args;
    if (id) this.byId.set(id, tool);
    for (const key of [name, keyOf(name, args)]) queueIn(this.toRun, key).add(tool);
    for (const key of new Set([name, ""])) queueIn(this.toAnswer, key).add(tool);
    return tool;
  }

  /** Takes in a span that ran a tool; says whether a call of a model asked for it. */
  ran(span: AgentSpan, facts: Facts): { tool: Tool; isAsked: boolean } {
    const name = facts.name || span.name;
    const asked = this.find(facts.callId, name, facts.args);
    const tool = asked ?? newTool(span, facts.callId, name);
    tool.span = span;
    tool.args ??= facts.args;
    tool.result ??= facts.result;
    return { tool, isAsked: asked !== undefined };
  }

  /** Takes in a result that a message brings; returns whether it belongs to a tool. */
  answered({ id, name, value }: Part & { type: "result" }): boolean {
    const tool = id === "" ? this.toAnswer.get(name)?.first(hasResult) : this.byId.get(id);
    if (tool) tool.result = value;
    return tool !== undefined;
  }

  private find(id: string, name: string, args: Json | undefined): Tool | undefined {
    const known = this.byId.get(id);
    if (known && !hasRun(known)) return known;
    const same = this.toRun.get(keyOf(name, args))?.first(hasRun);
    return same ?? this.toRun.get(name)?.first(hasRun);
  }
}

function hasRun(tool: Tool): boolean {
  return tool.span !== null;
}

function hasResult(tool: Tool): boolean {
  return tool.result !== undefined;
}

function keyOf(name: string, args: Json | undefined): string {
  return `${name}\n${canonical(args)}`;
}

function queueIn(queues: Map<string, Queue>, key: string): Queue {
  const known = queues.get(key);
  if (known) return known;
  const queue = new Queue();
  queues.set(key, queue);
  return queue;
}

function newTool(caller: AgentSpan, id: string, name: string): Tool {
  return {
    type: "tool",
    span: null,
    caller,
    id,
    name,
    args: undefined,
    result: undefined,
    items: [],
  };
}
