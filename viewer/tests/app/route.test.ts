/** Addresses: every place has one, and back leads to how the reader left a place. */

import { afterEach, beforeEach, expect, test } from "vitest";
import { Navigation } from "../../src/app/navigation";
import { addressOfRoute, parseRoute, traceAddress } from "../../src/app/route";
import { TRACE } from "../live/answers";

test.each([
  "#/now",
  "#/traces?q=a+b%3A1&order=longest",
  `#/trace/${TRACE}?span=00f067aa0ba902b7&view=flame`,
  `#/agents/${TRACE}`,
  `#/compare?a=${TRACE}&b=${TRACE}`,
])("%s is read and written", (address) => {
  expect(addressOfRoute(parseRoute(address))).toBe(address);
});

test.each([
  ["", "now"],
  ["#/", "now"],
  ["#/nowhere/x", "now"],
  ["#/trace/not-an-id", "traces"],
  ["#/constructor", "now"],
])("%j leads to %s", (address, page) => {
  expect(parseRoute(address).page).toBe(page);
});

let stop: () => void;
let navigation: Navigation;

beforeEach(() => {
  history.replaceState(null, "", "#/now");
  navigation = new Navigation();
  stop = navigation.start();
});

afterEach(() => stop());

test("what is set on a page is in its address, and is there on the way back", () => {
  navigation.go("traces");
  navigation.set({ q: "error" });
  expect(location.hash).toBe("#/traces?q=error");
  navigation.go("trace", {}, TRACE);
  expect(location.hash).toBe(traceAddress(TRACE));
  navigation.goTo("traces");
  expect(location.hash).toBe("#/traces?q=error");
  expect(navigation.addressTo("trace")).toBe(traceAddress(TRACE));
});

test("an empty text takes a setting away", () => {
  navigation.go("traces", { q: "error", order: "longest" });
  navigation.set({ q: "" });
  expect(navigation.route.value.query).toEqual({ order: "longest" });
});

test("the page follows the address", () => {
  history.replaceState(null, "", `#/logs?level=error`);
  window.dispatchEvent(new PopStateEvent("popstate"));
  expect(navigation.route.value).toEqual({ page: "logs", id: "", query: { level: "error" } });
});
