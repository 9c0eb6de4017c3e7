/** Keeps a table up to date, of whose changes the stream tells nothing. */

import { useEffect } from "preact/hooks";
import { useApp } from "../context";

const REFRESH_MS = 5_000;

/** Loads the page again now and then, while it is in sight, connected and not paused. */
export function useRefresh(): void {
  const app = useApp();
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden && app.isLive) app.loadPage();
    }, REFRESH_MS);
    return () => clearInterval(timer);
  }, [app]);
}
