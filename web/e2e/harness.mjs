// What the browser tests share: a browser, pages that are watched, checks that are counted, and ways to
// read what is drawn.
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

export const base = (process.env.STOKER_URL ?? "http://localhost:4040").replace(/\/$/, "");
export const waitMs = Number(process.env.STOKER_E2E_WAIT_S ?? 90) * 1000;
export const shots = new URL("./shots/", import.meta.url).pathname;
mkdirSync(shots, { recursive: true });

/** How long anything is waited for: a busy machine takes long to answer, which is no fault. */
const PATIENCE_MS = 60_000;

/** After so long the samples of a window have been sent and stored. */
export const SETTLED_MS = 25_000;

let passed = 0;
let failed = 0;

/** Runs one check; `body` throws or returns a note. */
export async function check(name, body) {
  try {
    const note = await body();
    passed++;
    console.log(`ok    ${name}${note ? `  (${note})` : ""}`);
    return true;
  } catch (error) {
    failed++;
    console.log(`FAIL  ${name}\n        ${String(error?.message ?? error).split("\n").slice(0, 6).join("\n        ")}`);
    return false;
  }
}

export function assert(condition, message) {
  if (!condition) throw new Error(message);
}

export function equal(actual, expected, what) {
  assert(actual === expected, `${what}: ${JSON.stringify(actual)} is not ${JSON.stringify(expected)}`);
}

export const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
});

export const complaints = [];
export const foreign = [];

/** A page whose errors and requests are watched; `expectErrors` for the check that provokes one. */
export async function newPage(options = {}) {
  const context = await browser.newContext({
    viewport: { width: 1360, height: 860 },
    colorScheme: "light",
    permissions: ["clipboard-read", "clipboard-write"],
    ...options,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  page.expectedStatus = null;
  // A part of addresses whose errors a check provokes, however late they come.
  page.expectedIn = null;
  page.on("console", (message) => {
    if (message.type() !== "error" && message.type() !== "warning") return;
    // A request's last parameter has no `&` behind it.
    if (page.expectedIn && `${message.location().url}&`.includes(page.expectedIn)) return;
    if (page.expectedStatus && message.text().includes(`status of ${page.expectedStatus}`)) return;
    if (page.expectedStatus === "offline" && message.text().includes("ERR_FAILED")) return;
    // An overloaded server says "not now", and the page asks again: what does not come fails its check.
    if (message.text().includes("status of 503")) return;
    // A server that computes no error bars has no such endpoint, and the page says so.
    if (new URL(message.location().url || base).pathname === "/api/v1/diff") return;
    complaints.push(`${message.text()} ${message.location().url}`);
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== new URL(base).origin) foreign.push(request.url());
  });
  return page;
}

export const graph = (page) => page.locator("#flamegraph");

/** What the canvas says it shows. */
export async function picture(page) {
  return graph(page).evaluate((canvas) => ({ ...canvas.dataset }));
}

/** Waits until `test` holds for what is drawn and gives it back. */
export async function drawn(page, what, test, timeoutMs = PATIENCE_MS) {
  const end = Date.now() + timeoutMs;
  let last;
  while (Date.now() < end) {
    if (await graph(page).count()) {
      last = await picture(page);
      if (last.picture !== "" && test(last)) return last;
    }
    await page.waitForTimeout(50);
  }
  throw new Error(`${what}; last drawn: ${JSON.stringify(last)}`);
}

/** Lets the page draw: what events did to it is on the screen afterwards, however slow the machine is. */
export async function frames(page, count = 2) {
  await page.evaluate(
    (left) =>
      new Promise((resolve) => {
        const step = () => (left-- > 0 ? requestAnimationFrame(step) : resolve());
        step();
      }),
    count,
  );
}

/** Moves the mouse there; what shows where it points is up to date when this returns. */
export async function hover(page, x, y) {
  await page.mouse.move(x, y);
  await frames(page);
}

/** Stops the refreshing of a live page, so that boxes stay where they were found. */
export async function pause(page) {
  await page.getByRole("button", { name: "Live", exact: true }).click();
  await page.getByRole("button", { name: "Paused" }).waitFor();
}

/** Has the server keep a range for good: late samples and names do not change it any more. Gives its path. */
export function keep(page, from, until) {
  return page.evaluate(
    async (selection) => {
      const made = await fetch("/api/v1/links", { method: "POST", body: JSON.stringify({ view: "", selections: [selection] }) });
      if (made.status !== 201) throw new Error(`no link: ${made.status} ${await made.text()}`);
      return (await made.json()).path;
    },
    { query: "cpu", from: String(from), until: String(until) },
  );
}

/** The pixels of the canvas, as one string. */
export const pixels = (page) => graph(page).evaluate((canvas) => canvas.toDataURL());

/** Rests until the same picture has stood for a while. */
export async function still(page) {
  let before = "";
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; ) {
    const seen = await picture(page);
    const now = JSON.stringify(seen);
    if (now === before && seen.asking !== "true") return;
    before = now;
    await page.waitForTimeout(250);
  }
  throw new Error("the picture does not come to rest");
}

export async function shoot(page, name) {
  await page.screenshot({ path: `${shots}${name}.png` });
}

/** A place on a box that is narrower than the whole and wide enough to click: found by hovering. */
export async function findBox(page) {
  const bounds = await graph(page).boundingBox();
  const root = await picture(page);
  for (let row = 2; row < 14; row++) {
    for (let part = 0.1; part < 1; part += 0.1) {
      const at = { x: bounds.x + bounds.width * part, y: bounds.y + row * 20 + 10 };
      if (at.y > bounds.y + bounds.height - 5) break;
      await hover(page, at.x, at.y);
      const card = page.locator(".card");
      if ((await card.count()) === 0) continue;
      const share = Number.parseFloat((await card.locator("dd .share").first().innerText()).replace(/[<>]/g, ""));
      if (share > 2 && share < 90) return { ...at, name: await card.locator(".card-name").innerText(), share, root };
    }
  }
  throw new Error("no box between 2 % and 90 % of the width was found");
}

/** A label box that is wide enough to hit. */
export async function findLabel(page) {
  const bounds = await graph(page).boundingBox();
  for (let part = 0.03; part < 1; part += 0.04) {
    const at = { x: bounds.x + bounds.width * part, y: bounds.y + 30 };
    await hover(page, at.x, at.y);
    const card = page.locator(".card");
    if ((await card.count()) === 0) continue;
    const found = /^service_name = (.+)$/.exec(await card.locator(".card-name").innerText());
    const share = Number.parseFloat((await card.locator("dd .share").first().innerText()).replace(/[<>]/g, ""));
    if (found && share > 4) return { ...at, service: found[1], share };
  }
  throw new Error("no box of a service wider than 4 % was found");
}

export const groupMenu = (page) => page.getByLabel("Group the flame graph by");

/** True if anything is painted on the canvas that follows the mouse. */
export const marked = (page) =>
  page.locator(".flame canvas.overlay").evaluate((canvas) => {
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    return copy.getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value !== 0);
  });

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What axe finds wrong by WCAG 2.2 A and AA. */
export async function violations(page) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] }));
  return found.violations.map((rule) => `${rule.id}: ${rule.nodes.map((node) => node.target.join(" ")).slice(0, 3).join(", ")}`).join("\n");
}

/** Ends the run: nothing may have complained, nothing may have left for another host. */
export async function finish() {
  await check("no error or warning on the console", () => equal(complaints.join("\n"), "", "console"));
  await check("no request to another host", () => equal(foreign.join("\n"), "", "requests"));
  await browser.close();
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 ? 0 : 1);
}
