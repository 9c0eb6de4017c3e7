/** Nothing in the data is executed, becomes HTML or a link, or brings the viewer down. */

import { expect, test } from "vitest";
import { hostile, TEXTS } from "../../demo/hostile";
import { decode } from "../../src/data/decode";
import { DetailsLoader } from "../../src/data/details";
import { middleCut, visible } from "../../src/model/format";
import { documentOf } from "../documents";
import { mounted, press, settled } from "./mounting";

test("hostile names, attributes, events, links and logs are text", async () => {
  const root = mounted(await hostile());
  await settled();
  await press("Enter");
  await settled(300);
  for (let row = 0; row <= TEXTS.length; row++) {
    for (const tab of root.querySelectorAll<HTMLElement>('.details [role="tab"]')) {
      tab.click();
      await settled(1);
      expect(root.querySelectorAll("img, script, style, iframe, b > i > b")).toHaveLength(0);
      for (const link of root.querySelectorAll("a")) expect(link.protocol).toMatch(/^https?:$/);
    }
    await press("j");
  }
  for (const mode of ["f", "v", "v"]) await press(mode);
  expect(root.querySelectorAll("img, script, iframe")).toHaveLength(0);
  expect((window as { broken?: number }).broken).toBeUndefined();
}, 60_000);

test("texts that turn around or hide are made visible", () => {
  for (const text of TEXTS)
    expect(visible(text)).not.toMatch(/\p{Cc}|[\u202a-\u202e\u2066-\u2069\u200b\ufeff]/u);
  expect(middleCut("x".repeat(100_000), 30)).toHaveLength(30);
});

test.each([
  ["nothing", null, "format"],
  ["another format", { format: "x" }, "format"],
  ["a later version", { ...documentOf([]), version: 2 }, "version 2"],
  ["a base that is not a number", { ...documentOf([]), base_ns: "1e9; x" }, "base_ns"],
  [
    "columns of different lengths",
    changed((spans) => spans.id.push("x")),
    "parent has not 2 values",
  ],
  ["a parent that is itself", changed((spans) => spans.parent.fill(0)), "parent[0]"],
  ["a state that is none", changed((spans) => spans.state.fill(99)), "state[0]"],
  ["a name that is none", changed((spans) => spans.name.fill(1e9)), "name[0]"],
  ["a time that is none", changed((spans) => spans.start.fill(Number.NaN)), "start[0]"],
  ["a place that is none", changed((spans) => spans.where.fill(7)), "where[0]"],
  ["an id that is no text", changed((spans) => spans.id.fill(1 as never)), "id[0]"],
  ["a log of no span", withEntry("logs", [5, 0, 0, 0, -1]), "traces[0].logs[0]"],
  ["a log without a time", withEntry("logs", [0, null, 0, 0, -1]), "traces[0].logs[0]"],
  ["a log that is none", withEntry("logs", null), "traces[0].logs[0]"],
  ["a level that is none", withEntry("logs", [0, 0, 99, 0, -1]), "traces[0].logs[0]"],
  ["a path of no root", withEntry("paths", path({ root: 1 })), "paths[0].root"],
  ["a path that is none", withEntry("paths", null), "paths[0] is not an object"],
  ["a bound that is none", withEntry("paths", path({ lower_bound: 1 })), "paths[0].lower_bound"],
  ["a piece of no span", withEntry("paths", path({}, [1, 0, 1, -1, 0])), "paths[0].segments[0]"],
  ["a piece without an end", withEntry("paths", path({}, [0, 0])), "paths[0].segments[0]"],
  ["a process that is none", withProcess(null), "processes[0] is not an object"],
  ["a process's service", withProcess({ service: 99 }), "processes[0].service"],
  ["a process's state", withProcess({ state: "x" }), "processes[0].state"],
  ["a time of writing", { ...documentOf([]), written_ns: "x" }, "written_ns"],
  ["a live time", { ...documentOf([]), now_ns: "x" }, "now_ns"],
])("refused: %s", (_, data, why) => {
  expect(() => decode(data)).toThrow(why);
});

test.each(["", "AAAA", "not base64!", "H4sIAAAAAAAA"])(
  "damaged details are said: %s",
  async (chunk) => {
    const loader = new DetailsLoader(chunk);
    await loader.load();
    expect(loader.spans.value).toEqual([]);
    expect(loader.problem.value).toContain("could not be read");
  },
);

type Spans = ReturnType<typeof documentOf>["traces"][0]["spans"];

function changed(change: (spans: Spans) => void): unknown {
  const data = documentOf([{ id: "a" }]);
  if (data.traces[0]) change(data.traces[0].spans);
  return data;
}

function path(change: object, segment: unknown = [0, 0, 1, -1, 0]): object {
  return { root: 0, lower_bound: false, segments: [segment], ...change };
}

function withEntry(key: "logs" | "paths", entry: unknown): unknown {
  const data = documentOf([{ id: "a", logs: [["info", "x"]] }]);
  const [trace] = data.traces;
  if (trace) (trace[key] as unknown[]) = [entry];
  return data;
}

function withProcess(change: object | null): unknown {
  const data = documentOf([{ id: "a" }]);
  const [process] = data.processes;
  (data.processes as unknown[])[0] = change && { ...process, ...change };
  return data;
}
