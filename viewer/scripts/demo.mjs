/** Writes demo data and their pages into `build/`: a checkout, 100,000 spans, hostile content. */

import { mkdirSync, writeFileSync } from "node:fs";
import { runnerImport } from "vite";
import { page } from "./fill.mjs";

const { module: data } = await runnerImport(new URL("../demo/data.ts", import.meta.url).pathname);
const { module: hostile } = await runnerImport(
  new URL("../demo/hostile.ts", import.meta.url).pathname,
);
mkdirSync("build", { recursive: true });
for (const [name, make] of Object.entries({
  checkout: data.checkout,
  large: () => data.large(100_000),
  hostile: hostile.hostile,
})) {
  const json = JSON.stringify(await make());
  writeFileSync(`build/${name}.json`, json);
  writeFileSync(`build/${name}.html`, page(json));
}
