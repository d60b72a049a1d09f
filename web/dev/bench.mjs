// The viewer and speedscope with one generated profile of a million nodes, in one run, in Chromium.
//
//   npm run build && STOKER_URL=http://localhost:4040 node dev/bench.mjs
//
// Needs a running server (dev/serve.mjs before it does too); pushes the profile to it once. Environment:
// STOKER_URL, CHROMIUM, NODES (fewer than a million, where speedscope is to be seen as well). Drawing is
// in software here, for both. `own` is the script that runs in one frame: event listeners and animation
// callbacks, measured around them by the wall clock, so a busy machine inflates it; `CPU` is the mean of all script per frame in CPU time of the page's thread;
// `frame` is the time from one frame to the next. Prints a table.
import { createServer } from "node:http";
import { createReadStream, existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, extname, join, normalize } from "node:path";
import { gzipSync } from "node:zlib";
import { chromium } from "playwright-core";
import { millionNodes, NODES } from "./million.mjs";

const base = (process.env.STOKER_URL ?? "http://localhost:4040").replace(/\/$/, "");
const FRAMES = 150;
/** Within retention, and the same for an hour: a profile that is pushed again counts once. */
const FROM = (Math.floor(Date.now() / 3_600_000) - 1) * 3600;

const { text, samples } = millionNodes();
console.log(`profile: ${NODES.toLocaleString("en")} nodes, ${samples.toLocaleString("en")} samples, ${(text.length / 2 ** 20).toFixed(0)} MiB of speedscope JSON`);

/** Runs in the page before everything else: times what is run per frame. */
function instrument() {
  const spent = { own: 0 };
  globalThis.bench = spent;
  const timed = (run) => function (...all) {
    const begin = performance.now();
    try {
      return run.apply(this, all);
    } finally {
      spent.own += performance.now() - begin;
    }
  };
  const raf = globalThis.requestAnimationFrame.bind(globalThis);
  globalThis.bareFrame = raf;
  globalThis.requestAnimationFrame = (run) => raf(timed(run));
  const add = EventTarget.prototype.addEventListener;
  EventTarget.prototype.addEventListener = function (type, listener, options) {
    const isTimed = typeof listener === "function" && ["wheel", "pointermove", "pointerdown", "mousemove", "mousedown"].includes(type);
    return add.call(this, type, isTimed ? timed(listener) : listener, options);
  };
}

/** Zooms and pans for some frames; own script and whole time of each. */
function gestures(selector, frames) {
  return (async ([query, count]) => {
    const canvas = document.querySelector(query);
    const bounds = canvas.getBoundingClientRect();
    const next = () => new Promise((done) => globalThis.bareFrame(done));
    const rows = [];
    await next();
    let before = performance.now();
    for (let i = 0; i < count; i++) {
      const phase = i % 50;
      const zooms = phase < 20 ? -40 : phase < 40 ? 40 : 0;
      globalThis.bench.own = 0;
      const at = { clientX: bounds.left + bounds.width * 0.37, clientY: bounds.top + 60, bubbles: true, cancelable: true };
      const wheel = zooms === 0 ? { deltaX: phase % 2 === 0 ? 30 : -30, deltaY: 0 } : { deltaY: zooms, ctrlKey: true };
      canvas.dispatchEvent(new WheelEvent("wheel", { ...at, ...wheel }));
      await next();
      await next();
      const now = performance.now();
      rows.push({ own: globalThis.bench.own, frame: (now - before) / 2 });
      before = now;
    }
    return rows;
  })([selector, frames]);
}

const at = (values, part) => values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))];
const ms = (value) => (value === null ? "" : `${value.toFixed(value < 10 ? 1 : 0)} ms`);

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-background-networking", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
});

/** Gestures with the script's CPU time per frame beside them. */
async function runGestures(page, selector) {
  const client = await page.context().newCDPSession(page);
  await client.send("Performance.enable", { timeDomain: "threadTicks" });
  const script = async () => (await client.send("Performance.getMetrics")).metrics.find((metric) => metric.name === "ScriptDuration").value * 1000;
  const before = await script();
  const frames = await page.evaluate(`(${gestures})(${JSON.stringify(selector)}, ${FRAMES})`);
  return { frames, cpu: ((await script()) - before) / FRAMES };
}

async function open() {
  const context = await browser.newContext({ viewport: { width: 1360, height: 860 } });
  const page = await context.newPage();
  page.setDefaultTimeout(540_000);
  await page.addInitScript(instrument);
  return page;
}

async function measureStoker(all) {
  const page = await open();
  // From the answer's last byte to the first picture.
  await page.addInitScript(() => {
    const seen = new MutationObserver(() => {
      const canvas = document.getElementById("flamegraph");
      if (Number(canvas?.dataset.boxes) > 0 && globalThis.firstDrawn === undefined) globalThis.firstDrawn = performance.now();
    });
    seen.observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-boxes"] });
  });
  const started = performance.now();
  await page.goto(`${base}/?query=${encodeURIComponent(`wall:wall:nanoseconds:wall:nanoseconds{service_name="made-${NODES}"}`)}&from=${FROM}&until=${FROM + 60}&graph=&pane=graph${all ? "&nodes=all" : ""}`);
  await page.waitForFunction(() => globalThis.firstDrawn !== undefined);
  const load = performance.now() - started;
  const { paint, graphBytes, allBytes } = await page.evaluate(() => {
    const resources = performance.getEntriesByType("resource");
    const graph = resources.find((entry) => entry.name.includes("/api/v1/flamegraph"));
    const page_ = performance.getEntriesByType("navigation")[0].encodedBodySize;
    return { paint: globalThis.firstDrawn - graph.responseEnd, graphBytes: graph.encodedBodySize, allBytes: page_ + resources.reduce((sum, entry) => sum + entry.encodedBodySize, 0) };
  });
  await page.waitForTimeout(1500);
  const nodes = Number(await page.locator("#flamegraph").getAttribute("data-nodes"));
  const { frames, cpu } = await runGestures(page, "#flamegraph");
  await page.waitForTimeout(1500);
  await page.keyboard.press("Escape");
  await page.waitForTimeout(1500);
  const search = await page.evaluate(
    () =>
      new Promise((done) => {
        const canvas = document.getElementById("flamegraph");
        const field = document.getElementById("search");
        new MutationObserver(() => done(performance.now() - begin)).observe(canvas, { attributes: true, attributeFilter: ["data-matched-frames"] });
        const begin = performance.now();
        Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(field, "method_77");
        field.dispatchEvent(new Event("input", { bubbles: true }));
      }),
  );
  await page.context().close();
  return { name: all ? "Stoker, all nodes sent" : "Stoker", nodes, load, paint, graphBytes, allBytes, frames, cpu, search };
}

/** Serves speedscope and the profile from one address. */
function serveSpeedscope() {
  const root = join(dirname(createRequire(import.meta.url).resolve("speedscope/package.json")), "dist/release");
  const types = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".wasm": "application/wasm" };
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://x").pathname;
    if (path === "/profile.json") return response.writeHead(200, { "content-type": "application/json" }).end(text);
    const file = join(root, normalize(path === "/" ? "/index.html" : path));
    if (!file.startsWith(root) || !existsSync(file)) return response.writeHead(404).end();
    response.writeHead(200, { "content-type": types[extname(file)] ?? "application/octet-stream" });
    return createReadStream(file).pipe(response);
  });
  return new Promise((done) => server.listen(0, "127.0.0.1", () => done(server)));
}

async function measureSpeedscope() {
  const server = await serveSpeedscope();
  const address = `http://127.0.0.1:${server.address().port}`;
  const page = await open();
  const started = performance.now();
  await page.goto(`${address}/#profileURL=${encodeURIComponent(`${address}/profile.json`)}`);
  await page.waitForFunction(() => document.title.includes("speedscope") && document.querySelector("canvas") !== null && document.body.innerText.includes("Time Order"));
  await page.getByText("Left Heavy").click();
  await page.waitForTimeout(1000);
  const load = performance.now() - started - 1000;
  // What lies in the middle of the picture takes the gestures.
  await page.evaluate(() => document.elementFromPoint(500, 420).setAttribute("data-bench", ""));
  const { frames, cpu } = await runGestures(page, "[data-bench]");
  await page.mouse.click(500, 420);
  await page.keyboard.press("Control+f");
  const field = page.locator("input:visible").first();
  let search = null;
  if (await field.waitFor({ timeout: 10_000 }).then(() => true, () => false)) {
    const begin = performance.now();
    await field.fill("method_77");
    // It says which match of how many is shown, where it finds any.
    const counted = page.waitForFunction(() => /\d+\s*\/\s*\d+/.test(document.body.innerText), null, { timeout: 20_000 });
    search = await counted.then(() => performance.now() - begin, () => null);
    if (search === null) console.log("speedscope showed no count of matches within 20 s");
  }
  await page.context().close();
  server.close();
  return { name: "speedscope", nodes: NODES, load, paint: null, graphBytes: text.length, allBytes: null, frames, cpu, search };
}

const push = await fetch(`${base}/api/v1/push?service_name=made-${NODES}&from=${FROM}&until=${FROM + 60}`, { method: "POST", body: gzipSync(text, { level: 1 }) });
console.log(`push: ${push.status} ${(await push.text()).slice(0, 160)}`);

const results = [];
for (const run of [() => measureStoker(false), () => measureStoker(true), measureSpeedscope]) {
  try {
    const result = await run();
    results.push(result);
    console.log(`measured: ${result.name}`);
  } catch (error) {
    console.log(`could not run: ${String(error.message ?? error).split("\n")[0]}`);
  }
}
await browser.close();
console.log("\n| viewer | nodes | whole load | first paint after the answer | profile bytes transferred | page and data | own script per frame p50 / p95 | CPU per frame | frame p50 / p95 | search |\n|---|---|---|---|---|---|---|---|---|---|");
for (const { name, nodes, load, paint, graphBytes, allBytes, frames, cpu, search } of results) {
  const own = frames.map((row) => row.own);
  const whole = frames.map((row) => row.frame);
  const kib = (bytes) => (bytes === null ? "" : `${(bytes / 1024).toFixed(0)} KiB`);
  console.log(`| ${name} | ${nodes.toLocaleString("en")} | ${ms(load)} | ${ms(paint)} | ${kib(graphBytes)} | ${kib(allBytes)} | ${ms(at(own, 0.5))} / ${ms(at(own, 0.95))} | ${ms(cpu)} | ${ms(at(whole, 0.5))} / ${ms(at(whole, 0.95))} | ${ms(search)} |`);
}
