/**
 * The attributes of each fact, in the order in which they are looked for.
 *
 * `gen_ai.…`: the semantic conventions of OpenTelemetry, older names last; `llm.…`, `tool.…`,
 * `input.value` and the like: OpenInference; `langfuse.…`: Langfuse; `traceloop.…`: OpenLLMetry;
 * `tool_arguments`, `final_result` and the like: Pydantic AI; `ai.…`: the AI SDK of Vercel.
 */

export const AGENT = [
  "gen_ai.agent.name",
  "agent.name",
  "agent_name",
  "gen_ai.workflow.name",
  "traceloop.entity.name",
  "traceloop.workflow.name",
];
export const TOOL = ["gen_ai.tool.name", "tool.name", "ai.toolCall.name", "traceloop.entity.name"];
export const CALL_ID = ["gen_ai.tool.call.id", "tool_call.id", "tool.id", "ai.toolCall.id"];
export const MODEL = [
  "gen_ai.response.model",
  "gen_ai.request.model",
  "llm.model_name",
  "embedding.model_name",
  "langfuse.observation.model.name",
  "ai.model.id",
];
export const PROVIDER = ["gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system"];
export const CONVERSATION = ["gen_ai.conversation.id", "session.id"];
export const FINISH = [
  "llm.finish_reason",
  "gen_ai.completion.0.finish_reason",
  "ai.response.finishReason",
];

/** Numbers of tokens; those of `…aggregated_usage` are of an agent as a whole. */
export const INPUT_TOKENS = [
  "gen_ai.usage.input_tokens",
  "gen_ai.usage.prompt_tokens",
  "llm.token_count.prompt",
  "llm.usage.prompt_tokens",
  "ai.usage.inputTokens",
  "ai.usage.promptTokens",
  "gen_ai.aggregated_usage.input_tokens",
];
export const OUTPUT_TOKENS = [
  "gen_ai.usage.output_tokens",
  "gen_ai.usage.completion_tokens",
  "llm.token_count.completion",
  "llm.usage.completion_tokens",
  "ai.usage.outputTokens",
  "ai.usage.completionTokens",
  "gen_ai.aggregated_usage.output_tokens",
];
export const CACHED_TOKENS = [
  "gen_ai.usage.cache_read.input_tokens",
  "gen_ai.usage.cache_read_input_tokens",
  "llm.token_count.prompt_details.cache_read",
];
export const REASONING_TOKENS = [
  "gen_ai.usage.reasoning.output_tokens",
  "llm.token_count.completion_details.reasoning",
];

/** What went into a tool or a step, and what came out. */
export const ARGUMENTS = [
  "gen_ai.tool.call.arguments",
  "tool_arguments",
  "ai.toolCall.args",
  "input.value",
  "gen_ai.retrieval.query.text",
  "gen_ai.memory.query.text",
  "reranker.query",
  "traceloop.entity.input",
  "langfuse.observation.input",
  "gen_ai.system_instructions",
];
export const RESULT = [
  "gen_ai.tool.call.result",
  "tool_response",
  "ai.toolCall.result",
  "gen_ai.retrieval.documents",
  "gen_ai.memory.records",
  "output.value",
  "traceloop.entity.output",
  "langfuse.observation.output",
];
