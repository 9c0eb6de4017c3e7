/** Files of records are sent in pieces, and the page says what became of them. */

import { beforeEach, expect, test } from "vitest";
import { TEXTS } from "../../demo/hostile";
import { Adding, inFile } from "../../src/app/adding/model";
import { PIECE_BYTES } from "../../src/live/pieces";
import { answer, FakeServer } from "../live/fakes";
import { eventually } from "../view/mounting";
import { mountApp, type, usualServer } from "./mountApp";

const LINE = '{"__tracer_meta__":{}}\n';
const decoder = new TextDecoder();

let server: FakeServer;
let pauses: number[];
let adding: Adding;
let bodies: string[];

beforeEach(() => {
  server = new FakeServer();
  pauses = [];
  bodies = [];
  adding = new Adding(server.client, async (seconds) => {
    pauses.push(seconds);
  });
  server.routes.set("records", (_, { body }) => {
    bodies.push(decoder.decode(body as Uint8Array));
    return countedAnswer(bodies.at(-1) ?? "");
  });
});

function countedAnswer(body: string) {
  const lines = body.split("\n").filter(Boolean);
  const wrong = lines.findIndex((line) => !line.includes("__tracer_meta__"));
  const rejected = lines.filter((line) => !line.includes("__tracer_meta__")).length;
  const reasons = wrong < 0 ? "" : `line ${wrong + 1}: has no __tracer_meta__`;
  return { accepted: lines.length - rejected, rejected, reasons };
}

function busy(retryAfter?: string): Response {
  const error = { message: "Too many records wait to be stored", hint: "Send them again later." };
  return new Response(JSON.stringify({ error }), {
    status: 503,
    headers: retryAfter === undefined ? {} : { "retry-after": retryAfter },
  });
}

test("a file is sent in pieces, and what was accepted and refused is counted", async () => {
  const many = LINE.repeat(Math.ceil(PIECE_BYTES / LINE.length) + 1);
  await adding.add([new File([many, '{"user":"ann"}\n', LINE], "a.jsonl")]);
  expect(bodies.length).toBe(2);
  expect(bodies.join("")).toBe(`${many}{"user":"ann"}\n${LINE}`);
  const lines = many.length / LINE.length;
  expect(adding.files.value).toEqual([
    {
      name: "a.jsonl",
      accepted: lines + 1,
      refused: 1,
      reasons: [`line ${lines + 1}: has no __tracer_meta__`],
      problem: null,
    },
  ]);
  expect(adding.progress.value).toBeNull();
});

test("the request is one of the page's own, with the media type of lines", async () => {
  let given: RequestInit = {};
  server.routes.set("records", (_, init) => {
    given = init;
    return countedAnswer(LINE);
  });
  await adding.add([new File([LINE], "a.jsonl")]);
  expect(given.method).toBe("POST");
  expect(given.headers).toEqual({ "content-type": "application/x-ndjson" });
  expect(given.mode).toBeUndefined();
  expect(given.credentials).toBeUndefined();
});

test("a busy server is asked again when it says, and then less and less often", async () => {
  const answers = [busy("1"), busy("1"), busy("1"), countedAnswer(LINE)];
  server.routes.set("records", () => answers.shift());
  await adding.add([new File([LINE], "a.jsonl")]);
  expect(pauses).toEqual([1, 2, 4]);
  expect(adding.files.value[0]).toMatchObject({ accepted: 1, problem: null });
});

test("a server that stays busy ends it, with its own words, for the other files too", async () => {
  server.routes.set("records", () => busy("1"));
  await adding.add([new File([LINE], "a.jsonl"), new File([LINE], "b.jsonl")]);
  expect(pauses).toEqual([1, 2, 4, 8, 16, 30]);
  expect(adding.files.value.map(({ name }) => name)).toEqual(["a.jsonl"]);
  expect(adding.files.value[0]?.problem).toEqual({
    message: "was not sent to its end: Too many records wait to be stored",
    hint: "Send them again later. The files after it were not sent (1).",
  });
});

test("other errors are not tried again", async () => {
  const error = { message: "This server needs a token", hint: "Open a one-time link." };
  for (const given of [answer({ error }, 401), answer({ error }, 413), busy()]) {
    server.routes.set("records", () => given);
    await adding.add([new File([LINE], "a.jsonl")]);
    expect(adding.files.value[0]?.problem?.message).toMatch(/token|wait/);
  }
  expect(pauses).toEqual([]);
  server.isAway = true;
  await adding.add([new File([LINE], "a.jsonl")]);
  expect(adding.files.value[0]?.problem?.message).toContain("does not answer");
});

test("a file without records is named, and the way out; no more of it is sent", async () => {
  const log = "INFO started\n".repeat(Math.ceil((2 * PIECE_BYTES) / 13));
  await adding.add([
    new File(["INFO started\n"], "app.log"),
    new File([log], "large.log"),
    new File([], "empty.jsonl"),
    new File([new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0])], "image.png"),
    new File(["x".repeat(PIECE_BYTES + 1)], "line.json"),
    new File([LINE], "good.jsonl"),
  ]);
  expect(bodies.length).toBe(3);
  const found = adding.files.value.map(({ name, problem }) => [name, problem?.message]);
  expect(found).toEqual([
    ["app.log", "has no records"],
    ["large.log", "has no records at its beginning; the rest was not sent"],
    ["empty.jsonl", "is empty"],
    ["image.png", "is not text"],
    ["line.json", "has no records at its beginning; the rest was not sent"],
    ["good.jsonl", undefined],
  ]);
  expect(adding.files.value[0]?.problem?.hint).toContain("otel-ext convert");
});

test("a file that the browser cannot read is no error of the server", async () => {
  const file = new File([LINE], "folder");
  file.slice = () => {
    throw new DOMException("A requested file could not be found", "NotFoundError");
  };
  await adding.add([file, new File([LINE], "good.jsonl")]);
  expect(adding.files.value[0]?.problem?.message).toBe("cannot be read");
  expect(adding.files.value[1]?.problem).toBeNull();
});

test("it can be stopped, also while the server is waited for", async () => {
  const waiting = new Adding(server.client);
  server.routes.set("records", () => busy("600"));
  const done = waiting.add([new File([LINE], "a.jsonl"), new File([LINE], "b.jsonl")]);
  await eventually(() => waiting.progress.value?.isWaiting);
  waiting.stop();
  await done;
  expect(waiting.files.value.map(({ problem }) => problem?.message)).toEqual(["was stopped"]);
  expect(waiting.progress.value).toBeNull();
});

test("files that come meanwhile are sent after the others", async () => {
  const both = [
    adding.add([new File([LINE], "a.jsonl")]),
    adding.add([new File([LINE], "b.jsonl")]),
  ];
  await Promise.all(both);
  expect(adding.files.value.map(({ name }) => name)).toEqual(["a.jsonl", "b.jsonl"]);
});

test("reasons name the lines of the file", () => {
  expect(inFile("line 1: no; line 20: no (2 times); and line 3 more", 100)).toBe(
    "line 101: no; line 120: no (2 times); and line 3 more",
  );
});

function drag(name: string, files: File[], types = ["Files"]): Event {
  const event = new Event(name, { bubbles: true, cancelable: true });
  Object.assign(event, { dataTransfer: { files, types, dropEffect: "none" } });
  document.body.dispatchEvent(event);
  return event;
}

test("files are dropped on any page; it says where they go, and what became of them", async () => {
  const server = usualServer();
  server.routes.set("records", () => ({ accepted: 1, rejected: 0, reasons: "" }));
  const { root } = await mountApp("#/errors", server);
  expect(drag("dragover", []).defaultPrevented).toBe(true);
  await eventually(() => root.querySelector(".drop-here"));
  expect(root.querySelector(".drop-here")?.textContent).toContain("/received");
  expect(drag("drop", [new File([LINE], "a.jsonl")]).defaultPrevented).toBe(true);
  await eventually(() => root.querySelector(".added")?.textContent?.includes("1 record accepted"));
  expect(root.querySelector(".drop-here")).toBeNull();
  expect(root.querySelector(".added a")?.getAttribute("href")).toBe("#/traces");
  root.querySelector<HTMLElement>(".added .close")?.click();
  await eventually(() => !root.querySelector(".added"));
});

test("text that is dragged is left to the browser", async () => {
  const { root } = await mountApp("#/traces");
  expect(drag("dragover", [], ["text/plain"]).defaultPrevented).toBe(false);
  expect(drag("drop", [], ["text/plain"]).defaultPrevented).toBe(false);
  expect(root.querySelector(".drop-here")).toBeNull();
});

test("a button and a key open the dialog of files", async () => {
  const { root } = await mountApp("#/traces");
  await eventually(() => root.querySelector(".tools button:last-child"));
  let opened = 0;
  root.querySelector("input[type=file]")?.addEventListener("click", () => opened++);
  root.querySelector<HTMLElement>(".tools > button:last-child")?.click();
  await type("+");
  expect(opened).toBe(2);
});

test("names and reasons are only text", async () => {
  const server = usualServer();
  server.routes.set("records", () => ({ accepted: 0, rejected: 1, reasons: TEXTS.join("; ") }));
  const { root, app } = await mountApp("#/traces", server);
  await app.adding.add(TEXTS.map((text) => new File(["x"], text)));
  await eventually(() => root.querySelectorAll(".added b").length === TEXTS.length);
  expect(root.querySelectorAll("img, script, iframe, style, object, base").length).toBe(0);
  expect((window as { broken?: number }).broken).toBeUndefined();
  for (const hidden of ["\u202e", "\u2066", "\u200b", "\u0000", "\u001b"])
    expect(root.querySelector(".added")?.textContent).not.toContain(hidden);
});
