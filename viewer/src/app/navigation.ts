/** `Navigation`: where the reader is; every place has an address, and back and forward work. */

import { computed, signal } from "@preact/signals";
import { addressOfRoute, type Page, parseRoute, type Query, type Route, sameRoute } from "./route";

export class Navigation {
  readonly route = signal<Route>(parseRoute(""));
  readonly page = computed(() => this.route.value.page);
  /** Where the reader was last on each page, to come back to. */
  private readonly last = new Map<Page, Route>();

  /** Takes over the address of the window, and follows it. Returns what ends that. */
  start(): () => void {
    const follow = () => this.take(parseRoute(location.hash));
    follow();
    window.addEventListener("popstate", follow);
    window.addEventListener("hashchange", follow);
    return () => {
      window.removeEventListener("popstate", follow);
      window.removeEventListener("hashchange", follow);
    };
  }

  /** Goes to a place, so that going back leads here. */
  go(page: Page, query: Query = {}, id = ""): void {
    const route = { page, id, query };
    if (sameRoute(route, this.route.peek())) return;
    history.pushState(null, "", addressOfRoute(route));
    this.take(route);
  }

  /** Goes to a page as the reader left it. */
  goTo(page: Page): void {
    const { query = {}, id = "" } = this.last.get(page) ?? {};
    this.go(page, query, id);
  }

  /** Returns the address of a page as the reader left it. */
  addressTo(page: Page): string {
    return addressOfRoute(this.last.get(page) ?? { page, id: "", query: {} });
  }

  /** Sets something on the page that is shown; empty texts are left out. */
  set(changes: Query, isStep = false): void {
    const { page, id, query } = this.route.peek();
    const set = Object.entries({ ...query, ...changes }).filter(([, value]) => value !== "");
    this.replace(Object.fromEntries(set), isStep, page, id);
  }

  /** Replaces all that is set on the page that is shown. */
  replace(query: Query, isStep = false, page = this.page.peek(), id = this.route.peek().id): void {
    const route = { page, id, query };
    if (sameRoute(route, this.route.peek())) return;
    const address = addressOfRoute(route);
    if (isStep) history.pushState(null, "", address);
    else history.replaceState(null, "", address);
    this.take(route);
  }

  private take(route: Route): void {
    this.last.set(route.page, route);
    this.route.value = route;
  }
}
