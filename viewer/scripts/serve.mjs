/**
 * Serves the built application with generated live data, for looking at it.
 *
 *   node scripts/serve.mjs [--port 8319] [--past 400] [--large 100000] [--grow 500] [--hostile] [--quiet]
 */

import { parseArgs } from "node:util";
import { runnerImport } from "vite";

const { values } = parseArgs({
  options: {
    port: { type: "string", default: "8319" },
    past: { type: "string", default: "400" },
    large: { type: "string", default: "0" },
    grow: { type: "string", default: "0" },
    hostile: { type: "boolean", default: false },
    quiet: { type: "boolean", default: false },
  },
});
const { module } = await runnerImport(new URL("../demo/live/server.ts", import.meta.url).pathname);
module.serve(Number(values.port), {
  past: Number(values.past),
  large: Number(values.large),
  grow: Number(values.grow),
  isHostile: values.hostile,
  isQuiet: values.quiet,
  files: new URL("../dist/app/", import.meta.url),
});
console.log(`http://127.0.0.1:${values.port}/`);
