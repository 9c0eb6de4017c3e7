/** The tail of logs: order, levels, older pages, and that it stands still while it is scrolled. */

import { beforeEach, expect, test } from "vitest";
import { LogsModel, logChoiceOf } from "../../src/app/logs/model";
import { type LogNow, log } from "../../src/live/contract";
import { levelOf, rankOf } from "../../src/model/levels";
import { NOW, TRACE } from "../live/answers";
import { FakeServer } from "../live/fakes";

const given = (number: number, more: { [key: string]: unknown } = {}) => ({
  id: String(number),
  time_ns: String(BigInt(NOW) + BigInt(number)),
  level: "info",
  text: `log ${number}`,
  attributes: {},
  trace_id: TRACE,
  span_id: "",
  service: "shop",
  process: "p",
  kind: "log",
  ...more,
});
const checked = (number: number, more = {}): LogNow => log(given(number, more), "log");

let server: FakeServer;
let model: LogsModel;
const shown = () => model.logs.value.map((one) => one.id).join(" ");

beforeEach(async () => {
  server = new FakeServer();
  server.routes.set("logs", (url) =>
    url.searchParams.get("cursor")
      ? { logs: [given(2), given(1)], next: null }
      : { logs: [given(4), given(3)], next: "c" },
  );
  model = new LogsModel(server.client);
  await model.show(logChoiceOf({}));
});

test("the newest stand last, older ones come before the first", async () => {
  expect(shown()).toBe("3 4");
  await model.older();
  expect(shown()).toBe("1 2 3 4");
  await model.older();
  expect(server.asked).toHaveLength(2);
});

test("new logs come once, in the order of time", () => {
  model.take([checked(6), checked(5), checked(4)]);
  model.take([checked(6)]);
  expect(shown()).toBe("3 4 5 6");
});

test("an event that does not hold all logs leads to the newest page", async () => {
  server.routes.set("logs", () => ({ logs: [given(20), given(19)], next: "d" }));
  model.take([checked(20)], true);
  model.take([checked(21)]);
  await expect.poll(shown).toBe("19 20 21");
  expect(model.next.value).toBe("d");
  model.follow(false);
  model.take([checked(30)], true);
  expect([shown(), server.asked.length]).toEqual(["19 20 21 30", 2]);
  server.routes.set("logs", () => ({ logs: [given(30), given(29)], next: "e" }));
  model.follow(true);
  await expect.poll(shown).toBe("29 30");
});

test("only logs of the choice come", async () => {
  await model.show(logChoiceOf({ level: "warning", trace: TRACE }));
  model.take([
    checked(7, { level: "ERROR" }),
    checked(8, { level: "info" }),
    checked(9, { level: "error", trace_id: "" }),
  ]);
  expect(shown()).toBe("3 4 7");
  expect(server.asked.at(-1)).toContain(`level=warning&trace_id=${TRACE}`);
});

test("while the reader looks at older logs, what comes is counted", () => {
  model.follow(false);
  model.take([checked(5), checked(6)]);
  expect(model.unseen.value).toBe(2);
  model.follow(true);
  expect(model.unseen.value).toBe(0);
});

test("coming back asks for what was missed", async () => {
  server.routes.set("logs", () => ({ logs: [given(5), given(4)], next: "d" }));
  await model.show(logChoiceOf({}));
  expect(shown()).toBe("3 4 5");
});

test("coming back after more logs than a page leaves none out", async () => {
  server.routes.set("logs", () => ({ logs: [given(9), given(8)], next: "d" }));
  await model.show(logChoiceOf({}));
  expect(shown()).toBe("8 9");
  expect(model.next.value).toBe("d");
  model.follow(false);
  server.routes.set("logs", () => ({ logs: [given(15), given(14)], next: "e" }));
  await model.show(logChoiceOf({}));
  expect(shown()).toBe("8 9 14 15");
  model.follow(true);
  await expect.poll(shown).toBe("14 15");
  expect(model.next.value).toBe("e");
});

test("a problem is shown until the server answers again", async () => {
  server.isAway = true;
  await model.show(logChoiceOf({}));
  expect(model.problem.value?.status).toBe(0);
  server.isAway = false;
  await model.show(logChoiceOf({}));
  expect(model.problem.value).toBeNull();
});

test("an answer for a choice that was left is ignored", async () => {
  let go = () => {};
  server.routes.set("logs", (url) => ({
    logs: [given(url.searchParams.get("level") ? 5 : 6, { level: "error" })],
    next: null,
  }));
  server.delay = () =>
    new Promise((resolve) => {
      go = () => resolve();
    });
  const before = model.show(logChoiceOf({}));
  server.delay = null;
  await model.show(logChoiceOf({ level: "error" }));
  go();
  await before;
  expect(shown()).toBe("5");
});

test.each([
  ["DEBUG", 0],
  ["info", 1],
  ["Warning", 2],
  ["critical", 3],
  ["Exception", 3],
  ["alert", 3],
  ["odd", 1],
])("the level %s has rank %i", (level, rank) => {
  expect(rankOf(level)).toBe(rank);
  expect(levelOf(level)).toBe(["debug", "info", "warning", "error"][rank]);
});
