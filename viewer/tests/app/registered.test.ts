/** Now: the agents that programs have registered, and what each does. */

import { expect, test } from "vitest";
import { eventually } from "../view/mounting";
import { mountApp, usualServer } from "./mountApp";
import { agentOf, processOf, runningOf, spanOf, TRACE } from "./running";

const busy = agentOf("importer-1", {
  state: "running",
  trace_id: TRACE,
  span_id: "000000000000000a",
  span: "import",
  span_age_ns: 3e9,
  attributes: { role: "importer" },
});

async function shownWith(agents: ReturnType<typeof agentOf>[], address = "#/now") {
  const server = usualServer();
  server.routes.set("running", () =>
    runningOf([spanOf("a", { name: "import" })], [processOf("p"), processOf("q")], agents),
  );
  const mounted = await mountApp(address, server);
  await eventually(() => mounted.root.querySelector(".registered li") !== null);
  return mounted;
}

const lines = (root: HTMLElement) =>
  [...root.querySelectorAll(".registered li")].map((one) =>
    (one.textContent ?? "").trim().replace(/3\.\d\d s/, "3 s"),
  );

test("what an agent does is a link to its span; one without a span is idle", async () => {
  const { root } = await shownWith([agentOf("waiting"), busy]);
  expect(lines(root)).toEqual(["▶ importer-1 import 3 s", "○ waiting idle"]);
  const link = root.querySelector<HTMLAnchorElement>(".registered a");
  expect(link?.getAttribute("href")).toContain(TRACE);
  expect(root.querySelector(".registered li")?.getAttribute("title")).toContain('role: "importer"');
});

test("those that need a look come first, and all of many are shown when asked for", async () => {
  const many = Array.from({ length: 7 }, (_, at) => agentOf(`agent-${at}`));
  const { root } = await shownWith([...many, { ...busy, state: "hung" }]);
  expect(lines(root)).toHaveLength(5);
  expect(lines(root)[0]).toContain("importer-1");
  const more = root.querySelector<HTMLButtonElement>(".registered button");
  expect(more?.textContent).toBe("3 more");
  more?.click();
  await eventually(() => lines(root).length === 8);
});

test("only those of the chosen process are shown", async () => {
  const other = agentOf("other", { process: "q" });
  const { root } = await shownWith([busy, other], "#/now?process=q");
  expect(lines(root)).toEqual(["○ other idle"]);
});

test("agents of several processes name theirs", async () => {
  const { root } = await shownWith([busy, agentOf("other", { process: "q" })]);
  expect(lines(root)).toEqual(["▶ importer-1 import 3 s p app.py", "○ other idle q app.py"]);
});

test("a hostile name stays a text", async () => {
  const { root } = await shownWith([agentOf("<img src=x onerror=alert(1)>\u202e")]);
  expect(root.querySelector(".registered img")).toBeNull();
  expect(lines(root)[0]).not.toContain("\u202e");
});
