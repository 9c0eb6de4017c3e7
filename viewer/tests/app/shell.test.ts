/** The application on a server that is not there: pages, keys, live changes, pause, lost connection. */

import { options } from "preact";
import { afterEach, expect, test } from "vitest";
import { answerOf, INFO, NOW, OTHER, summaryOf, TRACE } from "../live/answers";
import { answer } from "../live/fakes";
import { eventually, settled } from "../view/mounting";
import { type Mounted, mountApp, rowTexts, type, usualServer } from "./mountApp";
import { processOf, runningOf, spanOf } from "./running";

let mounted: Mounted;
const text = () => mounted.root.textContent ?? "";
const $ = (selector: string) => mounted.root.querySelector<HTMLElement>(selector);

afterEach(() => {
  mounted?.app.stream.close();
});

test("g and a letter lead to every page, each with its address", async () => {
  mounted = await mountApp("#/now");
  for (const [letter, page] of Object.entries({
    t: "traces",
    o: "operations",
    e: "errors",
    c: "compare",
    l: "logs",
    a: "agents",
    n: "now",
  })) {
    await type("g", letter);
    expect(location.hash).toBe(`#/${page}`);
    expect($('nav [aria-current="page"]')?.textContent?.toLowerCase()).toContain(page);
  }
});

test("Now shows what runs, and opens its trace at the span", async () => {
  mounted = await mountApp("#/now");
  expect(rowTexts(mounted.root)[0]).toContain("import");
  await type("j", "Enter");
  expect(location.hash).toContain(`#/trace/${TRACE}`);
  await eventually(() => $(".name")?.textContent === "import");
});

test("the tab says how many spans are stalled", async () => {
  mounted = await mountApp("#/now");
  mounted.server.source.send("running", runningOf([spanOf("a")], [processOf("p", { stalled: 3 })]));
  await settled();
  expect($("nav")?.textContent).toContain("◷ 3");
  mounted.server.routes.set("processes", () => ({ processes: [processOf("p", { stalled: 4 })] }));
  await type("g", "l");
  mounted.server.hello();
  await eventually(() => $("nav")?.textContent?.includes("◷ 4"));
});

test("of a process that is dead, Now shows when it was last seen", async () => {
  mounted = await mountApp("#/now");
  const lost = processOf("p", { condition: "dead" });
  mounted.server.source.send("running", runningOf([spanOf("a", { state: "lost" })], [lost]));
  await settled();
  expect(rowTexts(mounted.root)[0]).toMatch(/lost.*dead, last seen \d\d:\d\d:\d\d/);
});

test("an open trace grows, ends, and is never made anew; what is selected stays", async () => {
  mounted = await mountApp(`#/trace/${TRACE}`);
  await eventually(() => rowTexts(mounted.root).length === 2);
  await eventually(() => mounted.server.source.url.includes(`trace=${TRACE}`));
  expect(mounted.server.source.url).toContain("after=5");
  mounted.server.hello(5);
  const rows = $(".rows");
  await type("j");
  const { source } = mounted.server;
  source.send("trace", answerOf([{ id: "c", parent: "a", name: "item 0", start: 2, end: 4 }]), 6);
  await eventually(() => rowTexts(mounted.root).length === 3);
  expect($('[aria-selected="true"] .name')?.textContent).toBe("item 1");
  source.send("trace", answerOf([{ id: "a", name: "import", state: "abandoned", end: 60 }]), 7);
  await eventually(() => text().includes("abandoned"));
  expect($(".rows")).toBe(rows);
});

test("a key that comes before the page has followed the key before is not undone", async () => {
  const server = usualServer();
  server.routes.set(`traces/${TRACE}`, () => answerOf([{ id: "a", name: "import", end: 5_000 }]));
  mounted = await mountApp(`#/trace/${TRACE}`, server);
  await eventually(() => rowTexts(mounted.root).length === 1);
  const waiting: (() => void)[] = [];
  const usual = options.requestAnimationFrame ?? queueMicrotask;
  options.requestAnimationFrame = (effects) => waiting.push(effects);
  const press = (key: string) => document.dispatchEvent(new KeyboardEvent("keydown", { key }));
  try {
    press("w");
    while (waiting.length > 0 && !location.hash.includes("zoom=")) waiting.shift()?.();
    const zoomed = location.hash;
    expect(zoomed).toContain("zoom=");
    for (let turn = 0; turn < 20; turn++) await Promise.resolve(); // the page is drawn
    expect(waiting.length).toBeGreaterThan(0); // and what comes after drawing is late
    press("d");
    while (waiting.length > 0) waiting.shift()?.();
    await settled();
    expect(location.hash).toContain("zoom=");
    expect(location.hash).not.toBe(zoomed);
  } finally {
    options.requestAnimationFrame = usual;
  }
});

test("details of a span are asked for, with the links that lead to it", async () => {
  mounted = await mountApp(`#/trace/${TRACE}`);
  await eventually(() => rowTexts(mounted.root).length === 2);
  await type("Enter");
  await eventually(() => text().includes("catalogue.csv"));
  const tab = [...mounted.root.querySelectorAll<HTMLElement>("[role=tab]")];
  tab.find((one) => one.textContent?.startsWith("Links"))?.click();
  await settled();
  expect($(".details a")?.getAttribute("href")).toBe(`#/trace/${OTHER}?span=x`);
});

test("paused, nothing changes and what comes is counted; then it is all there", async () => {
  mounted = await mountApp("#/traces");
  await eventually(() => rowTexts(mounted.root).length === 2);
  await type(".");
  const added = summaryOf("2".repeat(32), { name: "late", start_ns: String(BigInt(NOW) + 9n) });
  mounted.server.source.send("traces", { traces: [added], more: false }, 8);
  await settled();
  expect(rowTexts(mounted.root)).toHaveLength(2);
  expect($(".live")?.textContent).toContain("Paused · 1 new");
  await type(".");
  await eventually(() => rowTexts(mounted.root).some((row) => row.includes("late")));
});

test("a lost connection is said with the time of what is shown, and all stays usable", async () => {
  mounted = await mountApp("#/traces");
  await eventually(() => rowTexts(mounted.root).length === 2);
  mounted.server.source.fail();
  await settled();
  expect(text()).toMatch(/not connected; shown as of \d\d:\d\d:\d\d; trying again/);
  await type("j", "l");
  await eventually(() => rowTexts(mounted.root).length === 4);
  mounted.server.hello(9);
  await settled();
  expect(text()).not.toContain("not connected");
});

test("a server that begins to count again, with another store, is followed", async () => {
  mounted = await mountApp("#/now");
  mounted.server.hello(900);
  const late = { ...runningOf([spanOf("a", { name: "before" })]), sequence: 900 };
  mounted.server.source.send("running", late);
  await settled();
  expect(rowTexts(mounted.root)[0]).toContain("before");
  mounted.server.hello(3);
  const next = { ...runningOf([spanOf("b", { name: "after" })]), sequence: 3 };
  mounted.server.source.send("running", next);
  await eventually(() => rowTexts(mounted.root).some((row) => row.includes("after")));
});

test("what was unfolded is unfolded on the way back", async () => {
  mounted = await mountApp("#/traces");
  await eventually(() => rowTexts(mounted.root).length === 2);
  await type("j", "l");
  await eventually(() => rowTexts(mounted.root).length === 4);
  await type("Enter");
  expect(location.hash).toContain(`#/trace/${TRACE}`);
  await eventually(() => $(".minimap"));
  await type("Escape");
  expect(location.hash).toBe(`#/traces?open=${TRACE}`);
  await eventually(() => rowTexts(mounted.root).length === 4);
});

test("a link unfolds what was unfolded", async () => {
  mounted = await mountApp(`#/traces?open=${OTHER}`);
  await eventually(() => rowTexts(mounted.root).length === 3);
  await type("j", "j", "h");
  expect(location.hash).toBe("#/traces");
});

test("two traces are marked with m and compared", async () => {
  const server = usualServer();
  server.routes.set("compare", () => ({
    self_ns: 40,
    differences: [
      {
        service: "shop",
        name: "import",
        change: "slower",
        before: { calls: 1, self_ns: 10 },
        after: { calls: 2, self_ns: 50 },
        self_ns: 40,
        share: 1,
      },
    ],
  }));
  mounted = await mountApp("#/traces", server);
  await eventually(() => rowTexts(mounted.root).length === 2);
  await type("j", "m", "j", "m");
  const link = [...mounted.root.querySelectorAll("a")].find((one) =>
    one.textContent?.startsWith("Compare the two"),
  );
  expect(link?.getAttribute("href")).toBe(`#/compare?a=${TRACE}&b=${OTHER}`);
  mounted.app.navigation.go("compare", { a: TRACE, b: OTHER });
  await eventually(() => text().includes("slower"));
  await eventually(() => mounted.root.querySelectorAll(".side-row").length === 3);
});

test("a search is asked for, and a wrong one is marked at its place", async () => {
  mounted = await mountApp("#/traces?q=service:shop");
  await eventually(() => mounted.server.asked.some((path) => path.includes("q=service%3Ashop")));
  const asked = mounted.server.asked.length;
  mounted.app.navigation.set({ q: "a b:" });
  await settled();
  expect($(".problem u")?.textContent?.trim()).toBe("");
  expect($(".problem")?.textContent).toContain("“b:” has no value");
  expect(mounted.server.asked.slice(asked).filter((path) => path.includes("b%3A"))).toEqual([]);
});

test("what the server finds wrong with a search is shown at its place too", async () => {
  const server = usualServer();
  const error = { message: "too much is searched", hint: "Name a service.", at: 2 };
  server.routes.set("traces", () => answer({ error }, 400));
  mounted = await mountApp("#/traces?q=a+bcd", server);
  await eventually(() => $(".problem u")?.textContent === "bcd");
  expect($(".problem")?.textContent).toContain("Name a service.");
});

test("without traces it says what to run and where the server listens", async () => {
  const server = usualServer();
  const none = { traces: [], next: null, searched_until_ns: null, sequence: 0, now_ns: NOW };
  server.routes.set("traces", () => none);
  mounted = await mountApp("#/traces", server);
  await eventually(() => text().includes("otel-ext run -- python app.py"));
  expect(text()).toContain(INFO.listening.otlp_http);
});

test("where nothing matches, each term can be dropped", async () => {
  const server = usualServer();
  const none = { traces: [], next: null, searched_until_ns: null, sequence: 0, now_ns: NOW };
  server.routes.set("traces", (url) => (url.searchParams.get("q") ? none : { ...none }));
  mounted = await mountApp("#/traces?q=foo+error", server);
  await eventually(() => text().includes("Nothing matches"));
  const button = [...mounted.root.querySelectorAll("button")].find((one) =>
    one.textContent?.includes("Without foo"),
  );
  button?.click();
  await settled();
  expect(location.hash).toBe("#/traces?q=error");
});

test("agents are listed, and one of them has the trace that is open", async () => {
  const server = usualServer();
  const list = server.routes.get("traces");
  if (list) server.routes.set("agents", list);
  mounted = await mountApp("#/agents", server);
  await eventually(() => mounted.root.querySelectorAll(".agent-line").length === 2);
  await type("j", "Enter");
  expect(location.hash).toBe(`#/agents/${TRACE}`);
  await eventually(() => mounted.server.source.url.includes(`trace=${TRACE}`));
  await type("Escape");
  expect(location.hash).toBe("#/agents");
});

test.each([
  ["errors", { errors: [] }],
  ["operations?service=shop", { from_ns: NOW, to_ns: NOW, operations: [] }],
  ["agents", undefined],
])("trying again on %s asks the same question", async (address, body) => {
  const [page = ""] = address.split("?");
  const server = usualServer();
  const found = body ? () => body : server.routes.get("traces");
  server.routes.delete(page);
  mounted = await mountApp(`#/${address}`, server);
  await eventually(() => text().includes("Try again"));
  if (found) server.routes.set(page, found);
  mounted.root.querySelector<HTMLElement>('[role="alert"] button')?.click();
  await eventually(() => !text().includes("Try again"));
  const asked = new Set(server.asked.filter((path) => path.split("?", 1)[0] === page));
  expect([...asked]).toHaveLength(1);
});

test("an unknown trace says so, and is shown once it is there", async () => {
  const id = "9".repeat(32);
  mounted = await mountApp(`#/trace/${id}`);
  await eventually(() => text().includes("No such trace"));
  await eventually(() => mounted.server.source.url.includes(id));
  mounted.server.hello(6);
  mounted.server.source.send(
    "trace",
    answerOf([{ id: "z", name: "at last" }], { trace_id: id }),
    7,
  );
  await eventually(() => $(".name")?.textContent === "at last");
});

test("the help sheet lists the keys of the application and of a trace", async () => {
  mounted = await mountApp("#/now");
  await type("?");
  expect($("dialog")?.textContent).toContain("mark a trace");
  expect($("dialog")?.textContent).toContain("critical path");
  await type("Escape");
  expect(mounted.app.helpOpen.value).toBe(false);
});
