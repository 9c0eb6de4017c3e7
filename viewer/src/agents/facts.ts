/** What is known of a span that belongs to an agent, whichever convention its attributes follow. */

import type { Attributes, Json, SpanDetails } from "../data/contract";
import { type Content, contentOf } from "./content";
import { isAgentSpan, kindOf } from "./kinds";
import type { AgentLog, Kind, Tokens } from "./model";
import * as names from "./names";
import { plainResult, toolMessageIn } from "./parts";
import {
  fieldsOf,
  firstCount,
  firstName,
  firstValue,
  type Indexed,
  indexedIn,
  listOf,
  nameIn,
  parsed,
} from "./values";

/** How much of a reason to stop is kept. */
const MOST_REASON = 40;

export interface Facts extends Content {
  kind: Kind;
  /** Of an agent or a tool. */
  name: string;
  model: string;
  provider: string;
  tokens: Tokens;
  finish: string;
  conversation: string;
  /** The id of the answer: two spans with the same one tell of one call. */
  answer: string;
  callId: string;
  /** What went into a tool or a step, and what came out. */
  args: Json | undefined;
  result: Json | undefined;
  offered: string[];
  /** The message of an exception; empty without one. */
  failure: string;
  /** How many characters its attributes have. */
  size: number;
}

/**
 * By its details, which are the same object as long as nothing in them changed, with how many logs
 * it had then.
 */
const known = new WeakMap<object, { facts: Facts; logs: number }>();

/** Returns what a span tells; `hasRoom`: whether its messages may be read, too. */
export function factsOf(
  details: SpanDetails,
  logs: readonly AgentLog[],
  hasRoom: (size: number) => boolean,
): Facts | null {
  if (!details) return null;
  const kept = known.get(details);
  if (kept?.logs === logs.length)
    return hasRoom(kept.facts.size) ? kept.facts : { ...kept.facts, ...NO_CONTENT };
  const attributes = fieldsOf(details.attributes) as Attributes;
  if (!isAgentSpan(attributes)) return null;
  const size = sizeOf(attributes);
  if (!hasRoom(size)) return read(attributes, {}, details, size);
  const indexed = indexedIn(attributes);
  const facts = read(attributes, indexed, details, size);
  if (facts.kind === "agent" || facts.kind === "model")
    Object.assign(facts, contentOf(attributes, indexed, details, logs));
  known.set(details, { facts, logs: logs.length });
  return facts;
}

const NO_CONTENT: Content = { input: [], output: [], history: [] };

function read(attributes: Attributes, indexed: Indexed, details: SpanDetails, size: number): Facts {
  const kind = kindOf(attributes);
  const isTold = kind === "agent" || kind === "model";
  const result = isTold ? undefined : firstValue(attributes, names.RESULT);
  return {
    ...NO_CONTENT,
    kind,
    name: firstName(attributes, kind === "tool" ? names.TOOL : names.AGENT),
    model: firstName(attributes, names.MODEL),
    provider: firstName(attributes, names.PROVIDER),
    tokens: tokensIn(attributes),
    finish: finishIn(attributes),
    conversation: firstName(attributes, names.CONVERSATION),
    answer: nameIn(attributes, "gen_ai.response.id"),
    callId: firstName(attributes, names.CALL_ID) || nameIn(toolMessageIn(result), "tool_call_id"),
    args: isTold ? undefined : argumentsIn(attributes),
    result: documentsIn(indexed) ?? (result === undefined ? undefined : plainResult(result)),
    offered: isTold ? offeredIn(attributes, indexed) : [],
    failure: failureOf(details),
    size,
  };
}

/** Returns how many characters attributes have. */
function sizeOf(attributes: Attributes): number {
  let size = 0;
  const waiting: Json[] = [attributes];
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    if (typeof value === "string") size += value.length;
    else if (typeof value === "object" && value !== null) {
      const within = Object.values(value);
      size += within.length;
      for (const one of within) waiting.push(one);
    }
  }
  return size;
}

function tokensIn(attributes: Attributes): Tokens {
  const used = fieldsOf(parsed(attributes["langfuse.observation.usage_details"]));
  return {
    input:
      firstCount(attributes, names.INPUT_TOKENS) ??
      firstCount(used, ["input", "prompt_tokens", "input_tokens"]),
    output:
      firstCount(attributes, names.OUTPUT_TOKENS) ??
      firstCount(used, ["output", "completion_tokens", "output_tokens"]),
    cached: firstCount(attributes, names.CACHED_TOKENS),
    reasoning: firstCount(attributes, names.REASONING_TOKENS),
  };
}

function finishIn(attributes: Attributes): string {
  const [first] = listOf(attributes["gen_ai.response.finish_reasons"]);
  const reason = typeof first === "string" ? first : firstName(attributes, names.FINISH);
  return reason.slice(0, MOST_REASON);
}

/** Returns what went into a tool, without what libraries put around it. */
function argumentsIn(attributes: Attributes): Json | undefined {
  const value = parsed(firstValue(attributes, names.ARGUMENTS));
  const fields = fieldsOf(value);
  // Langfuse writes a call of a function, LangChain a text among what it knows of the run.
  if (Array.isArray(fields.args) && fields.kwargs !== undefined)
    return fields.args.length === 0 ? fields.kwargs : fields.args;
  return typeof fields.input_str === "string" ? fields.input_str : value;
}

function documentsIn(indexed: Indexed): Json | undefined {
  return indexed["retrieval.documents"]?.map((one) => fieldsOf(one).document ?? one);
}

/** Returns the names of the tools that a model may call. */
function offeredIn(attributes: Attributes, indexed: Indexed): string[] {
  const given = listOf(attributes["gen_ai.tool.definitions"]);
  const listed = indexed["llm.tools"] ?? [];
  const names = [...given, ...listed].map((one) => {
    const tool = fieldsOf(parsed(fieldsOf(fieldsOf(one).tool).json_schema) ?? one);
    return nameIn(tool, "name") || nameIn(fieldsOf(tool.function), "name");
  });
  return [...new Set(names.filter(Boolean))].slice(0, 100);
}

/** Returns type and message of the last exception of a span. */
function failureOf(details: SpanDetails): string {
  const events = Array.isArray(details?.events) ? details.events : [];
  const last = events.filter((event) => event?.name === "exception").at(-1);
  const fields = fieldsOf(last?.attributes);
  const parts = [nameIn(fields, "exception.type"), nameIn(fields, "exception.message")];
  return parts.filter(Boolean).join(": ");
}
