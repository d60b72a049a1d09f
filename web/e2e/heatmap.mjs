// The heatmap in a real browser on a real server that keeps samples one by one (`stoker up --detailed`).
// Run and read like live.mjs, after it.
import { assert, base, check, drawn, equal, finish, keep, newPage, shoot, violations, waitMs } from "./harness.mjs";

const heat = (page) => page.locator(".heat");
const facts = (page) => heat(page).evaluate((element) => ({ ...element.dataset }));
const slice = (page) => new URL(page.url()).searchParams.get("slice");

/** What the note beside the heatmap says of the samples under the pointer or in the selection. */
async function noted(page) {
  const text = await page.locator(".heatmap .cursor-time").innerText();
  return Number(/: ([\d,]+) samples?$/.exec(text)?.[1].replaceAll(",", ""));
}

/** Waits until the flame graph is of the slice in the address. */
async function sliced(page, samples) {
  await page.locator(`.slice-note[data-slice="${slice(page)}"]`).waitFor();
  await page.waitForFunction((wanted) => Number(document.querySelector(".status")?.dataset.samples) === wanted, samples);
}

/** Twenty seconds, in whole windows, that have samples and will not get more. */
async function filled(of) {
  for (const end = Date.now() + waitMs; Date.now() < end; await of.waitForTimeout(1000)) {
    const map = await of.evaluate(async () => (await fetch("/api/v1/heatmap?query=cpu&from=now-15m")).json());
    const first = map.counts.findIndex((count) => count > 0);
    const begin = map.from_ms / 1000 + Math.floor(((first / map.rows) * map.column_ms) / 10_000 + 1) * 10;
    if (first >= 0 && Date.now() / 1000 > begin + 35) return [begin, begin + 20];
  }
  throw new Error("no sample has a moment: is it stoker up --detailed?");
}

const page = await newPage();
await page.goto(`${base}/`);
await drawn(page, "no flame graph", (p) => Number(p.nodes) > 3, waitMs);
const [from, until] = await filled(page);
const path = `/?from=${from}&until=${until}&chart=heatmap&graph=`;

await check("the heatmap takes the timeline's place, and its cells are all samples that have a moment", async () => {
  await page.goto(`${base}/?from=${from}&until=${until}`);
  await page.getByRole("button", { name: "Heatmap" }).click();
  await heat(page).waitFor();
  equal(new URL(page.url()).searchParams.get("chart"), "heatmap", "chart in the link");
  const seen = await facts(page);
  equal(Number(seen.columns), until - from, "a column for each second");
  const cells = await page.locator(".heatmap table td").allInnerTexts();
  equal(cells.length, Number(seen.rows), "rows of the table");
  const sum = cells.reduce((all, text) => all + Number(text.replaceAll(",", "")), 0);
  equal(sum, Number(seen.withTime), "sum of the table");
  assert(sum > 0 && Number(seen.max) > 0, "no sample has a moment: is it stoker up --detailed?");
  await shoot(page, "heatmap-light");
  return `${seen.columns} s, ${sum} samples, at most ${seen.max} in a cell`;
});

await check("a drag shows that stretch of time alone, and the link has it", async () => {
  await page.goto(`${base}${path}`);
  await heat(page).waitFor();
  const whole = await drawn(page, "no graph", (p) => Number(p.nodes) > 3);
  const box = await heat(page).boundingBox();
  const width = box.width - 56;
  const at = (part, down) => [box.x + 46 + width * part, box.y + 6 + 150 * down];
  await page.mouse.move(...at(0.35, 0.4));
  await page.mouse.down();
  await page.mouse.move(...at(0.6, 0.7), { steps: 5 });
  const samples = await noted(page);
  await page.mouse.up();
  await page.mouse.move(5, 5);
  await sliced(page, samples);
  const seen = await drawn(page, "the graph is of all", (p) => Number(p.total) < Number(whole.total));
  const other = await newPage();
  await other.goto(page.url());
  await sliced(other, samples);
  equal((await drawn(other, "no graph", (p) => Number(p.total) > 0)).total, seen.total, "total at the link");
  await shoot(other, "heatmap-slice");
  await other.context().close();
  const kept = await keep(page, from, until);
  const later = await newPage();
  await later.goto(`${base}${kept}${new URL(page.url()).search}`);
  await sliced(later, samples);
  equal((await facts(later)).withTime, (await facts(page)).withTime, "samples of the short link's heatmap");
  await later.context().close();
  await page.getByRole("button", { name: "Whole range" }).click();
  await drawn(page, "the way back does not lead to all", (p) => p.total === whole.total);
  await page.goBack();
  await sliced(page, samples);
  return `${samples} samples in ${slice(page)}`;
});

await check("the keyboard moves, selects and lets go", async () => {
  await page.goto(`${base}${path}`);
  await heat(page).waitFor();
  const whole = await drawn(page, "no graph", (p) => Number(p.nodes) > 3);
  await heat(page).focus();
  await page.keyboard.press("ArrowRight");
  const max = Number((await facts(page)).max);
  equal(await noted(page), max, "it begins at the fullest cell");
  assert((await page.locator("#heat-cell").innerText()).includes(`${max} sample`), "the cell is not said");
  await page.keyboard.press("Enter");
  await sliced(page, max);
  await page.keyboard.press("Shift+ArrowDown");
  await page.keyboard.press("Shift+ArrowRight");
  const samples = await noted(page);
  await page.keyboard.press("Enter");
  await sliced(page, samples);
  const [a, b] = (await facts(page)).selected.split("-").map(Number);
  assert(b - a === Number((await facts(page)).rows) + 1 || b - a === Number((await facts(page)).rows) - 1, `selected ${a}-${b}`);
  await page.keyboard.press("Escape");
  await drawn(page, "Escape does not let go", (p) => p.total === whole.total);
  equal(slice(page), null, "slice in the link");
  return `${max}, then ${samples} samples`;
});

await check("another range or page forgets the slice", async () => {
  await page.goto(`${base}${path}&slice=${from}.1..${from + 1}`);
  await page.locator(".slice-note").waitFor();
  await page.getByRole("button", { name: "15m", exact: true }).click();
  equal(slice(page), null, "slice of another range");
});

await check("without moments it says how to get them", async () => {
  const other = await newPage();
  await other.route("**/api/v1/heatmap**", async (route) => {
    const answer = await (await route.fetch()).json();
    const all = answer.with_time + answer.without_time;
    await route.fulfill({ json: { ...answer, with_time: 0, without_time: all, max: 0, counts: answer.counts.map(() => 0) } });
  });
  await other.goto(`${base}${path}`);
  const text = await other.locator(".heatmap [data-state=empty]").innerText();
  assert(text.includes("stoker up --detailed") && text.includes("None of the"), text);
  await shoot(other, "heatmap-empty");
  await other.context().close();
});

await check("it meets WCAG A and AA as far as axe can tell, in both themes, and fits into 360 px", async () => {
  const found = [];
  for (const colorScheme of ["light", "dark"]) {
    const other = await newPage({ colorScheme });
    await other.goto(`${base}${path}&slice=${from}.1..${from + 2}.3`);
    await heat(other).waitFor();
    await other.waitForTimeout(1000);
    const wrong = await violations(other);
    if (wrong !== "") found.push(`${colorScheme}: ${wrong}`);
    await shoot(other, `page-heatmap-${colorScheme}`);
    await other.context().close();
  }
  equal(found.join("\n"), "", "violations");
  const phone = await newPage({ viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true });
  await phone.goto(`${base}${path}&slice=${from}.1..${from + 2}.3`);
  await heat(phone).waitFor();
  await phone.waitForTimeout(1000);
  equal(await phone.evaluate(() => document.documentElement.scrollWidth), 360, "width");
  await shoot(phone, "phone-heatmap");
  await phone.context().close();
});

await finish();
