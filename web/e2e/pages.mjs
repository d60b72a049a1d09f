// The pages and gestures beside Explore, hostile input, and accessibility, in a real browser on a real
// server. Run and read like live.mjs, after it.
import { assert, base, check, drawn, equal, findBox, finish, graph, hover, keep, newPage, picture, shoot, still, violations, waitMs } from "./harness.mjs";

const fixed = async (page) => {
  const { fromMs, untilMs } = await picture(page);
  // What came last may still be filling.
  return `from=${fromMs / 1000}&until=${untilMs / 1000 - 40}`;
};

const page = await newPage();
await page.goto(`${base}/`);
await drawn(page, "no flame graph", (p) => Number(p.nodes) > 3, waitMs);
const range = await fixed(page);
const [from, until] = range.match(/\d+/g).map(Number);
/** The same range, of which nothing changes any more. */
const kept = await keep(page, from, until);

await check("Ctrl and wheel zoom at the pointer, a drag moves, and the link has it", async () => {
  await page.goto(`${base}${kept}?${range}&graph=`);
  const before = await drawn(page, "no graph", (p) => Number(p.nodes) > 3);
  const bounds = await graph(page).boundingBox();
  await page.mouse.move(bounds.x + bounds.width * 0.3, bounds.y + 50);
  await page.keyboard.down("Control");
  for (let i = 0; i < 6; i++) await page.mouse.wheel(0, -120);
  await page.keyboard.up("Control");
  await drawn(page, "the wheel does not zoom", (p) => p.part !== "" && p.picture !== before.picture);
  await still(page);
  const closer = await picture(page);
  const [start, end] = closer.part.split("~").map(Number);
  assert(end - start < 0.5 && start < 0.3 && end > 0.3, `part ${closer.part}`);
  await page.mouse.move(bounds.x + 400, bounds.y + 50);
  await page.mouse.down();
  await page.mouse.move(bounds.x + 300, bounds.y + 50, { steps: 4 });
  await page.mouse.up();
  await drawn(page, "a drag does not move", (p) => p.part !== closer.part);
  await still(page);
  const moved = await picture(page);
  equal(moved.zoom, "", "a drag is no click; zoom");
  const other = await newPage();
  await other.goto(page.url());
  await drawn(other, "the link shows something else", (p) => p.picture === moved.picture);
  await other.context().close();
  await page.keyboard.press("Escape");
  await drawn(page, "Escape does not reset", (p) => p.part === "" && p.picture === before.picture);
  return `part ${closer.part}, then ${moved.part}`;
});

await check("w, s, a and d zoom and move from the keyboard", async () => {
  await graph(page).focus();
  for (const key of ["w", "w", "w", "d"]) await page.keyboard.press(key);
  await drawn(page, "no zoom by key", (p) => p.part !== "");
  await page.keyboard.press("Escape");
  await drawn(page, "no reset", (p) => p.part === "");
});

await check("the graph stands on its head and back, and the link has it", async () => {
  const before = await picture(page);
  await page.keyboard.press("f");
  await drawn(page, "not turned", (p) => p.flip === "true");
  equal(new URL(page.url()).searchParams.get("flip"), "1", "flip in the link");
  await still(page);
  await shoot(page, "flame-light");
  await page.goBack();
  await drawn(page, "not turned back", (p) => p.flip === "false" && p.picture === before.picture);
});

await check("the menu of a frame copies its name and stack, and finds its callers and callees", async () => {
  const box = await findBox(page);
  await page.mouse.click(box.x, box.y, { button: "right" });
  await page.getByRole("menuitem", { name: "Copy name" }).click();
  equal(await page.evaluate(() => navigator.clipboard.readText()), box.name, "copied name");
  await page.mouse.click(box.x, box.y, { button: "right" });
  await shoot(page, "menu-light");
  await page.getByRole("menuitem", { name: "Copy stack" }).click();
  const stack = await page.evaluate(() => navigator.clipboard.readText());
  assert(stack.endsWith(box.name), "the stack does not end with the frame");
  await page.mouse.click(box.x, box.y, { button: "right" });
  await page.keyboard.press("Escape");
  equal(await page.getByRole("menu").count(), 0, "menus after Escape");
  return box.name.slice(0, 60);
});

await check("a function has callers and callees that sum to it", async () => {
  await page.goto(`${base}/?page=functions&${range}`);
  const rows = page.locator(".functions tbody tr[data-index]");
  await rows.first().waitFor();
  const total = Number(await page.locator(".functions").getAttribute("data-rows"));
  assert(await rows.count() < 150, "all rows are in the page");
  await rows.first().locator("button").click();
  await page.locator("#callees").waitFor();
  for (const half of ["#callers", "#callees"]) await page.waitForFunction((id) => Number(document.querySelector(id)?.dataset.boxes) > 0, half);
  const totals = await page.evaluate(() => ["callers", "callees"].map((id) => document.getElementById(id).dataset.total));
  equal(totals[0], totals[1], "total of callers and callees");
  assert(new URL(page.url()).searchParams.has("fn"), "no function in the link");
  await shoot(page, "sandwich-light");
  // Lines sum to what the function did itself, or the page says that none is known.
  const lines = page.locator(".lines");
  await lines.waitFor();
  assert(/^\d|line not known|No line is known/m.test((await lines.innerText()).split("\n").slice(1).join("\n")), `no lines: ${await lines.innerText()}`);
  await page.goBack();
  await rows.first().waitFor();
  return `${total} functions, first sums to ${totals[0]}`;
});

await check("the list of functions scrolls, filters and is walked by keyboard", async () => {
  const scroller = page.locator(".functions");
  await scroller.evaluate((element) => element.scrollTo(0, element.scrollHeight));
  const last = Number(await scroller.getAttribute("data-rows")) - 1;
  await page.locator(`tr[data-index="${last}"]`).waitFor();
  await scroller.evaluate((element) => element.scrollTo(0, 0));
  await page.locator('tr[data-index="0"] button').focus();
  for (let i = 0; i < 3; i++) await page.keyboard.press("PageDown");
  await page.waitForFunction(() => document.activeElement?.closest("tr")?.dataset.index === "60");
  await page.getByLabel("Search frames").fill("/^[a-d]/i");
  await page.waitForFunction((all) => Number(document.querySelector(".functions")?.dataset.rows) < all, last);
  const names = await page.locator(".functions tbody .name bdi").first().innerText();
  assert(/^[a-d]/i.test(names), `${names} does not match`);
});

await check("two halves of the range are compared, swapped, side by side, and linked", async () => {
  const middle = Math.round((from + until) / 20) * 10;
  const recent = Math.max(middle, until - 40);
  const link = `${base}/?page=compare&from=${recent}&until=${until}&base=cpu%7B%7D&base_from=${from}&base_until=${recent}`;
  await page.goto(link);
  const seen = await drawn(page, "no comparison", (p) => Number(p.boxes) > 3);
  const first = await page.locator(".changes tbody tr").first().innerText();
  assert(first.includes("pp"), `no points in ${first}`);
  await shoot(page, "compare-light");
  await page.keyboard.press("x");
  await page.waitForFunction((now) => Number(new URL(location.href).searchParams.get("base_from")) === now, recent);
  await page.waitForFunction((before) => document.querySelector(".changes tbody tr")?.innerText !== before, first);
  await page.goBack();
  await page.getByRole("button", { name: "Side by side" }).click();
  await page.waitForFunction(() => Number(document.getElementById("flamegraph-base")?.dataset.boxes) > 0);
  await page.getByRole("button", { name: "Absolute" }).click();
  await page.waitForFunction(() => document.querySelector(".changes tbody")?.innerText.includes("cores"));
  await shoot(page, "compare-side-light");
  return `${seen.nodes} boxes`;
});

await check("a short link keeps its data, shows the same picture, and leads back to the live data", async () => {
  await page.goto(`${base}/?${range}&graph=`);
  await drawn(page, "no graph", (p) => Number(p.nodes) > 3);
  const box = await findBox(page);
  await page.mouse.click(box.x, box.y);
  await drawn(page, "no zoom", (p) => p.zoom !== "");
  await page.mouse.move(5, 5);
  await still(page);
  const mine = await picture(page);
  await page.getByRole("button", { name: "Share", exact: true }).click();
  await page.getByRole("button", { name: "Make a short link" }).click();
  const link = await page.getByLabel("Short link").inputValue();
  assert(/\/l\/[0-9a-z]{13}$/.test(link), `${link} is no short link`);
  await shoot(page, "short-link-light");
  await page.keyboard.press("Escape");
  const other = await newPage();
  const asked = [];
  other.on("request", (request) => request.url().includes("/api/") && asked.push(new URL(request.url()).pathname));
  await other.goto(link);
  await drawn(other, "the short link shows nothing", (p) => p.zoom !== "");
  await still(other);
  const theirs = await picture(other);
  // Names that came in between may have changed what is drawn, but not what is meant.
  for (const fact of ["zoom", "zoomDepth", "fromMs", "untilMs"]) equal(theirs[fact], mine[fact], fact);
  const strange = asked.filter((path) => !path.startsWith(`/api/v1/links/${link.split("/").at(-1)}`));
  equal(strange.join(), "", "questions to other data");
  equal(await other.getByRole("link", { name: "Fleet" }).count(), 0, "a link to the fleet, of which nothing is kept");
  await shoot(other, "kept-light");
  await other.keyboard.press("Escape");
  await drawn(other, "Escape does not reset", (p) => p.zoom === "");
  assert(new URL(other.url()).pathname.startsWith("/l/"), "a step leads away from the link");
  await other.getByRole("link", { name: "Live data" }).click();
  await drawn(other, "no live data", (p) => Number(p.nodes) > 3);
  equal(new URL(other.url()).pathname, "/", "path of the live data");
  other.expectedStatus = 404;
  await other.goto(`${base}/l/0000000000000`);
  await other.getByText("there is no link").waitFor();
  await other.context().close();
  return link;
});

await check("capacity is by service, version and function, sums to the whole, and leads to the flame graph", async () => {
  await page.goto(`${base}/?page=capacity&${range}`);
  const rows = page.locator(".capacity-table tbody tr");
  await rows.first().waitFor();
  const answer = await page.evaluate(async (search) => (await fetch(`/api/v1/capacity/services?query=cpu&${search}`)).json(), range);
  const sum = answer.rows.reduce((all, row) => all + row.cpu_seconds, 0);
  assert(Math.abs(sum - answer.cpu_seconds) < 1e-6 * sum, `${sum} s in rows, ${answer.cpu_seconds} s in all`);
  await shoot(page, "capacity-light");
  const csv = await page.getByRole("link", { name: "CSV" }).getAttribute("href");
  const text = await page.evaluate(async (href) => (await fetch(href)).text(), csv);
  assert(text.startsWith("start,end,minutes,service_name,cpuCoreUsageAverage"), text.slice(0, 80));
  const service = await rows.first().locator("bdi").first().innerText();
  await rows.first().locator("button").click();
  await drawn(page, "no flame graph of the service", (p) => p.groups === "0" && Number(p.nodes) > 1);
  assert((new URL(page.url()).searchParams.get("query") ?? "").includes(service), `the selector does not name ${service}`);
  await page.goBack();
  await page.getByRole("button", { name: "Functions", exact: true }).click();
  await page.locator(".capacity-table tbody .module").first().waitFor();
  equal(new URL(page.url()).searchParams.get("rows"), "function", "rows in the link");
  await rows.first().locator("button").click();
  await page.locator("#callers").waitFor();
  return `${answer.rows_total} services, ${service} first`;
});

await check("the fleet shows its agents", async () => {
  await page.goto(`${base}/?page=fleet`);
  const row = page.locator(".fleet tbody tr").first();
  await row.waitFor();
  assert((await row.innerText()).includes("Hz"), "no frequency");
  const head = (await page.locator(".fleet thead").first().innerText()).toLowerCase();
  assert(head.includes("frames with names"), "no naming rate");
  await shoot(page, "fleet-light");
  return (await row.innerText()).replace(/\s+/g, " ");
});

/** Drops a file onto the page, as a person would. */
async function drop(target, name, text) {
  const data = await target.evaluateHandle(([file, content]) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([content], file));
    return transfer;
  }, [name, text]);
  await target.dispatchEvent("body", "dragover", { dataTransfer: data });
  await target.dispatchEvent("body", "drop", { dataTransfer: data });
}

const hostile = [
  "one 10",
  "<img src=x onerror=alert(1)>;</script><script>alert(2)</script>;a 50",
  "دالة_حساب_المجموع;פונקציה::חישוב;\u202egnp.exe 40",
  `${"long_".repeat(1800)};${"a::".repeat(3000)}f 30`,
  `${Array.from({ length: 1000 }, (_, i) => `deep_${i}`).join(";")} 20`,
].join("\n");

await check("a dropped file with hostile names is shown, executes nothing and overflows nothing", async () => {
  await page.goto(`${base}/?${range}`);
  await drawn(page, "no graph", (p) => Number(p.nodes) > 3);
  let alerts = 0;
  page.on("dialog", (dialog) => (alerts++, dialog.dismiss()));
  await drop(page, "hostile.collapsed", hostile);
  const seen = await drawn(page, "the file is not shown", (p) => p.total === "150");
  assert(Number(seen.nodes) > 1000, `${seen.nodes} nodes of a stack of 1,000`);
  const bounds = await graph(page).boundingBox();
  for (let x = 0.05; x < 1; x += 0.1) {
    await hover(page, bounds.x + bounds.width * x, bounds.y + 30);
  }
  await shoot(page, "file-light");
  equal(alerts, 0, "alerts");
  equal(await page.locator("main img, main script").count(), 0, "elements made from names");
  equal(await page.evaluate(() => document.documentElement.scrollWidth), await page.evaluate(() => innerWidth), "page width");
  await page.getByRole("button", { name: "Close file" }).click();
  await drawn(page, "the live graph is not back", (p) => p.total !== "150");
  return `${seen.nodes} nodes`;
});

await check("a dropped file is compared with what is selected", async () => {
  // Of the service with the least: all that a busy machine runs, as text, is more than a file may have.
  const services = await page.evaluate(async (search) => (await (await fetch(`/api/v1/top?query=cpu&by=service&limit=0&${search}`)).json()).rows, range);
  const query = encodeURIComponent(`cpu{service_name="${services.findLast((row) => row.total > 0).name}"}`);
  await page.goto(`${base}/?${range}&graph=&query=${query}`);
  const { total } = await drawn(page, "no graph", (p) => Number(p.total) > 0);
  const collapsed = await page.evaluate(async (search) => (await fetch(`/api/v1/flamegraph?${search}&format=collapsed`)).text(), `query=${query}&${range}`);
  // The same profile, with one thing more: larger than any name that still comes.
  await drop(page, "before.collapsed", `${collapsed}added_by_hand;work ${total}\n`);
  await drawn(page, "the file is not shown", (p) => Number(p.total) === 2 * Number(total));
  await page.getByRole("button", { name: "Compare with the selection" }).click();
  const rows = page.locator(".changes tbody tr");
  await rows.first().waitFor();
  const added = await rows.filter({ hasText: /^work/ }).first().innerText();
  assert(/50\.0 %\s+0\.00 %/.test(added), `half of the file is not in the selection, and it says ${added}`);
  const seen = await drawn(page, "no comparison", (p) => Number(p.boxes) > 2);
  await shoot(page, "file-compare-light");
  await page.getByRole("button", { name: "Close file" }).click();
  return `${seen.nodes} boxes`;
});

await check("a file that is none says what is wrong", async () => {
  page.expectedIn = "name=picture.png";
  await drop(page, "picture.png", "\u0089PNG\u0000\u0001\u0002");
  await page.locator('.notice[data-state="error"]').waitFor();
  const message = await page.locator(".notice").innerText();
  await page.getByRole("button", { name: "Close file" }).click();
  return message.replace(/\s+/g, " ").slice(0, 100);
});

await check("a profile of one node, and a hundred thousand children of one parent", async () => {
  await drop(page, "one.collapsed", "main 1\n");
  await drawn(page, "one node is not shown", (p) => p.total === "1");
  const wide = Array.from({ length: 100_000 }, (_, i) => `main;child_${i} 1`).join("\n");
  await drop(page, "wide.collapsed", wide);
  const seen = await drawn(page, "the wide one is not shown", (p) => p.total === "100000");
  await page.getByRole("button", { name: "Close file" }).click();
  return `${seen.nodes} nodes, ${seen.boxes} boxes`;
});

await check("a server that goes away and comes back is said so, and nothing old passes for new", async () => {
  const other = await newPage();
  other.expectedStatus = "offline";
  await other.goto(`${base}/`);
  const before = await drawn(other, "no graph", (p) => Number(p.nodes) > 3);
  await other.route("**/api/v1/**", (route) => route.abort());
  await other.locator(".status .warn", { hasText: "does not answer" }).waitFor();
  equal((await picture(other)).untilMs, before.untilMs, "range of the picture");
  await other.unroute("**/api/v1/**");
  await drawn(other, "it does not go on", (p) => Number(p.untilMs) > Number(before.untilMs));
  await other.context().close();
});

await check("every page meets WCAG A and AA as far as axe can tell, in both themes", async () => {
  const found = [];
  for (const colorScheme of ["light", "dark"]) {
    const other = await newPage({ colorScheme });
    for (const path of ["/", "/?page=functions", "/?page=sandwich&fn=x", `/?page=compare&${range}&base=cpu&base_from=now-1h&base_until=now`, "/?page=fleet", "/?page=capacity", "/?page=capacity&rows=function"]) {
      await other.goto(`${base}${path}`);
      await other.waitForTimeout(1500);
      const wrong = await violations(other);
      if (wrong !== "") found.push(`${colorScheme} ${path}: ${wrong}`);
      await shoot(other, `page-${new URL(other.url()).searchParams.get("page") ?? "explore"}-${colorScheme}`);
    }
    await other.context().close();
  }
  equal(found.join("\n"), "", "violations");
});

await check("every page fits into 360 px", async () => {
  const phone = await newPage({ viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true });
  for (const path of ["/", "/?page=functions", "/?page=sandwich&fn=x", `/?page=compare&${range}&base=cpu&base_from=now-1h&base_until=now`, "/?page=fleet", "/?page=capacity&rows=function"]) {
    await phone.goto(`${base}${path}`);
    await phone.waitForTimeout(1200);
    equal(await phone.evaluate(() => document.documentElement.scrollWidth), 360, `width of ${path}`);
    await shoot(phone, `phone-${new URL(phone.url()).searchParams.get("page") ?? "explore"}`);
  }
  await phone.context().close();
});

await finish();
