/** Everything can be done with the keys: search, matches, lists, tables. */

import { beforeEach, expect, test } from "vitest";
import { checkout } from "../../demo/data";
import { eventually, mounted, names, press, selectedName, settled } from "./mounting";

let root: HTMLElement;
const field = () => root.querySelector(".search > input") as HTMLInputElement;

beforeEach(async () => {
  const data = await checkout();
  data.traces.length = 1;
  root = mounted(data);
  await settled();
});

test("what is typed right after / is in the search", () => {
  send("/", document.body);
  expect(document.activeElement).toBe(field());
});

test("Enter goes from the search to the first match, then n and N to others", async () => {
  await search("name:charge*");
  await sendTo("Enter", field());
  expect(document.activeElement).toBe(root.querySelector(".rows"));
  expect(selectedName(root)).toBe("charge");
  await press("n");
  expect(selectedName(root)).toBe("charge by invoice");
  await press("N");
  expect(selectedName(root)).toBe("charge");
});

test("Enter waits for attributes that the search needs", async () => {
  await search("payment.currency=EUR");
  await sendTo("Enter", field());
  await eventually(() => selectedName(root) === "charge");
});

test("Escape leaves the search with its text; again, it clears it", async () => {
  await search("charge");
  const event = await sendTo("Escape", field());
  expect(event.defaultPrevented).toBe(true);
  expect(document.activeElement).not.toBe(field());
  expect(field().value).toBe("charge");
  await press("Escape");
  await eventually(() => field().value === "");
});

test("a wrong search is corrected where it stands", async () => {
  field().focus();
  field().value = "dur:5";
  field().dispatchEvent(new Event("input", { bubbles: true }));
  await eventually(() => root.querySelector(".problem"));
  await sendTo("Enter", field());
  expect(document.activeElement).toBe(field());
});

test("a checkbox is no text field", async () => {
  await search("error");
  const box = root.querySelector(".found input") as HTMLInputElement;
  box.focus();
  const before = selectedName(root);
  await sendTo("n", box);
  expect(selectedName(root)).not.toBe(before);
});

test("the table and the logs have rows of their own order", async () => {
  await press("g", "a");
  const selected = () =>
    root.querySelector('.table-row[aria-selected="true"]')?.textContent ?? "nothing";
  expect(selected()).toContain("POST /checkout");
  await press("j");
  expect(selected()).toContain("charge by invoice"); // the second longest
  await press("End");
  expect(selected()).toContain("price item");
  await press("g", "l");
  expect(selected()).toBe("nothing");
  await press("j", "j");
  expect(selected()).toContain("8 items priced");
  await press("Enter");
  expect(root.querySelector(".details h2")?.textContent).toBe("load cart");
});

test("names are widened with the arrow keys", async () => {
  const bar = root.querySelector('[role="separator"]') as HTMLElement;
  const before = Number(bar.getAttribute("aria-valuenow"));
  await sendTo("ArrowRight", bar);
  expect(Number(bar.getAttribute("aria-valuenow"))).toBe(before + 20);
  expect(selectedName(root)).toBe("POST /checkout");
});

test("the list of traces: matches in each, only these, the first error", async () => {
  const data = await checkout();
  data.traces.reverse(); // the trace with errors is the second one
  root = mounted(data);
  await settled();
  await search("name:charge");
  await eventually(() => root.querySelector(".found")?.textContent?.includes("in 1 trace"));
  const rows = () => [...root.querySelectorAll(".table-row")].map((row) => row.textContent ?? "");
  expect(rows()).toHaveLength(2);
  expect(root.querySelector(".table-row.faded")?.textContent).toContain("GET /health");
  await sendTo("Enter", field());
  expect(root.querySelector('[aria-selected="true"]')?.textContent).toContain("POST /checkout");
  const box = root.querySelector(".found input") as HTMLInputElement;
  box.click();
  await settled();
  expect(rows()).toHaveLength(1);
  expect(root.querySelector(".status")?.textContent).toContain("1 of 2 traces");
  box.click();
  await settled();
  await press("Home", "e");
  expect(selectedName(root)).toBe("charge");
  await press("g", "t", "n");
  expect(selectedName(root)).toBe("charge");
  expect(names(root).length).toBeGreaterThan(5);
});

test("attributes in all traces are read when the search in the list needs them", async () => {
  root = mounted(await checkout());
  await settled();
  await search("payment.currency=EUR");
  await eventually(() => root.querySelector(".found")?.textContent?.startsWith("1 match in 1"));
});

test("the state of a trace is the worst of its spans", async () => {
  root = mounted(await checkout());
  await settled();
  const [first, second] = [...root.querySelectorAll(".table-row")];
  expect(first?.querySelector(".state-word")?.textContent).toBe("✗ error");
  expect(first?.textContent).toContain("so far");
  expect(first?.textContent).toContain("3 errors");
  expect(second?.querySelector(".state-word")?.textContent?.trim()).toBe("ended");
  await press("Enter");
  expect(root.querySelector(".header .state-word")?.textContent).toBe("✗ error");
});

test("the flame graph says the mark of a state", async () => {
  await press("e", "f");
  expect(root.querySelector(".flame-says b")?.textContent).toBe("✗ charge");
});

async function search(text: string): Promise<void> {
  field().focus();
  field().value = text;
  field().dispatchEvent(new Event("input", { bubbles: true }));
  await eventually(() => root.querySelector(".found"));
}

function send(key: string, target: Element): KeyboardEvent {
  const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true });
  target.dispatchEvent(event);
  return event;
}

async function sendTo(key: string, target: Element): Promise<KeyboardEvent> {
  const event = send(key, target);
  await settled();
  return event;
}
