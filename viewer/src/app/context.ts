/** The application, for the components below it, and the keys of the page that is shown. */

import { createContext } from "preact";
import { useContext, useLayoutEffect, useRef } from "preact/hooks";
import type { App } from "./app";

export const AppContext = createContext<App | null>(null);

export function useApp(): App {
  const app = useContext(AppContext);
  if (!app) throw new Error("a component of the application is used without it");
  return app;
}

/** What keys do on a page, by their names; false where it was nothing after all. */
export type PageKeys = { [key: string]: () => boolean | undefined };

const shown: { current: PageKeys }[] = [];

/** Sets what keys do while a component is shown. */
export function usePageKeys(keys: PageKeys): void {
  // Set while it is drawn, so that the next key finds what the last one has done.
  const held = useRef(keys);
  held.current = keys;
  useLayoutEffect(() => {
    shown.push(held);
    return () => {
      shown.splice(shown.indexOf(held), 1);
    };
  }, []);
}

/** Does what a key means on the page; returns whether it means anything. */
export function pressOnPage(key: string): boolean {
  const act = shown.filter(({ current }) => Object.hasOwn(current, key)).at(-1)?.current[key];
  return act !== undefined && act() !== false;
}
