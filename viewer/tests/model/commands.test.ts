/** Zooming, stepping, the address, completion and the flame graph. */

import { effect } from "@preact/signals";
import { expect, test } from "vitest";
import { Builder } from "../../demo/builder";
import { checkout } from "../../demo/data";
import { decode } from "../../src/data/decode";
import { addressOf, applyAddress } from "../../src/model/address";
import {
  back,
  follow,
  openTrace,
  panBy,
  select,
  step,
  zoomBy,
  zoomTo,
  zoomToSpan,
} from "../../src/model/commands";
import { completions } from "../../src/model/completion";
import { flameRows } from "../../src/model/flame";
import { operationOf } from "../../src/model/operation";
import { at1, type Trace } from "../../src/model/trace";
import { View } from "../../src/model/view";
import { traceOf } from "../documents";

test("zooms are a stack; moving does not add to it", async () => {
  const view = new View(decode(await checkout()));
  zoomTo(view, { from: 0, to: 5e8 });
  zoomToSpan(view, 1);
  zoomBy(view, 0.5);
  panBy(view, 0.1);
  expect(view.zooms.value).toHaveLength(2);
  back(view);
  expect(view.window.value).toEqual({ from: 0, to: 5e8 });
  back(view);
  expect(view.window.value).toEqual(view.bounds.value);
});

test("a zoomed window follows what goes on, until the reader moves it", async () => {
  const view = new View(decode(await checkout()));
  view.clock.value = 2e9;
  zoomTo(view, { from: 0, to: 5e8 });
  follow(view);
  expect(view.window.value).toEqual({ from: 1.5e9, to: 2e9 });
  view.clock.value = 3e9;
  expect(view.window.value).toEqual({ from: 2.5e9, to: 3e9 });
  zoomBy(view, 0.5);
  expect(view.window.value).toEqual({ from: 2.75e9, to: 3e9 });
  panBy(view, -1);
  view.clock.value = 4e9;
  expect(view.window.value).toEqual({ from: 2.5e9, to: 2.75e9 });
  follow(view);
  follow(view);
  expect(view.window.value).toEqual(view.bounds.value);
});

test("steps go around the end, and unfold what hides the span", async () => {
  const view = new View(decode(await checkout()));
  const trace = view.trace.value as Trace;
  view.collapsed.value = new Set([0]);
  step(view, false, "error");
  expect(trace.name(view.selected.value)).toBe("POST /v1/charges");
  expect(view.collapsed.value.size).toBe(0);
  step(view, true, "open");
  expect(trace.name(view.selected.value)).toBe("charge by invoice");
  step(view, true, "match");
  expect(view.said.value).toBe("Nothing matches in this trace.");
});

test("an address leads back to the same view", async () => {
  const data = await checkout();
  const view = new View(decode(data));
  openTrace(view, 0, "table");
  select(view, 5);
  zoomTo(view, { from: 1e6, to: 2e8 });
  view.search.value = "name:charge or >5ms";
  view.onlyFound.value = true;
  const other = new View(decode(data));
  applyAddress(other, `#${addressOf(view)}`);
  expect(addressOf(other)).toBe(addressOf(view));
  expect(other.selected.value).toBe(5);
  for (const hash of ["#zoom=9-1&span=zz&view=evil&trace=1", "#zoom=a", "#%%%"])
    applyAddress(other, hash);
  expect(other.mode.value).toBe("table");
});

test("an operation is the spans of one name and service", async () => {
  const trace = new View(decode(await checkout())).trace.value as Trace;
  expect(operationOf(trace, 3)).toEqual({ count: 8, p50: 6.5e6, p95: 7.5e6 });
  expect(operationOf(trace, 0)).toBeNull();
});

test("the last word of a search is completed", async () => {
  const trace = new View(decode(await checkout())).trace.value;
  expect(completions(trace, "error serv")).toEqual(["error service:"]);
  expect(completions(trace, "not service:s")).toEqual(["not service:shop"]);
  expect(completions(trace, "state:st")).toEqual(["state:stalled"]);
  expect(completions(trace, "(name:gath")).toEqual(['(name:"gather offers"']);
  expect(completions(trace, "")).toEqual([]);
});

test("no span of the flame graph covers another, and each is below its parent", () => {
  const trace = traceOf([
    { id: "a", start: 0, end: 100 },
    { id: "b", parent: "a", start: 10, end: 60 },
    { id: "c", parent: "a", start: 20, end: 50 },
    { id: "d", parent: "c", start: 5, end: 40 },
    { id: "e", parent: "a", start: 70, end: 90 },
  ]);
  const { rows, count } = flameRows(trace);
  expect(count).toBeGreaterThanOrEqual(3);
  for (let one = 0; one < trace.count; one++) {
    const parent = at1(trace.parent, one);
    if (parent >= 0) expect(at1(rows, one)).toBeGreaterThan(at1(rows, parent));
    for (let other = 0; other < one; other++) {
      if (rows[one] !== rows[other]) continue;
      const apart =
        at1(trace.until, one) <= at1(trace.start, other) ||
        at1(trace.until, other) <= at1(trace.start, one);
      expect(apart).toBe(true);
    }
  }
});

test("the attributes of many traces are read once for a search, which then is made once", async () => {
  const builder = new Builder();
  const process = builder.process("p", "shop");
  for (let at = 0; at < 200; at++) {
    const details = { attributes: { "user.id": at % 2 } };
    builder.span({ name: "job", process, start: at, end: at + 1, details });
    builder.trace(String(at).padStart(32, "0"));
  }
  const view = new View(decode(await builder.document()));
  view.search.value = "user.id:1";
  let made = 0;
  const stop = effect(() => {
    made += view.hits.value ? 1 : 0;
  });
  await view.searched();
  stop();
  expect(view.hits.value?.filter((count) => count === 1)).toHaveLength(100);
  expect(made).toBeLessThan(4);
});
