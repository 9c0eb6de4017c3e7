/**
 * Finds the messages of a span among the places where instrumentations write them.
 *
 * - `gen_ai.input.messages`, `gen_ai.output.messages`, `gen_ai.system_instructions`: the semantic
 *   conventions of OpenTelemetry since 1.37 (github.com/open-telemetry/semantic-conventions-genai,
 *   docs/gen-ai), as JSON or as values
 * - before that, events `gen_ai.user.message`, `gen_ai.choice` and so on, of the span or as logs
 *   (github.com/open-telemetry/semantic-conventions at v1.36.0, docs/gen-ai/gen-ai-events.md); and
 *   before that, events `gen_ai.content.prompt` and `gen_ai.content.completion`
 * - `llm.input_messages.N.message…`, `input.value`: OpenInference
 *   (github.com/Arize-ai/openinference, spec/semantic_conventions.md)
 * - `gen_ai.prompt.N…`, `gen_ai.completion.N…`, `traceloop.entity…`: OpenLLMetry before 0.50
 * - `events`, `all_messages_events`, `pydantic_ai.all_messages`: Pydantic AI; `request_data`,
 *   `response_data`: Logfire; `langfuse.observation…`: Langfuse; `ai.…`: the AI SDK of Vercel
 */

import type { Attributes, Json, SpanDetails } from "../data/contract";
import { messagesOf } from "./messages";
import type { AgentLog, Message } from "./model";
import { type Fields, fieldsOf, firstValue, type Indexed, listOf, nameIn, parsed } from "./values";

/** What went into a span and what came out. */
export interface Content {
  input: Message[];
  output: Message[];
  /** The whole history, as some libraries write it when an agent ends. */
  history: Message[];
}

const MESSAGE = /^gen_ai\.(system|user|assistant|tool)\.message$/;
const DETAILS = "gen_ai.client.inference.operation.details";

/** Returns the messages of a span; `logs` are those of the span. */
export function contentOf(
  attributes: Attributes,
  indexed: Indexed,
  details: SpanDetails,
  logs: readonly AgentLog[],
): Content {
  const listed = eventsIn(listOf(attributes.events));
  const of = (key: string, role: string) => messagesOf(attributes[key], role);
  const events = eventsIn(eventFields(details, logs));
  const input = firstOf([
    () => of("gen_ai.input.messages", "user"),
    () => messagesOf(indexed["llm.input_messages"], "user"),
    () => of("llm.input_messages", "user"),
    () => messagesOf(indexed["gen_ai.prompt"], "user"),
    () => of("gen_ai.prompt", "user"),
    () => listed.input,
    () => events.input,
    () => of("langfuse.observation.input", "user"),
    () => of("ai.prompt.messages", "user"),
    () => of("request_data", "user"),
    () => of("input.value", "user"),
    () => of("traceloop.entity.input", "user"),
  ]);
  const output = firstOf([
    () => of("gen_ai.output.messages", "assistant"),
    () => messagesOf(indexed["llm.output_messages"], "assistant"),
    () => of("llm.output_messages", "assistant"),
    () => messagesOf(indexed["gen_ai.completion"], "assistant"),
    () => of("gen_ai.completion", "assistant"),
    () => listed.output,
    () => events.output,
    () => of("langfuse.observation.output", "assistant"),
    () => responseOf(attributes),
    () => of("response_data", "assistant"),
    () => choicesOf(attributes["output.value"]),
    () => of("traceloop.entity.output", "assistant"),
  ]);
  const told = of("gen_ai.system_instructions", "system");
  const history = firstOf([
    () => of("pydantic_ai.all_messages", "user"),
    () => of("all_messages_events", "user"),
  ]);
  return { input: [...told, ...input], output, history };
}

function firstOf(sides: (() => Message[])[]): Message[] {
  for (const side of sides) {
    const found = side();
    if (found.length > 0) return found;
  }
  return [];
}

/** Returns the events of a span, and those that are logs of it, with their names as `event.name`. */
function eventFields(details: SpanDetails, logs: readonly AgentLog[]): Json[] {
  const events = Array.isArray(details?.events) ? details.events : [];
  const own = events.map((event): Json => {
    const fields = fieldsOf(event?.attributes);
    return withContent({ ...fields, "event.name": String(event?.name) });
  });
  const logged = logs.map((log): Json => {
    const attributes = fieldsOf(parsed(log.attributes));
    const body = fieldsOf(parsed(attributes.body ?? log.text));
    const name = nameIn(attributes, "event.name", "event_name") || log.text;
    return withContent({ ...attributes, ...body, "event.name": name });
  });
  return [...own, ...logged];
}

/** Takes in what some write as one JSON text within an event. */
function withContent(fields: Fields): Json {
  return { ...fields, ...fieldsOf(parsed(fields["gen_ai.event.content"])) } as Json;
}

/** Divides events of messages into what was said to the model and what it answered. */
function eventsIn(events: Json[]): { input: Message[]; output: Message[] } {
  const input: Message[] = [];
  const output: Message[] = [];
  for (const event of events) {
    const fields = fieldsOf(event);
    const name = nameIn(fields, "event.name");
    if (MESSAGE.test(name)) input.push(...messagesOf([event], "user"));
    else if (name === "gen_ai.choice") output.push(...messagesOf([event], "assistant"));
    else if (name === "gen_ai.content.prompt")
      input.push(...messagesOf(firstValue(fields, ["gen_ai.prompt", "content"]), "user"));
    else if (name === "gen_ai.content.completion")
      output.push(...messagesOf(firstValue(fields, ["gen_ai.completion", "content"]), "assistant"));
    else if (name === DETAILS) {
      input.push(...messagesOf(fields["gen_ai.system_instructions"], "system"));
      input.push(...messagesOf(fields["gen_ai.input.messages"], "user"));
      output.push(...messagesOf(fields["gen_ai.output.messages"], "assistant"));
    }
  }
  return { input, output };
}

/** Returns what the AI SDK writes of an answer: its text and its calls of tools. */
function responseOf(attributes: Attributes): Message[] {
  const content = attributes["ai.response.text"] ?? "";
  const calls = listOf(attributes["ai.response.toolCalls"]);
  if (content === "" && calls.length === 0) return [];
  return messagesOf([{ role: "assistant", content, tool_calls: calls }], "assistant");
}

/** Returns the messages of an answer of OpenAI's, or of any other value. */
function choicesOf(value: Json | undefined): Message[] {
  const answer = fieldsOf(parsed(value));
  const list = answer.choices ?? (answer.object === "response" ? answer.output : undefined);
  return messagesOf(Array.isArray(list) ? list : value, "assistant");
}
