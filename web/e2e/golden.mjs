// Every page in both themes, over answers that never change, compared with the pictures in golden/.
//
//   npm run build && node e2e/golden.mjs          compares; what differs is left in shots/
//   STOKER_GOLDEN=write node e2e/golden.mjs       renews them: look at each before it is committed
//
// Made smaller by pngquant where it is installed. Fonts differ from machine to machine: a picture passes while at most MAX_PART of its pixels differ by
// more than MAX_STEP of 255. So a page that is broken fails and another rendering of a letter does not.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { extname, join } from "node:path";
import { chromium } from "playwright-core";
import { answer, NOW_MS, RANGE } from "./fixture.mjs";

const MAX_STEP = 48;
const MAX_PART = 0.08;

const dist = new URL("../dist/", import.meta.url).pathname;
const goldens = new URL("./golden/", import.meta.url).pathname;
const shots = new URL("./shots/", import.meta.url).pathname;
mkdirSync(goldens, { recursive: true });
mkdirSync(shots, { recursive: true });
const types = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };

const PAGES = {
  explore: `/?${RANGE}`,
  flame: `/?${RANGE}&flip=1&colour=group&pane=graph&search=compress`,
  heatmap: `/?${RANGE}&chart=heatmap&slice=1760000720.1..1760000731.5`,
  functions: `/?page=functions&${RANGE}`,
  sandwich: `/?page=sandwich&fn=render&mod=api&${RANGE}`,
  compare: `/?page=compare&${RANGE}&base=cpu&base_from=1&base_until=2`,
  fleet: "/?page=fleet",
  capacity: `/?page=capacity&${RANGE.replace(/until=\d+/, (text) => `until=${Number(text.slice(6)) + 18_000}`)}`,
};

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--font-render-hinting=none", "--disable-lcd-text"] });

async function serve(route) {
  const url = new URL(route.request().url());
  if (url.pathname.startsWith("/api/")) {
    const body = answer(url);
    return route.fulfill(body === null ? { status: 404, body: "{}" } : { json: body });
  }
  const path = join(dist, url.pathname === "/" ? "index.html" : url.pathname);
  return route.fulfill({ body: readFileSync(path), contentType: types[extname(path)] ?? "application/octet-stream" });
}

/** The part of pixels that differ; 1 for pictures of different sizes. */
async function difference(page, a, b) {
  return page.evaluate(
    async ([one, two, step]) => {
      const pixels = async (png) => {
        const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${png}`)).blob());
        const context = new OffscreenCanvas(image.width, image.height).getContext("2d");
        context.drawImage(image, 0, 0);
        return context.getImageData(0, 0, image.width, image.height);
      };
      const [left, right] = await Promise.all([pixels(one), pixels(two)]);
      if (left.width !== right.width || left.height !== right.height) return 1;
      let differing = 0;
      for (let i = 0; i < left.data.length; i += 4) {
        if ([0, 1, 2].some((c) => Math.abs(left.data[i + c] - right.data[i + c]) > step)) differing++;
      }
      return differing / (left.data.length / 4);
    },
    [a.toString("base64"), b.toString("base64"), MAX_STEP],
  );
}

let failed = 0;
const judge = await (await browser.newContext()).newPage();
for (const colorScheme of ["light", "dark"]) {
  const context = await browser.newContext({ viewport: { width: 1180, height: 720 }, colorScheme, timezoneId: "UTC", reducedMotion: "reduce" });
  await context.route("**/*", serve);
  for (const [name, path] of Object.entries(PAGES)) {
    const page = await context.newPage();
    const complaints = [];
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(String(error)));
    await page.clock.setFixedTime(NOW_MS);
    await page.goto(`http://stoker.localhost${path}`);
    await page.locator("main table tbody tr, main canvas[data-boxes]:not([data-boxes='0'])").first().waitFor();
    await page.waitForTimeout(700);
    const taken = await page.screenshot();
    await page.close();
    const file = `${goldens}${name}-${colorScheme}.png`;
    if (process.env.STOKER_GOLDEN === "write") {
      writeFileSync(file, taken);
      spawnSync("pngquant", ["--force", "--ext", ".png", "--quality", "80-100", "--strip", file], { stdio: "inherit" });
    }
    const part = existsSync(file) ? await difference(judge, readFileSync(file), taken) : 1;
    const fine = part <= MAX_PART && complaints.length === 0;
    if (!fine) {
      failed++;
      writeFileSync(`${shots}${name}-${colorScheme}.png`, taken);
    }
    console.log(`${fine ? "ok   " : "FAIL "} ${name} ${colorScheme}: ${(part * 100).toFixed(2)} % of the pixels differ ${complaints.join("; ")}`);
  }
  await context.close();
}
await browser.close();
console.log(`${Object.keys(PAGES).length * 2 - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
