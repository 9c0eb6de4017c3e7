/** Addresses that open a place in an editor: only below the folders that the server names. */

import type { Info } from "./contract";

/**
 * Returns the address for a place such as `/app/shop.py:41 wait`, or null.
 *
 * A record says where its code is, and records are not trusted: a path is opened only if it is
 * below one of the server's roots. A relative path is taken from the root, if there is only one.
 */
export function editorLink(editor: Info["editor"], place: string): string | null {
  if (editor?.scheme !== "vscode") return null;
  const [, path = "", line = ""] = /^(.+?):(\d{1,9})(?: .*)?$/s.exec(place) ?? [];
  if (!path || hasControls(path)) return null;
  const roots = editor.roots.map(unified).filter(isAbsolute);
  const given = unified(path);
  const isRelative = /^[^/:]+(?:\/[^/:]+)*$/.test(given) && roots.length === 1;
  const absolute = isRelative ? `${roots[0]?.replace(/\/$/, "")}/${given}` : given;
  if (absolute.split("/").some((part) => part === ".." || part === ".")) return null;
  if (!roots.some((root) => absolute.startsWith(`${root.replace(/\/$/, "")}/`))) return null;
  const encoded = absolute.split("/").map(encodeURIComponent).join("/");
  return `vscode://file${encoded.startsWith("/") ? "" : "/"}${encoded.replace(/^([A-Za-z])%3A/, "$1:")}:${line}`;
}

function unified(path: string): string {
  return /^[A-Za-z]:\\|^\\\\/.test(path) ? path.replaceAll("\\", "/") : path;
}

function isAbsolute(path: string): boolean {
  return path.startsWith("/") ? !path.startsWith("//") : /^[A-Za-z]:\//.test(path);
}

/** Whether a path has characters that no path has, or half of one. */
function hasControls(path: string): boolean {
  return /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u.test(path) || path.length > 4_000;
}
