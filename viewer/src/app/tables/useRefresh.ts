/** Asks for a table again now and then. */

import { useEffect } from "preact/hooks";
import { useApp } from "../context";

const REFRESH_MS = 5_000;

/** Asks again now and then, while the page is in sight, connected and not paused. */
export function useRefresh(ask: () => void): void {
  const app = useApp();
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden && app.isLive) ask();
    }, REFRESH_MS);
    return () => clearInterval(timer);
  });
}
