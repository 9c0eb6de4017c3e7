/** Every colour can be told from its ground: text 4.5 to 1, bars 3 to 1, in light and dark. */

// @vitest-environment node

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

const css = readFileSync("src/view/styles/colours.css", "utf-8");
const STATES = ["running", "stalled", "abandoned", "error", "ended"];

describe.each([
  ["light", ":root {"],
  ["dark", ':root[data-theme="dark"] {'],
])("%s", (_, opening) => {
  const colours = coloursOf(opening);
  const of = (name: string) => colours.get(`--${name}`) ?? "";

  test.each(STATES)("%s", (state) => {
    for (const ground of ["ground", "odd", "selected"]) {
      expect(contrast(of(state), of(ground))).toBeGreaterThanOrEqual(3);
      expect(contrast(of(`${state}-text`), of(ground))).toBeGreaterThanOrEqual(4.5);
    }
    expect(contrast(of(`${state}-inside`), of(state))).toBeGreaterThanOrEqual(4.5);
    expect(contrast(of("text"), of(`${state}-fill`))).toBeGreaterThanOrEqual(4.5);
  });

  test("text, dim text, focus and services", () => {
    for (const ground of ["ground", "odd", "selected"]) {
      expect(contrast(of("text"), of(ground))).toBeGreaterThanOrEqual(4.5);
      expect(contrast(of("dim"), of(ground))).toBeGreaterThanOrEqual(4.5);
      expect(contrast(of("focus"), of(ground))).toBeGreaterThanOrEqual(3);
      for (let hue = 0; hue < 8; hue++)
        expect(contrast(of(`hue${hue}`), of(ground))).toBeGreaterThanOrEqual(3);
    }
  });
});

test("the dark colours of the system and of the switch are the same", () => {
  const system = coloursOf(':root:not([data-theme="light"]) {');
  expect(system).toEqual(coloursOf(':root[data-theme="dark"] {'));
});

function coloursOf(opening: string): Map<string, string> {
  const from = css.indexOf(opening);
  const block = css.slice(from, css.indexOf("}", from));
  return new Map(
    [...block.matchAll(/(--[\w-]+): (#[0-9a-f]{6});/g)].map(([, name = "", value = ""]) => [
      name,
      value,
    ]),
  );
}

function contrast(one: string, other: string): number {
  const [light = 0, dark = 0] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
