/** The keys of the application; a page has its own, and an open trace those of the viewer. */

import { nextTheme } from "../../view/theme";
import type { App } from "../app";
import { pressOnPage } from "../context";
import type { Page } from "../route";

export const GO: readonly [string, Page][] = [
  ["n", "now"],
  ["t", "traces"],
  ["o", "operations"],
  ["e", "errors"],
  ["c", "compare"],
  ["l", "logs"],
  ["a", "agents"],
];

export const HELP: readonly [keys: string, help: string][] = [
  ["g", "then n t o e c l a: now, traces, operations, errors, compare, logs, agents"],
  ["/ or Ctrl F", "search"],
  [".", "pause, and go on live; in a trace that is zoomed, follow it"],
  ["j k", "next and previous row"],
  ["l h", "unfold and fold a trace in the list"],
  ["Enter", "open"],
  ["m", "mark a trace to compare it with another"],
  ["o", "in Now: only roots, and all"],
  ["+", "add files of records; or drop them on the page"],
  ["u", "show what is new, or put rows in order"],
  ["J K", "in a trace: the next and the previous one of the list"],
  ["Esc", "one step back"],
  ["t", "light, dark, as the system"],
  ["?", "these keys"],
];

const NO_TEXT = /^(checkbox|radio|button|submit|reset|range|color|file|image)$/;

/** Returns a handler that comes before that of an open trace; it stops what it has handled. */
export function appKeys(app: App, root: () => Element | null): (event: KeyboardEvent) => void {
  let went = false;
  return (event) => {
    if (handled(event)) {
      event.preventDefault();
      event.stopImmediatePropagation();
    }
  };

  function handled(event: KeyboardEvent): boolean {
    const target = event.target instanceof HTMLElement ? event.target : null;
    const { key } = event;
    if (key === "f" && (event.ctrlKey || event.metaKey)) return focusSearch(root());
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    const isTrace = app.navigation.page.peek() === "trace";
    if (isTextField(target)) return !isTrace && key === "Escape" && leave(root(), target);
    if (app.helpOpen.value) return key === "?" || key === "Escape" ? closeHelp(app) : false;
    const page = went ? GO.find(([letter]) => letter === key)?.[1] : undefined;
    went = key === "g";
    if (page) {
      app.navigation.goTo(page);
      return true;
    }
    if (key === "g") return true;
    const onButton = target?.closest("button, a, summary, [role=tab], select");
    if (onButton && (key === "Enter" || key === " ")) return false;
    return pressOnPage(key) || general(key, isTrace);
  }

  function general(key: string, isTrace: boolean): boolean {
    switch (key) {
      case "?":
        app.helpOpen.value = true;
        return true;
      case "t":
        nextTheme(app);
        return true;
      case "/":
        return focusSearch(root());
      case "+":
        app.adding.choose();
        return true;
      case ".":
        app.pause(!app.isPaused.peek());
        return true;
      case "Escape":
        return !isTrace && back(app);
      default:
        return false;
    }
  }
}

/** Undoes one step of what is set on the page. */
function back(app: App): boolean {
  const { page, query } = app.navigation.route.peek();
  if (query.since || query.until) app.navigation.set({ since: "", until: "" });
  else if (query.q) app.navigation.set({ q: "" });
  else if (page === "logs" && query.trace) app.navigation.set({ trace: "" });
  return true;
}

function closeHelp(app: App): boolean {
  app.helpOpen.value = false;
  return true;
}

function focusSearch(root: Element | null): boolean {
  const field = root?.querySelector<HTMLInputElement>(".search > input");
  field?.focus();
  field?.select();
  return true;
}

function leave(root: Element | null, field: HTMLElement | null): boolean {
  field?.blur();
  root?.querySelector<HTMLElement>(".rows")?.focus({ preventScroll: true });
  return true;
}

function isTextField(element: HTMLElement | null): boolean {
  if (!element) return false;
  if (element instanceof HTMLInputElement) return !NO_TEXT.test(element.type);
  return /^(SELECT|TEXTAREA)$/.test(element.tagName);
}
