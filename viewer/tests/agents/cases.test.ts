/** Spans of many instrumentations give the conversations that the case files say. */

// @vitest-environment node

import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { isAgentSpan } from "../../src/agents/kinds";
import type { Attributes } from "../../src/data/contract";
import { type Case, conversationOfCase, outlineOf } from "./outline";

const FOLDER = "../tests/cases/agents";
const read = (name: string) => JSON.parse(readFileSync(`${FOLDER}/${name}`, "utf-8"));
const names = readdirSync(FOLDER).filter((name) => name.endsWith(".json"));

describe.each(names.filter((name) => name !== "predicate.json"))("%s", (name) => {
  const given: Case = read(name);

  test("is the conversation that is expected", () => {
    expect(outlineOf(conversationOfCase(given))).toEqual(given.outline);
  });

  test("has the spans of agents that are expected", () => {
    const found = given.spans.filter((span) => isAgentSpan(span.attributes));
    expect(found.map((span) => span.id)).toEqual(given.agents);
  });

  test("is the same whatever the order of the spans", () => {
    const turned = { ...given, spans: [...given.spans].reverse() };
    expect(outlineOf(conversationOfCase(turned))).toEqual(given.outline);
  });
});

test.each<{ attributes: Attributes; agent: boolean }>(read("predicate.json").cases)(
  "$attributes: $agent",
  ({ attributes, agent }) => {
    expect(isAgentSpan(attributes)).toBe(agent);
  },
);

test("spans without attributes are not of an agent", () => {
  expect(isAgentSpan(null)).toBe(false);
  expect(isAgentSpan(undefined)).toBe(false);
});
