import preact from "@preact/preset-vite";
import { defineConfig } from "vitest/config";

// One script and one style sheet with names that never change, so that `otel-ext report` can
// put them into its page.
export default defineConfig({
  plugins: [preact({ devToolsEnabled: false })],
  define: { "process.env.NODE_ENV": JSON.stringify("production") },
  build: {
    target: "es2022",
    cssCodeSplit: false,
    lib: {
      entry: "src/main.tsx",
      formats: ["iife"],
      name: "OtelExtViewer",
      fileName: () => "viewer.js",
      cssFileName: "viewer",
    },
  },
  test: { environment: "happy-dom", include: ["tests/**/*.test.{ts,tsx}"] },
});
