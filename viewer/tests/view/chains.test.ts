/** The row of a chain: what it says, and what it shows of the spans that it hides. */

import { expect, test } from "vitest";
import type { PathEntry } from "../../src/data/contract";
import { documentOf, type Given } from "../documents";
import { mounted, names, press, selectedName, settled } from "./mounting";

type Segment = PathEntry["segments"][number];

const CHAIN = Array.from({ length: 7 }, (_, at): Given => {
  const span = { id: `s${at}`, name: `step ${at}`, start: at, end: 100 - at };
  return at > 0 ? { ...span, parent: `s${at - 1}` } : span;
});

async function shown(): Promise<HTMLElement> {
  const data = documentOf([...CHAIN, { id: "x", name: "query", parent: "s6", start: 20, end: 90 }]);
  const segments = CHAIN.map((_, at): Segment => [at, at, at + 1, -1, 0]);
  data.traces[0]?.paths.push({ root: 0, lower_bound: false, segments });
  const root = mounted(data);
  await settled();
  return root;
}

const search = (root: HTMLElement) => root.querySelector(".search > input") as HTMLInputElement;

test("it names the first and the last span, and shows the critical path of all", async () => {
  const root = await shown();
  const row = root.querySelector('[role="row"]');
  expect(row?.querySelector(".name-cell")?.textContent).toContain("step 0› 6 more ›query");
  expect(row?.getAttribute("aria-expanded")).toBe("false");
  expect(root.querySelector('[role="treegrid"]')?.getAttribute("aria-rowcount")).toBe("1");
  expect(row?.querySelectorAll(".critical")).toHaveLength(1);
  root.querySelector<HTMLElement>(".twisty")?.click();
  await settled();
  expect(names(root)).toHaveLength(8);
});

test("a span that a filter led to stays in sight without it", async () => {
  const root = await shown();
  search(root).value = '"step 4"';
  search(root).dispatchEvent(new Event("input", { bubbles: true }));
  await settled(300);
  (root.querySelector(".found input") as HTMLInputElement).click();
  await settled();
  expect(names(root)).toHaveLength(5);
  await press("j", "j", "j", "j");
  expect(selectedName(root)).toBe("step 4");
  (root.querySelector(".found input") as HTMLInputElement).click();
  await settled();
  expect(selectedName(root)).toBe("step 4");
  expect(names(root)).toHaveLength(8);
});
