/** Files are cut at line ends, whatever their lines are. */

import { expect, test } from "vitest";
import { isText, type Piece, piecesOf } from "../../src/live/pieces";

const decoder = new TextDecoder("utf-8", { fatal: true });

async function cut(text: string, most: number): Promise<Piece[]> {
  const pieces: Piece[] = [];
  for await (const piece of piecesOf(new Blob([text]), most)) pieces.push(piece);
  return pieces;
}

async function texts(text: string, most: number): Promise<(string | null)[]> {
  return (await cut(text, most)).map(({ bytes }) => bytes && decoder.decode(bytes));
}

test("pieces end where lines end, and say which lines they have", async () => {
  expect(await texts("one\ntwo\nthree\nfour\n", 9)).toEqual(["one\ntwo\n", "three\n", "four\n"]);
  const pieces = await cut("one\ntwo\nthree\nfour\n", 9);
  expect(pieces.map(({ line }) => line)).toEqual([0, 2, 3]);
  expect(pieces.map(({ end }) => end)).toEqual([8, 14, 19]);
});

test("a line that just fits is a piece, with its newline", async () => {
  expect(await texts("abc\nabc\n", 4)).toEqual(["abc\n", "abc\n"]);
});

test("the last line may lack its newline", async () => {
  expect(await texts("one\ntwo\nthr", 6)).toEqual(["one\n", "two\n", "thr"]);
  expect(await texts("one", 3)).toEqual(["one"]);
});

test("a line that is longer than a piece is left out, and those around it are not", async () => {
  const pieces = await cut(`one\n${"x".repeat(25)}\ntwo\n`, 8);
  expect(pieces.map(({ bytes }) => bytes && decoder.decode(bytes))).toEqual([
    "one\n",
    null,
    "two\n",
  ]);
  expect(pieces.map(({ line }) => line)).toEqual([0, 1, 2]);
  expect(await texts("x".repeat(25), 8)).toEqual([null]);
  expect(await texts(`${"x".repeat(25)}\n`, 8)).toEqual([null]);
});

test("no character is cut, wherever a piece would end", async () => {
  const text = "å–𝄞\nλ𝄞\n𝄞𝄞\nend";
  for (let most = 10; most < 30; most++) {
    const pieces = await texts(text, most);
    expect(pieces.join("")).toBe(text);
    for (const piece of pieces.slice(0, -1)) expect(piece?.endsWith("\n")).toBe(true);
  }
});

test("a large file is read piece by piece, and no further than it is asked for", async () => {
  const asked: [number, number][] = [];
  const blob = new Blob(["0123456\n".repeat(100)]);
  const file = {
    size: blob.size,
    slice: (from: number, to: number) => {
      asked.push([from, to]);
      return blob.slice(from, to);
    },
  };
  const pieces = piecesOf(file as Blob, 20);
  await pieces.next();
  await pieces.next();
  expect(asked).toEqual([
    [0, 20],
    [16, 36],
  ]);
});

test("an empty file has no pieces", async () => {
  expect(await texts("", 8)).toEqual([]);
});

test("only UTF-8 counts as text, also if its last character is cut off", () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  expect(isText(bytes('{"a": "å"}\n'))).toBe(true);
  expect(isText(bytes(`${"x".repeat(4095)}å`))).toBe(true);
  expect(isText(new Uint8Array([0x1f, 0x8b, 8, 0]))).toBe(false);
  expect(isText(new Uint8Array([0x61, 0xe5, 0x0a]))).toBe(false);
  expect(isText(bytes("a\0b"))).toBe(false);
});
