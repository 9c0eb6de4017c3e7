/** Reads the pieces of a message in the forms that instrumentations write. */

import type { Json } from "../data/contract";
import type { Message, Part } from "./model";
import { canonical, type Fields, fieldsOf, firstValue, listOf, nameIn, parsed } from "./values";

const MOST_PARTS = 1_000;
/** Names of one thing: OpenTelemetry, OpenAI, Anthropic, AI SDK. */
const CALLS = /^(server_)?tool[_-](call|use)$|^(custom_)?(function|tool)_call$/;
const RESULTS = /^(server_)?tool[_-](call_response|result)$|^(function|custom_tool)_call_output$/;
const REASONING = /reasoning|thinking|^summary_text$/;
const TEXTS = /^((in|out)put_)?text$|^refusal$/;
const RESULT_KEYS = [
  ...["response", "result", "output", "content", "contents"],
  "server_tool_call_response",
];
const MEDIA = /image|audio|video|^(blob|file|uri|media|document|binary)/;

/** Returns the pieces of what stands as the content of a message. */
export function partsOf(content: Json | undefined, role: string): Part[] {
  return listOf(looksLikeParts(content) ? parsed(content) : wrapped(content))
    .slice(0, MOST_PARTS)
    .flatMap((part) => partOf(part, role));
}

/** Only a list of typed pieces is taken from JSON: what a person writes may be JSON too. */
function looksLikeParts(content: Json | undefined): boolean {
  return typeof content !== "string" || /^\s*\[\s*\{[^{}]*"type"\s*:/.test(content.slice(0, 200));
}

function wrapped(content: Json | undefined): Json {
  return content === "" || content === undefined ? [] : [content];
}

function partOf(part: Json, role: string): Part[] {
  if (typeof part === "string") return part.trim() === "" ? [] : [textPart(part, role)];
  // OpenInference nests each piece once more.
  const fields = fieldsOf(fieldsOf(part).message_content ?? part);
  const type = nameIn(fields, "type");
  if (CALLS.test(type)) return [callPart(part)];
  if (RESULTS.test(type)) return [resultPart(fields)];
  const text = firstValue(fields, ["content", "text", "thinking", "refusal", "summary"]);
  if (REASONING.test(type) || "thinking" in fields)
    return textsIn(text).map((one) => ({ type: "reasoning", text: one, key: `r ${one.trim()}` }));
  if (TEXTS.test(type) || (type === "" && typeof text === "string"))
    return textsIn(text).map((one) => textPart(one, role));
  if (MEDIA.test(type)) return [mediaPart(type, fields)];
  if (part === null) return [];
  return [{ type: "data", name: type, value: part, key: `d ${role} ${canonical(part)}` }];
}

function textPart(text: string, role: string): Part {
  return { type: "text", text, key: `${role} ${text.trim()}` };
}

/** Returns the texts of a text, or of a list of texts or of objects with one. */
function textsIn(value: Json | undefined): string[] {
  if (typeof value === "string") return value.trim() === "" ? [] : [value];
  if (!Array.isArray(value)) return [];
  return value.slice(0, MOST_PARTS).flatMap((one) => {
    const text = typeof one === "string" ? one : fieldsOf(one).text;
    return typeof text === "string" && text.trim() !== "" ? [text] : [];
  });
}

/** Returns a call of a tool; OpenAI nests name and arguments, OpenInference all of it. */
export function callPart(value: Json): Part {
  const outer = fieldsOf(fieldsOf(value).tool_call ?? value);
  const inner = { ...outer, ...fieldsOf(outer.function) };
  const id = nameIn(outer, "call_id", "id", "toolCallId", "tool_call_id");
  const name = nameIn(inner, "name", "toolName");
  const given = firstValue(inner, ["arguments", "args", "input", "server_tool_call", "parameters"]);
  const args = parsed(given) ?? {};
  return { type: "call", id, name, args, key: `c ${id} ${name} ${canonical(args)}` };
}

/** Returns the result of a tool. */
export function resultPart(fields: Fields): Part {
  const id = nameIn(fields, "tool_call_id", "tool_use_id", "call_id", "toolCallId", "id");
  const name = nameIn(fields, "name", "toolName", "tool_name");
  const given = firstValue(fields, RESULT_KEYS);
  const value = plainResult(given);
  return { type: "result", id, name, value, key: `t ${id} ${canonical(value)}` };
}

/** Returns what a tool gave, without what libraries put around it. */
export function plainResult(given: Json | undefined): Json {
  const value = parsed(given) ?? "";
  const { content } = toolMessageIn(value);
  if (content !== undefined) return content;
  if (!Array.isArray(value) || value.length === 0 || value.length > MOST_PARTS) return value;
  const texts = value.map((one) => {
    const part = fieldsOf(fieldsOf(one).message_content ?? one);
    return TEXTS.test(nameIn(part, "type")) ? (part.text ?? part.content) : undefined;
  });
  return texts.every((text) => typeof text === "string") ? texts.join("\n") : value;
}

/** LangChain writes a tool's message as a whole: `{"output": {"kwargs": {"content": …}}}`. */
export function toolMessageIn(value: Json | undefined): Fields {
  const fields = fieldsOf(parsed(value));
  const message = fieldsOf(fields.kwargs ?? fields.data ?? fieldsOf(fields.output).kwargs);
  return "tool_call_id" in message ? message : {};
}

/** Returns what a picture or a file is, without its bytes. */
function mediaPart(type: string, fields: Fields): Part {
  const inner = fieldsOf(fields.image_url ?? fields.image ?? fields.source ?? fields.file);
  const all = { ...fieldsOf(inner.image), ...inner, ...fields };
  const kind = nameIn(all, "mime_type", "media_type", "mimeType", "modality") || type;
  const place = nameIn(all, "uri", "url", "file_id", "image_url", "image.url", "filename");
  const bytes = [all.content, all.data, all.url].find((one) => typeof one === "string");
  const isInline = typeof bytes === "string" && (place === "" || place.startsWith("data:"));
  const text = isInline ? `${Math.ceil((bytes.length * 3) / 4 / 1024)} kB, not shown` : place;
  const key = `m ${kind} ${text} ${isInline ? bytes.slice(0, 100) : ""}`;
  return { type: "media", media: kind, text, key };
}

/** Returns whether a content is of results of tools, each with the id of its call. */
export function hasResults(content: Json | undefined): boolean {
  return Array.isArray(content) && RESULTS.test(nameIn(fieldsOf(content[0]), "type"));
}

/** Returns whether a message says anything. */
export function hasParts(message: Message): boolean {
  return message.parts.length > 0;
}
