/** Fills the template of the report's page. */

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const here = (path) => new URL(`../${path}`, import.meta.url);

/** Returns the page with script and style, and with `<!--DATA-->` where the data belongs. */
export function template() {
  const script = readFileSync(here("dist/viewer.js"), "utf8").replaceAll("</script", "<\\/script");
  const style = readFileSync(here("dist/viewer.css"), "utf8").replaceAll("</style", "<\\/style");
  if (script.includes("<!--")) throw new Error("the script holds “<!--”, which HTML would misread");
  const parts = {
    "/*SCRIPT-HASH*/": hash(script),
    "/*STYLE-HASH*/": hash(style),
    "/*STYLE*/": style,
    "/*SCRIPT*/": script,
  };
  return readFileSync(here("page/index.html"), "utf8").replace(
    /\/\*(SCRIPT|STYLE)(-HASH)?\*\//g,
    (placeholder) => parts[placeholder],
  );
}

/** Returns the page of a document, given as JSON. */
export function page(json) {
  const data = gzipSync(json, { level: 9 }).toString("base64");
  return template().replace("<!--DATA-->", () => data);
}

function hash(text) {
  return `sha256-${createHash("sha256").update(text).digest("base64")}`;
}
