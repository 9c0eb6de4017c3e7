/** Finds the spans that a search means. */

import type { Json, SpanDetails } from "../data/contract";
import { timeOfDay } from "../model/format";
import { at1, type Log, MISSING, type Trace } from "../model/trace";
import type { Node, Test } from "./nodes";
import { holds, textOf } from "./tests";
import { FIELDS } from "./words";

/** What is searched. */
export interface Searched {
  trace: Trace;
  /** Attributes; null while they are not loaded. */
  details: SpanDetails[] | null;
  nowNs: number;
  baseNs: bigint;
  zone: string;
}

type Value = Json;

/** Returns 1 for each span that is found. */
export function find(node: Node, searched: Searched): Uint8Array {
  return new Finder(searched).find(node);
}

/** Whether a search needs attributes, which are loaded when they are first needed. */
export function needsDetails(node: Node): boolean {
  if (node.type === "and" || node.type === "or") return node.items.some(needsDetails);
  if (node.type === "not" || node.type === "relative") return needsDetails(node.item);
  return node.type === "text" || !FIELDS.includes(node.key);
}

/** Whether what a search finds changes as time goes on. */
export function needsNow(node: Node): boolean {
  if (node.type === "and" || node.type === "or") return node.items.some(needsNow);
  if (node.type === "not" || node.type === "relative") return needsNow(node.item);
  return node.type === "field" && (node.key === "age" || node.key === "since");
}

class Finder {
  private readonly trace: Trace;
  private readonly logs = new Map<number, Log[]>();
  private critical: Set<number> | null = null;

  constructor(private readonly searched: Searched) {
    this.trace = searched.trace;
    for (const log of this.trace.logs) {
      const logs = this.logs.get(log.span);
      if (logs) logs.push(log);
      else this.logs.set(log.span, [log]);
    }
  }

  find(node: Node): Uint8Array {
    const { count } = this.trace;
    if (node.type === "and" || node.type === "or") {
      const isAnd = node.type === "and";
      const found = new Uint8Array(count).fill(isAnd ? 1 : 0);
      for (const item of node.items) {
        this.find(item).forEach((has, span) => {
          if ((has === 1) !== isAnd) found[span] = has;
        });
      }
      return found;
    }
    if (node.type === "not") return this.find(node.item).map((has) => 1 - has);
    if (node.type === "relative") return this.related(node.relation, this.find(node.item));
    return Uint8Array.from({ length: count }, (_, span) => (this.has(node, span) ? 1 : 0));
  }

  private related(relation: "under" | "has-child", found: Uint8Array): Uint8Array {
    const result = new Uint8Array(found.length);
    this.trace.parent.forEach((parent, span) => {
      if (parent < 0) return;
      if (relation === "has-child") {
        if (found[span]) result[parent] = 1;
      } else if (found[parent] || result[parent]) {
        result[span] = 1; // parents come before children
      }
    });
    return result;
  }

  private has(node: Exclude<Node, { item: Node } | { items: Node[] }>, span: number): boolean {
    if (node.type === "text") return this.hasText(node.value.toLowerCase(), span);
    const values = this.values(node.key, span);
    if (node.type === "has") return values.length > 0;
    if (node.key === "since") {
      const age = this.searched.nowNs - at1(this.trace.start, span);
      return node.tests.some((tests) => age <= Number(tests[0]?.value));
    }
    return node.tests.some((tests) => values.some((value) => every(tests, value)));
  }

  private hasText(wanted: string, span: number): boolean {
    const { trace } = this;
    const has = (text: string) => text.toLowerCase().includes(wanted);
    if (has(trace.name(span)) || has(trace.error(span))) return true;
    const attributes = this.searched.details?.[span]?.attributes;
    if (attributes && Object.values(attributes).some((value) => has(textOf(value)))) return true;
    return this.logs.get(span)?.some((log) => has(log.text)) ?? false;
  }

  /** Returns the values of a field or an attribute; none if the span does not have it. */
  private values(key: string, span: number): Value[] {
    if (!FIELDS.includes(key)) {
      const attributes = this.searched.details?.[span]?.attributes;
      return attributes && Object.hasOwn(attributes, key) ? [attributes[key] as Json] : [];
    }
    if (key === "is") return this.roles(span);
    if (key === "level" || key === "log") {
      return (this.logs.get(span) ?? []).map((log) => (key === "level" ? log.level : log.text));
    }
    const value = this.single(key, span);
    return value === "" ? [] : [value];
  }

  private single(key: string, span: number): Value {
    const { trace } = this;
    const isMissing = trace.state[span] === MISSING;
    const start = at1(trace.start, span);
    switch (key) {
      case "name":
        return trace.name(span);
      case "service":
        return trace.service(span);
      case "kind":
        return trace.kind(span);
      case "state":
        return trace.stateOf(span);
      case "dur":
        return isMissing ? "" : trace.duration(span);
      case "self":
        return at1(trace.self, span);
      case "age":
        return trace.isOpen(span) && !isMissing ? this.searched.nowNs - start : "";
      case "trace":
        return trace.id;
      case "span":
        return trace.ids[span] ?? "";
      case "process":
        return trace.processOf(span).id;
      case "file":
        return trace.place(span);
      case "error":
        return trace.error(span);
      case "since":
        return start;
      case "at":
        return timeOfDay(this.searched.baseNs, start, this.searched.zone).slice(0, 8);
      case "thread":
        return trace.thread(span);
      case "task":
        return trace.task(span);
      default:
        return "";
    }
  }

  private roles(span: number): string[] {
    const { trace } = this;
    const parent = at1(trace.parent, span);
    this.critical ??= new Set(trace.paths.flatMap((path) => path.segments.map(([one]) => one)));
    const roles: string[] = [];
    if (parent < 0) roles.push("root");
    if (at1(trace.firstChild, span) < 0) roles.push("leaf");
    if (this.critical.has(span)) roles.push("critical");
    if (parent >= 0 && trace.state[parent] === MISSING) roles.push("orphan");
    return roles;
  }
}

function every(tests: Test[], value: Value): boolean {
  return tests.every((test) => holds(test, value));
}
