/** Light, dark, or as the system. */

import { type Signal, useSignalEffect } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Theme } from "../model/view";

export const THEME_NAMES: { [theme in Theme]: string } = {
  system: "Auto",
  light: "Light",
  dark: "Dark",
};

export interface Themed {
  theme: Signal<Theme>;
  /** Changes when colours change, so that canvases are drawn anew. */
  palette: Signal<number>;
}

export function nextTheme({ theme }: Themed): void {
  const order = { system: "light", light: "dark", dark: "system" } as const;
  theme.value = order[theme.value];
}

/** Puts the theme on the page, and has canvases drawn anew when the colours change. */
export function useTheme({ theme, palette }: Themed): void {
  useSignalEffect(() => {
    if (theme.value === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme.value;
    palette.value = palette.peek() + 1;
  });
  useEffect(() => {
    const system = matchMedia("(prefers-color-scheme: dark)");
    const changed = () => {
      palette.value += 1;
    };
    system.addEventListener("change", changed);
    return () => system.removeEventListener("change", changed);
  }, [palette]);
}
