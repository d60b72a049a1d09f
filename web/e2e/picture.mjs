// Makes the pictures of the README from a running server with interesting live data.
//
//   STOKER_URL=http://localhost:4040 node e2e/picture.mjs
//
// Environment: STOKER_URL (default http://localhost:4040), STOKER_QUERY (the selector to show, default
// all), STOKER_MINUTES (default 5), CHROMIUM (default /usr/bin/chromium). Writes viewer-dark.png and
// viewer-light.png of 1400 x 860 pixels to docs/images, made smaller by pngquant where it is installed.
import { spawnSync } from "node:child_process";
import { mkdirSync, statSync } from "node:fs";
import { chromium } from "playwright-core";

const base = (process.env.STOKER_URL ?? "http://localhost:4040").replace(/\/$/, "");
const images = new URL("../../docs/images/", import.meta.url).pathname;
mkdirSync(images, { recursive: true });

const view = new URLSearchParams({ from: `now-${process.env.STOKER_MINUTES ?? 5}m` });
if (process.env.STOKER_QUERY) view.set("query", process.env.STOKER_QUERY);

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
for (const colorScheme of ["dark", "light"]) {
  const context = await browser.newContext({ viewport: { width: 1400, height: 860 }, colorScheme });
  const page = await context.newPage();
  await page.goto(`${base}/?${view}`);
  await page.waitForFunction(() => Number(document.getElementById("flamegraph")?.dataset.boxes) > 0);
  await page.locator(".functions tbody tr").first().waitFor();
  await page.waitForTimeout(500);
  const path = `${images}viewer-${colorScheme}.png`;
  await page.screenshot({ path });
  spawnSync("pngquant", ["--force", "--ext", ".png", "--quality", "80-100", "--strip", path], { stdio: "inherit" });
  console.log(`${path.split("/").at(-1)}: ${Math.ceil(statSync(path).size / 1024)} KiB`);
  await context.close();
}
await browser.close();
