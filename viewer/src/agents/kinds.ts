/** Whether a span is one of an agent, and what it is to a conversation. */

import { except, keys, prefixes } from "../../../otel_ext/record/schema/agent_keys.json";
import type { Attributes } from "../data/contract";
import type { Kind } from "./model";

const KEYS = new Set(keys);
/** The attributes that make a span one of an agent, for people. */
export const LOOKED_FOR: readonly string[] = [...prefixes.map((prefix) => `${prefix}*`), ...keys];
const EXCEPT: { [key: string]: string[] | undefined } = except;

/**
 * Returns whether a span is one of an agent: its own run, a call of a model, a tool and the like.
 *
 * By the keys of `agent_keys.json`, which the server reads too.
 */
export function isAgentSpan(attributes: Attributes | null | undefined): boolean {
  for (const key in attributes ?? {}) {
    if (prefixes.some((prefix) => key.startsWith(prefix))) return true;
    if (KEYS.has(key) && !EXCEPT[key]?.some((value) => value === attributes?.[key])) return true;
  }
  return false;
}

/**
 * The attributes that name what a span is, and what their values mean; the first that says more
 * than `link` decides.
 *
 * - `gen_ai.operation.name`: the semantic conventions of OpenTelemetry
 * - `openinference.span.kind`: OpenInference; `traceloop.span.kind`, `llm.request.type`: OpenLLMetry
 * - `langfuse.observation.type`: Langfuse; `ai.operationId`: the AI SDK of Vercel
 */
const NAMING: [key: string, kinds: { [value: string]: Kind }][] = [
  [
    "gen_ai.operation.name",
    {
      chat: "model",
      text_completion: "model",
      generate_content: "model",
      completion: "model",
      invoke_agent: "agent",
      invoke_workflow: "agent",
      execute_tool: "tool",
      retrieval: "retrieval",
      embeddings: "embedding",
      create_agent: "step",
      search_memory: "step",
    },
  ],
  [
    "openinference.span.kind",
    {
      llm: "model",
      agent: "agent",
      tool: "tool",
      retriever: "retrieval",
      reranker: "retrieval",
      embedding: "embedding",
      guardrail: "step",
      evaluator: "step",
    },
  ],
  ["traceloop.span.kind", { workflow: "agent", agent: "agent", tool: "tool" }],
  [
    "langfuse.observation.type",
    {
      generation: "model",
      agent: "agent",
      tool: "tool",
      retriever: "retrieval",
      embedding: "embedding",
      guardrail: "step",
      evaluator: "step",
    },
  ],
  ["llm.request.type", { chat: "model", completion: "model", embedding: "embedding" }],
  [
    "ai.operationId",
    {
      "ai.generatetext": "agent",
      "ai.streamtext": "agent",
      "ai.generatetext.dogenerate": "model",
      "ai.streamtext.dostream": "model",
      "ai.toolcall": "tool",
    },
  ],
];

/** Attributes that tell what a span is where none names it, as in older instrumentations. */
const TELLING: [key: string, kind: Kind][] = [
  ["gen_ai.tool.name", "tool"],
  ["all_messages_events", "agent"],
  ["pydantic_ai.all_messages", "agent"],
  ["gen_ai.request.model", "model"],
  ["gen_ai.agent.name", "agent"],
];

/** Returns what a span is to a conversation; `link` also for spans that are not of an agent. */
export function kindOf(attributes: Attributes): Kind {
  let isNamed = false;
  for (const [key, kinds] of NAMING) {
    const value = attributes[key];
    if (typeof value !== "string") continue;
    isNamed = true;
    const name = value.toLowerCase();
    if (Object.hasOwn(kinds, name)) return kinds[name] as Kind;
  }
  if (isNamed) return "link";
  return TELLING.find(([key]) => attributes[key] != null)?.[1] ?? "link";
}
