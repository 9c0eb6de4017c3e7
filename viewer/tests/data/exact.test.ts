/** Whole numbers of any length stay exact: read, shown, copied, searched. */

import { expect, test } from "vitest";
import { parseExact, toJson } from "../../src/data/exact";
import { holds, textOf } from "../../src/search/tests";

test.each([
  ["9007199254740991", 9007199254740991],
  ["9007199254740993", 9007199254740993n],
  ["-9223372036854775808", -9223372036854775808n],
  ["0.12345678901234567", 0.12345678901234566],
  ["1.2345678901234567e30", 1.2345678901234567e30],
  ["1e-12345678901234567", 0],
  ['"9007199254740993"', "9007199254740993"],
  ['"a \\" 9007199254740993"', 'a " 9007199254740993'],
])("%s", (text, value) => {
  expect(parseExact(text)).toEqual(value);
});

test("numbers within lists and objects, beside texts that look like them", () => {
  const text =
    '{"id":9007199254740993,"a":[1,-12345678901234567890,"12345678901234567890"],"b":{}}';
  const value = parseExact(text) as { id: never };
  expect(toJson(value)).toBe(text);
  expect(toJson(value, 2)).toContain('\n    -12345678901234567890,\n    "12345678901234567890"');
  expect(textOf(value.id)).toBe("9007199254740993");
});

test("a key that is a prototype is only a key", () => {
  const value = parseExact('{"__proto__":{"x":9007199254740993}}') as object;
  expect(Object.keys(value)).toEqual(["__proto__"]);
  expect((value as { x?: unknown }).x).toBeUndefined();
});

test("searches compare them", () => {
  expect(holds({ operator: "is", value: "9007199254740993" }, 9007199254740993n)).toBe(true);
  expect(holds({ operator: "is", value: "9007199254740992" }, 9007199254740993n)).toBe(false);
  expect(holds({ operator: ">", value: "5" }, 9007199254740993n)).toBe(true);
  expect(holds({ operator: ">", value: "a" }, 9007199254740993n)).toBe(false);
});

test("what is not JSON is refused, deep values are not", () => {
  expect(() => parseExact("{9007199254740993}")).toThrow(SyntaxError);
  const deep = (levels: number) => `${"[".repeat(levels)}9007199254740993${"]".repeat(levels)}`;
  expect(toJson(parseExact(deep(100)) as never)).toBe(deep(100));
  expect(Array.isArray(parseExact(deep(3000)))).toBe(true);
});
