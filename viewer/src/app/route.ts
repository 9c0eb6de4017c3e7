/** Addresses of the application: a page, the trace that it shows, and what is set on it. */

import { isTraceId } from "../live/shape";

export const PAGES = [
  "now",
  "traces",
  "trace",
  "operations",
  "errors",
  "compare",
  "logs",
  "agents",
] as const;
export type Page = (typeof PAGES)[number];

export interface Route {
  page: Page;
  /** The trace of the pages that show one; empty for others. */
  id: string;
  /** What is set on the page, such as its search. */
  query: Query;
}

export type Query = { readonly [name: string]: string };

/** Returns what the part of an address after `#` means; what it gets wrong is ignored. */
export function parseRoute(hash: string): Route {
  const [path = "", search = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s, 2);
  const [page = "", id = ""] = path.split("/");
  const query = Object.fromEntries(new URLSearchParams(search));
  if (!PAGES.includes(page as Page)) return { page: "now", id: "", query: {} };
  if (page === "trace" && !isTraceId(id)) return { page: "traces", id: "", query };
  return { page: page as Page, id: isTraceId(id) ? id : "", query };
}

/** Returns the address of a route, from its `#` on. */
export function addressOfRoute({ page, id, query }: Route): string {
  const set = Object.entries(query).filter(([, value]) => value !== "");
  const search = new URLSearchParams(set).toString();
  return `#/${page}${id && `/${id}`}${search && `?${search}`}`;
}

/** Returns the address of a trace, or of one of its spans. */
export function traceAddress(id: string, span = ""): string {
  return addressOfRoute({ page: "trace", id, query: span ? { span } : {} });
}

export function sameRoute(one: Route, other: Route): boolean {
  return addressOfRoute(one) === addressOfRoute(other);
}
