import preact from "@preact/preset-vite";
import { defineConfig } from "vitest/config";

// `vite build --mode app` builds the application that the server serves, else the report.
//
// One script and one style sheet with names that never change, so that `otel-ext report` can
// put them into its page, and that the committed files of the application keep theirs.
export default defineConfig(({ mode }) => {
  const isApp = mode === "app";
  return {
    plugins: [preact({ devToolsEnabled: false })],
    define: { "process.env.NODE_ENV": JSON.stringify("production") },
    build: {
      target: "es2022",
      cssCodeSplit: false,
      outDir: isApp ? "dist/app" : "dist",
      lib: {
        entry: isApp ? "src/app/main.tsx" : "src/main.tsx",
        formats: ["iife" as const],
        name: isApp ? "OtelExtApp" : "OtelExtViewer",
        fileName: () => (isApp ? "app.js" : "viewer.js"),
        cssFileName: isApp ? "app" : "viewer",
      },
    },
    test: {
      environment: "happy-dom",
      include: ["tests/**/*.test.{ts,tsx}"],
      setupFiles: ["tests/effects.ts"],
    },
  };
});
