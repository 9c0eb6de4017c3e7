/**
 * Reads messages in the forms that instrumentations write.
 *
 * - OpenTelemetry: `{role, parts: [{type, content}]}`; before 1.37, events with `{content, tool_calls}`
 * - OpenInference: `{message: {role, content, contents, tool_calls: [{tool_call}]}}`
 * - OpenAI: `{role, content, tool_calls}`, and items of its Responses; Anthropic: pieces in `content`
 * - LangChain: `{type: "human", content}`, within `kwargs` or `data`
 */

import type { Json } from "../data/contract";
import type { Message, Part } from "./model";
import { callPart, hasParts, hasResults, partsOf, resultPart } from "./parts";
import { type Fields, fieldsOf, listOf, nameIn, parsed } from "./values";

const ROLES: { [name: string]: string } = {
  human: "user",
  customer: "user",
  ai: "assistant",
  aimessagechunk: "assistant",
  model: "assistant",
  bot: "assistant",
  developer: "system",
  function: "tool",
};
const OF_MESSAGE = ["role", "parts", "content", "contents", "tool_calls", "message"];

/** Returns the messages of a value: a list, its JSON, one message, or a text that `role` says. */
export function messagesOf(value: Json | undefined, role: string): Message[] {
  const found = parsed(value);
  const fields = fieldsOf(found);
  // A request holds them as `messages` or, for the Responses of OpenAI, as `input`.
  const list = fields.messages ?? (Array.isArray(fields.input) ? fields.input : undefined);
  if (Array.isArray(list)) {
    const told = fields.instructions ?? fields.system;
    const isTold = typeof told === "string" || Array.isArray(told);
    return [...(isTold ? messagesOf(told, "system") : []), ...messagesOf(list, role)];
  }
  const all = listOf(found);
  // LangChain writes a list of conversations.
  const [first] = all;
  const flat = all.length === 1 && Array.isArray(first) ? listOf(first) : all;
  if (flat.length > 0 && flat.every(isPart)) return kept([message(role, "", partsOf(flat, role))]);
  return kept(flat.map((one) => messageOf(one, role)));
}

/** Returns whether a value is a piece of a message, and no message. */
function isPart(value: Json): boolean {
  const { type, role, content, text } = fieldsOf(value);
  if (typeof type !== "string" || role !== undefined) return false;
  return type === "text" && typeof (content ?? text) === "string";
}

function kept(messages: Message[]): Message[] {
  return messages.filter(hasParts);
}

function message(role: string, name: string, parts: Part[]): Message {
  return { role, name, parts };
}

function messageOf(value: Json, fallback: string): Message {
  let fields = fieldsOf(value);
  let role = roleIn(fields) || fallback;
  if (typeof value === "string") return message(role, "", partsOf(value, role));
  // At most as many wrappings as libraries put around a message.
  for (let wrapping = 0; wrapping < 3; wrapping++) {
    const inner = parsed(fields.message ?? fields.kwargs ?? fields.data);
    if (typeof inner === "string") return message(role, "", partsOf(inner, role));
    if (Object.keys(fieldsOf(inner)).length === 0) break;
    fields = fieldsOf(inner);
    role = roleIn(fields) || role;
  }
  const name = nameIn(fields, "name", "participant");
  const type = nameIn(fields, "type");
  if (type === "function_call_output" || type === "custom_tool_call_output")
    return message("tool", name, [resultPart(fields)]);
  if (type === "function_call" || type === "custom_tool_call")
    return message("assistant", name, [callPart(fields as Json)]);
  if (type === "reasoning") return message("assistant", name, partsOf([fields as Json], role));
  const content = fields.parts ?? fields.contents ?? fields.content ?? fields.text;
  if (role === "tool" && fields.parts === undefined && !hasResults(content))
    return message(role, name, [resultPart(fields)]);
  const isMessage = OF_MESSAGE.some((key) => key in fields);
  const said = isMessage ? partsOf(content, role) : partsOf([value], role);
  return message(role, name, [...partsOf(thoughtsOf(fields), role), ...said, ...callsOf(fields)]);
}

function roleIn(fields: Fields): string {
  // An older event is named by its role: `gen_ai.user.message`.
  const event = /^gen_ai\.(\w+)\.message$/.exec(nameIn(fields, "event.name"))?.[1];
  const choice = nameIn(fields, "event.name") === "gen_ai.choice" ? "assistant" : "";
  const role = (nameIn(fields, "role") || (event ?? choice) || langChainRole(fields)).toLowerCase();
  return Object.hasOwn(ROLES, role) ? (ROLES[role] as string) : role.slice(0, 40);
}

function langChainRole(fields: Fields): string {
  const type = nameIn(fields, "type");
  return /^(human|ai|system|tool|function|AIMessageChunk)$/.test(type) ? type : "";
}

/** Returns what some models say of their reasoning, beside the content. */
function thoughtsOf(fields: Fields): Json {
  const text = fields.reasoning_content ?? fields.thinking;
  return typeof text === "string" && text !== "" ? [{ type: "reasoning", content: text }] : [];
}

function callsOf(fields: Fields): Part[] {
  const calls = listOf(fields.tool_calls ?? fields.toolCalls).map(callPart);
  const name = nameIn(fields, "function_call_name");
  const args = fields.function_call_arguments_json ?? {};
  if (name) calls.push(callPart({ name, arguments: args }));
  else if (typeof fields.function_call === "object" && fields.function_call)
    calls.push(callPart(fields.function_call));
  return calls;
}
