/** Finds running spans by a search; what is not known of a running span has no value. */

import type { ProcessNow, RunningSpan } from "../../live/contract";
import type { Node } from "../../search/nodes";
import { holds } from "../../search/tests";

export interface RunningWithProcess {
  span: RunningSpan;
  process: ProcessNow | undefined;
  ageNs: number;
}

export function matchesRunning(node: Node, one: RunningWithProcess): boolean {
  switch (node.type) {
    case "and":
      return node.items.every((item) => matchesRunning(item, one));
    case "or":
      return node.items.some((item) => matchesRunning(item, one));
    case "not":
      return !matchesRunning(node.item, one);
    case "text":
      return hasText(node.value.toLowerCase(), one);
    case "has":
      return fieldOf(node.key, one) !== "";
    case "relative":
      return false;
    default: {
      const value = fieldOf(node.key, one);
      if (node.key === "since")
        return node.tests.some((tests) => one.ageNs <= Number(tests[0]?.value));
      if (value === "") return false;
      return node.tests.some((tests) => tests.every((test) => holds(test, value)));
    }
  }
}

function hasText(wanted: string, { span, process }: RunningWithProcess): boolean {
  const texts = [span.name, span.service, span.where, span.opened_at, process?.label ?? ""];
  return texts.some((text) => text.toLowerCase().includes(wanted));
}

function fieldOf(key: string, { span, ageNs }: RunningWithProcess): string | number {
  switch (key) {
    case "name":
      return span.name;
    case "service":
      return span.service;
    case "state":
      return span.state;
    case "dur":
    case "age":
      return ageNs;
    case "trace":
      return span.trace_id;
    case "span":
      return span.span_id;
    case "process":
      return span.process;
    case "thread":
      return span.thread;
    case "task":
      return span.task;
    case "file":
      return span.opened_at;
    case "is":
      return span.root ? "root" : "";
    default:
      return "";
  }
}
