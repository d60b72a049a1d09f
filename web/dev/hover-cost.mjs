// What a moving mouse costs: script time of our own per mouse move over a large flame graph, in
// Chromium, on the mock server's 300,000-node profile.
//
//   npm run build && node dev/hover-cost.mjs
//
// Environment: CHROMIUM (default /usr/bin/chromium). Prints mean, p95 and the largest.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chromium } from "playwright-core";

const MOVES = 300;
const port = 20_000 + (process.pid % 20_000);
const mock = spawn(process.execPath, [new URL("mock-server.mjs", import.meta.url).pathname, "--port", String(port)], { stdio: ["ignore", "pipe", "inherit"] });
await once(mock.stdout, "data");
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
try {
  const page = await browser.newPage({ viewport: { width: 1360, height: 860 } });
  const query = encodeURIComponent('cpu{service_name="big"}');
  await page.goto(`http://localhost:${port}/?query=${query}&from=1760000000&until=1760000900&nodes=all&pane=graph`);
  const canvas = page.locator("#flamegraph");
  await page.waitForFunction(() => Number(document.getElementById("flamegraph")?.dataset.boxes) > 0, null, { timeout: 120_000 });
  const bounds = await canvas.boundingBox();
  const client = await page.context().newCDPSession(page);
  await client.send("Performance.enable");
  const scriptMs = async () => (await client.send("Performance.getMetrics")).metrics.find((m) => m.name === "ScriptDuration").value * 1000;
  const frame = () => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  await page.waitForTimeout(500);
  const costs = [];
  for (let i = 0; i < MOVES; i++) {
    const x = bounds.x + bounds.width * ((i * 0.618) % 1);
    const y = bounds.y + bounds.height * ((i * 0.414) % 1);
    const before = await scriptMs();
    await page.mouse.move(x, y);
    await frame();
    costs.push((await scriptMs()) - before);
  }
  costs.sort((a, b) => a - b);
  const mean = costs.reduce((a, b) => a + b, 0) / costs.length;
  const nodes = await canvas.getAttribute("data-nodes");
  const boxes = await canvas.getAttribute("data-boxes");
  console.log(`${nodes} nodes, ${boxes} boxes drawn, ${MOVES} moves: mean ${mean.toFixed(2)} ms, p95 ${costs[Math.floor(MOVES * 0.95)].toFixed(2)} ms, largest ${costs.at(-1).toFixed(2)} ms of script per move`);
} finally {
  await browser.close();
  mock.kill();
}
