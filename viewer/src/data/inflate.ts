/** Reads JSON that is compressed with gzip and written as base64. */

import { parseExact } from "./exact";

/** Returns the value; rejects if the text is damaged. */
export async function inflate(text: string): Promise<unknown> {
  return JSON.parse(await inflated(text));
}

/** Returns the value; whole numbers that a number cannot hold are `bigint`. */
export async function inflateExact(text: string): Promise<unknown> {
  return parseExact(await inflated(text));
}

async function inflated(text: string): Promise<string> {
  const binary = atob(text.trim());
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}
