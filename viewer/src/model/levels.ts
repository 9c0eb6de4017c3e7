/** How severe a log is, by the word that its library uses for its level. */

export const LEVELS = ["debug", "info", "warning", "error"] as const;

/** Returns the place of a level among `LEVELS`; one that is not known counts as information. */
export function rankOf(level: string): number {
  const word = level.toLowerCase();
  if (/err|crit|fatal|exc|alert|emerg/.test(word)) return 3;
  if (word.startsWith("warn")) return 2;
  return /debug|trace|notset/.test(word) ? 0 : 1;
}

/** Returns the one of `LEVELS` that a level counts as. */
export function levelOf(level: string): string {
  return LEVELS[rankOf(level)] ?? "info";
}
