/** The buttons at the right end of the bar on top: the theme, and the keys. */

import type { Signal } from "@preact/signals";
import { nextTheme, THEME_NAMES, type Themed } from "./theme";

interface Props {
  of: Themed & { helpOpen: Signal<boolean> };
}

export function ThemeAndHelp({ of }: Props) {
  return (
    <>
      <button type="button" title="Light, dark, or as the system (t)" onClick={() => nextTheme(of)}>
        {THEME_NAMES[of.theme.value]}
      </button>
      <button
        type="button"
        aria-label="Keys and search words"
        title="Keys and search words (?)"
        onClick={() => {
          of.helpOpen.value = true;
        }}
      >
        ?
      </button>
    </>
  );
}
