/** Writes `build/agents.html`: the conversation of an agent, as it grows. */

import { mkdirSync, writeFileSync } from "node:fs";
import { build } from "vite";

const { output } = (
  await build({
    logLevel: "warn",
    build: {
      write: false,
      cssCodeSplit: false,
      lib: { entry: "demo/agentsPage.tsx", formats: ["iife"], name: "AgentsDemo" },
    },
  })
)[0];
const of = (end) => output.find((file) => file.fileName.endsWith(end));
const script = of(".js").code.replaceAll("</script", "<\\/script");
const style = String(of(".css").source);
mkdirSync("build", { recursive: true });
writeFileSync(
  "build/agents.html",
  `<!doctype html><html lang="en"><meta charset="utf-8"><title>Agents</title><style>${style}</style>
<div id="viewer"></div><script>${script}</script></html>`,
);
