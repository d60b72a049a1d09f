import { defineConfig, loadEnv } from "vite";

// The server embeds `dist` at `/` and answers with a strict Content-Security-Policy, so nothing may
// be inlined: no data: URLs, no inline scripts, no module preload helper.
const { STOKER_URL } = loadEnv("", ".", "STOKER_");

export default defineConfig({
  base: "/",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "dist",
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: false,
    reportCompressedSize: false,
  },
  server: {
    port: 5173,
    proxy: { "/api": STOKER_URL ?? "http://localhost:4040" },
  },
});
