/**
 * Writes the page of a report.
 *
 *   node scripts/page.mjs                        dist/report.html, which still needs its data
 *   node scripts/page.mjs data.json report.html  a page with data
 */

import { readFileSync, writeFileSync } from "node:fs";
import { page, template } from "./fill.mjs";

const [from, to = "report.html"] = process.argv.slice(2);
if (from) writeFileSync(to, page(readFileSync(from)));
else writeFileSync(new URL("../dist/report.html", import.meta.url), template());
