/** Puts the page of the application beside its script and style, and says how large they are. */

import { copyFileSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

/** The page may need this much at most before it is there, compressed. */
const MOST_BYTES = 120_000;

const here = (path) => new URL(`../${path}`, import.meta.url);
copyFileSync(here("page/app.html"), here("dist/app/index.html"));
let sum = 0;
for (const name of ["index.html", "app.css", "app.js"]) {
  const { length } = gzipSync(readFileSync(here(`dist/app/${name}`)), { level: 9 });
  console.log(`${name}: ${length} bytes compressed`);
  sum += length;
}
if (sum > MOST_BYTES) throw new Error(`the application is too large: ${sum} bytes compressed`);
