// Clicks through the viewer in a real browser, on a real server with live data.
//
//   STOKER_URL=http://localhost:4040 npm run e2e
//
// Environment: STOKER_URL (default http://localhost:4040), CHROMIUM (default /usr/bin/chromium),
// STOKER_E2E_WAIT_S (how long to wait for first samples, default 90). Prints one line per check and
// `N passed, N failed` at the end; exit code 1 if any failed. Nothing is retried. Screenshots go to
// web/e2e/shots/. What is drawn is read where assistive technology reads it: the summary and the
// data attributes of the canvas; and from the canvas's own pixels.
import { assert, base, check, drawn, equal, findBox, findLabel, finish, frames, graph, groupMenu, hover, keep, marked, newPage, pause, picture, pixels, SETTLED_MS, shoot, still, waitMs } from "./harness.mjs";

const page = await newPage();
let box;

/** What a link draws the same of live data, whose names may still come, and of what is kept. */
const LIVE = ["zoom", "zoomDepth", "fromMs", "untilMs"];
const EXACT = [...LIVE, "nodes", "groups", "total", "boxes", "picture", "matchedFrames"];

/** Zooms and searches at `start`, copies the link, opens it in a new page, and says what is not the same there. */
async function linked(start, group, facts, onLink) {
  await page.goto(start);
  await drawn(page, "no graph", (p) => Number(p.nodes) > 3 && Number(p.groups) > 0);
  const spot = await findBox(page);
  await page.mouse.click(spot.x, spot.y);
  await drawn(page, "no zoom", (p) => p.zoom !== "");
  await page.getByLabel("Search frames").fill("/[aeiou]/i");
  await drawn(page, "no search", (p) => Number(p.matchedFrames) > 0);
  await page.mouse.move(5, 5);
  await page.evaluate(() => document.activeElement?.blur());
  await still(page);
  await page.getByRole("button", { name: "Copy link" }).click();
  await page.getByText("Link copied.").waitFor();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  onLink(link);
  const parameters = new URL(link).searchParams;
  for (const time of ["from", "until"]) assert(/^\d+$/.test(parameters.get(time) ?? ""), `${time} is not absolute in ${link}`);
  equal(parameters.get("graph"), group, "group in the link");
  const mine = await picture(page);
  const other = await newPage();
  await other.goto(link);
  await drawn(other, "the link draws nothing", (p) => p.zoom !== "" && Number(p.matchedFrames) > 0);
  await still(other);
  const theirs = await picture(other);
  const wrong = facts.filter((fact) => theirs[fact] !== mine[fact]).map((fact) => `${fact}: ${theirs[fact]} is not ${mine[fact]}`);
  if (facts === EXACT) {
    await frames(page);
    await frames(other);
    if ((await pixels(other)) !== (await pixels(page))) wrong.push("the pixels differ");
    const share = (of) => of.locator("#search-result").innerText();
    if ((await share(other)) !== (await share(page))) wrong.push(`matched share: ${await share(other)} is not ${await share(page)}`);
  }
  await other.context().close();
  return wrong;
}

await check("the page opens and announces itself", async () => {
  const response = await page.goto(`${base}/`, { waitUntil: "domcontentloaded" });
  equal(response?.status(), 200, "status");
  assert((await page.title()).includes("Stoker"), "the title does not name Stoker");
  return response?.headers()["content-security-policy"] ?? "no Content-Security-Policy sent";
});

const alive = await check("a live flame graph appears", async () => {
  const seen = await drawn(page, "no flame graph", (p) => Number(p.nodes) > 3 && Number(p.boxes) > 3 && Number(p.total) > 0, waitMs);
  assert(Number(seen.labels) > 0, "no box carries a label");
  const colours = await graph(page).evaluate((canvas) => {
    const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    const found = new Set();
    for (let i = 0; i < data.length; i += 4 * 97) found.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
    return found.size;
  });
  assert(colours > 3, `only ${colours} colours are on the canvas`);
  return `${seen.nodes} frames, ${seen.boxes} boxes, ${seen.labels} labels`;
});

if (alive) {
  await check("the timeline shows rates", async () => {
    const plot = page.locator(".plot");
    await plot.waitFor();
    assert(Number(await plot.getAttribute("data-steps")) > 0, "no steps");
    return `${await plot.getAttribute("data-steps")} steps, ${await plot.getAttribute("data-groups")} groups`;
  });

  await check("the end of a live timeline is shown as still filling", async () => {
    const plot = page.locator(".plot");
    assert(Number(await plot.getAttribute("data-unsettled")) > 0, "nothing is marked as filling");
  });

  await check("the legend stays inside the page and hides nothing", async () => {
    for (const width of [1360, 700, 360]) {
      await page.setViewportSize({ width, height: 860 });
      await frames(page, 6);
      const { seen, all, more, right } = await page.locator(".timeline").evaluate((timeline) => {
        const items = [...timeline.querySelectorAll(".legend > li")];
        const seen = items.filter((item) => item.offsetTop === items[0].offsetTop);
        const text = timeline.querySelector(".legend-more")?.innerText ?? "";
        return { seen: seen.length, all: items.length, more: Number.parseInt(text.replace("+", ""), 10) || 0, right: Math.max(...seen.map((item) => item.getBoundingClientRect().right)) };
      });
      equal(seen + more, all, `entries at ${width} px`);
      assert(right <= width, `the legend ends at ${right} of ${width} px`);
    }
    await page.setViewportSize({ width: 1360, height: 860 });
  });

  await check("the graph is grouped by service, in the chart's colours", async () => {
    await pause(page);
    const seen = await drawn(page, "no groups", (p) => Number(p.groups) > 0);
    const label = await findLabel(page);
    const [colour, legend] = await Promise.all([
      graph(page).evaluate((canvas, at) => {
        const bounds = canvas.getBoundingClientRect();
        const ratio = canvas.width / bounds.width;
        const copy = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
        copy.drawImage(canvas, -(at.x - bounds.x) * ratio, -21 * ratio);
        const [r, g, b] = copy.getImageData(0, 0, 1, 1).data;
        return `rgb(${r}, ${g}, ${b})`;
      }, label),
      page.locator(".legend > li").evaluateAll((all, name) => {
        const entry = all.find((item) => item.querySelector(".name")?.textContent === name);
        return entry ? getComputedStyle(entry.querySelector(".swatch")).backgroundColor : "";
      }, label.service),
    ]);
    if (legend !== "") equal(colour, legend, `colour of ${label.service}`);
    await page.getByRole("button", { name: "Paused" }).click();
    return `${seen.groups} services; ${label.service}: ${label.share} %`;
  });

  await check("the group changes by keyboard, is in the address, and back undoes it", async () => {
    await groupMenu(page).focus();
    await page.keyboard.type("none");
    await drawn(page, "still grouped", (p) => p.groups === "0");
    equal(new URL(page.url()).searchParams.get("graph"), "", "group in the address");
    await groupMenu(page).selectOption("host");
    await drawn(page, "not grouped by host", (p) => Number(p.groups) > 0);
    await page.goBack();
    await drawn(page, "back did not ungroup", (p) => p.groups === "0");
    await page.goBack();
    await drawn(page, "back did not group by service", (p) => Number(p.groups) > 0);
    assert(!new URL(page.url()).searchParams.has("graph"), "the standard group is in the address");
    await page.evaluate(() => document.activeElement?.blur());
  });

  await check("the table lists functions with shares", async () => {
    const rows = page.locator(".functions tbody tr");
    await rows.first().waitFor();
    assert((await rows.first().innerText()).includes("%"), "no share in the first row");
    return `${await rows.count()} rows`;
  });

  await check("the menus know the profile types and services", async () => {
    const types = await page.getByLabel("Profile type").locator("option").allInnerTexts();
    assert(types.includes("cpu"), `profile types: ${types}`);
    const services = await page.getByLabel("Service", { exact: true }).locator("option").allInnerTexts();
    assert(services.length > 1, "no service is offered");
    return `${services.length - 1} services`;
  });

  await check("live: newer data replace older without a blank moment", async () => {
    await page.evaluate(() => {
      const canvas = document.getElementById("flamegraph");
      window.blanks = 0;
      const look = () => {
        if (document.getElementById("flamegraph") !== canvas || Number(canvas.dataset.boxes) === 0) window.blanks++;
        requestAnimationFrame(look);
      };
      look();
    });
    const before = await picture(page);
    await drawn(page, "the range did not move", (p) => Number(p.untilMs) > Number(before.untilMs));
    equal(await page.evaluate(() => window.blanks), 0, "blank frames");
  });

  await check("pausing stops the refreshing", async () => {
    await pause(page);
    const asked = [];
    const note = (request) => request.url().includes("/api/v1/flamegraph") && asked.push(request.url());
    page.on("request", note);
    await page.waitForTimeout(7_000);
    page.off("request", note);
    equal(asked.length, 0, "requests while paused");
  });

  await check("hovering shows self, total, share, module and kind", async () => {
    box = await findBox(page);
    const card = await page.locator(".card").innerText();
    for (const word of ["Total", "Self", "Kind", "%"]) assert(card.includes(word), `no ${word} in the card: ${card}`);
    const before = await pixels(page);
    assert(await marked(page), "the box under the mouse is not marked");
    await hover(page, 5, 5);
    assert(!(await marked(page)), "a mark stays behind");
    assert((await pixels(page)) === before, "hovering redrew the picture itself");
    await page.mouse.move(box.x, box.y);
    await page.locator(".card").waitFor();
    await shoot(page, "hover-light");
    return `${box.name.slice(0, 60)}: ${box.share} %`;
  });

  await check("a click zooms, in the picture and in the address", async () => {
    const before = await graph(page).boundingBox();
    await page.mouse.click(box.x, box.y);
    const seen = await drawn(page, "no zoom", (p) => p.zoom !== "" && p.picture !== box.root.picture);
    equal((await graph(page).boundingBox()).y, before.y, "top of the graph: it moved away below the mouse");
    equal(seen.zoom, box.name, "zoomed frame");
    assert(new URL(page.url()).searchParams.has("zoom"), "no zoom in the address");
    assert((await page.locator(".zoom-name").innerText()).includes("%"), "the note has no share");
    await page.mouse.move(5, 5);
    await shoot(page, "zoom-light");
  });

  await check("an ancestor stays clickable above the zoomed frame", async () => {
    const depth = Number((await picture(page)).zoomDepth);
    const bounds = await graph(page).boundingBox();
    await page.mouse.click(bounds.x + bounds.width / 2, bounds.y + 20 * (depth - 1) + 10);
    await drawn(page, "the caller is not zoomed", (p) => Number(p.zoomDepth) === depth - 1);
  });

  await check("back and forward walk through the zooms, each to the very picture it left", async () => {
    // Long enough for newer data: a page that is paused does not show them.
    await page.waitForTimeout(6_000);
    await page.goBack();
    await drawn(page, "back did not zoom again", (p) => p.zoom === box.name);
    await page.goBack();
    await drawn(page, "back did not reset", (p) => p.zoom === "" && p.picture === box.root.picture);
    await page.goForward();
    await drawn(page, "forward did not zoom", (p) => p.zoom === box.name);
  });

  await check("reset shows everything again", async () => {
    await page.getByRole("button", { name: "Reset zoom" }).click();
    await drawn(page, "no reset", (p) => p.zoom === "" && p.picture === box.root.picture);
  });

  await check("search highlights and sums, each sample once", async () => {
    await page.keyboard.press("/");
    const word = box.name.replace(/[^A-Za-z0-9_]+/g, " ").trim().split(" ").sort((a, b) => b.length - a.length)[0];
    const before = await pixels(page);
    await page.keyboard.type(word);
    const seen = await drawn(page, "nothing matches", (p) => Number(p.matchedFrames) > 0);
    assert((await pixels(page)) !== before, "the picture did not change");
    const share = Number.parseFloat((await page.locator("#search-result strong").innerText()).replace(/[^0-9.]/g, ""));
    assert(share >= box.share - 0.1 && share <= 100, `share ${share} % of a frame that has ${box.share} %`);
    await page.waitForFunction(() => new URL(location.href).searchParams.has("search"));
    await shoot(page, "search-light");
    return `"${word}": ${share} % in ${seen.matchedFrames} boxes`;
  });

  await check("search takes regular expressions and says when one is wrong", async () => {
    const field = page.getByLabel("Search frames");
    await field.fill("/(/");
    await page.getByText("Not a regular expression yet.").waitFor();
    await field.fill("/./");
    await drawn(page, "/./ does not match every function, or labels too", (p) => Number(p.matchedFrames) === Number(p.nodes) - 1 - Number(p.groups) - Number(p.others));
    await field.fill("no such function anywhere");
    await page.locator("#search-result strong").filter({ hasText: /^(≥ )?0 %$/ }).waitFor();
    await page.keyboard.press("Escape");
    equal(await field.inputValue(), "", "search after Escape");
  });

  await check("a row of the table searches for its function", async () => {
    await page.locator(".functions tbody tr").first().click();
    await drawn(page, "the function of the first row is not in the graph", (p) => Number(p.matchedFrames) > 0);
    assert((await page.getByLabel("Search frames").inputValue()).startsWith('"'), "no exact search");
    await page.goBack();
    await drawn(page, "back did not clear the search", (p) => Number(p.matchedFrames) === 0);
  });

  await check("the keyboard selects, zooms and resets", async () => {
    await graph(page).focus();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    const selected = (await drawn(page, "nothing is selected", (p) => p.selected !== "" && p.selected !== "all")).selected;
    assert((await page.locator(".flame [aria-live]").innerText()).includes(selected.slice(0, 20)), "the selection is not announced");
    await page.keyboard.press("Enter");
    await drawn(page, "Enter does not zoom", (p) => p.zoom === selected);
    await page.keyboard.press("Escape");
    await drawn(page, "Escape does not reset", (p) => p.zoom === "" && p.selected === "");
  });

  await check("? opens the key map, Escape closes it", async () => {
    await page.keyboard.press("?");
    await page.getByRole("dialog").waitFor();
    await shoot(page, "help-light");
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "hidden" });
  });

  await check("a drag across the timeline selects a range", async () => {
    const over = await page.locator(".plot .u-over").boundingBox();
    const y = over.y + over.height / 2;
    const width = Number((await picture(page)).untilMs) - Number((await picture(page)).fromMs);
    await page.mouse.move(over.x + over.width * 0.25, y);
    await page.mouse.down();
    await page.mouse.move(over.x + over.width * 0.6, y, { steps: 6 });
    await page.mouse.move(over.x + over.width * 0.995, y, { steps: 6 });
    await page.mouse.up();
    await page.waitForFunction(() => /^\d+$/.test(new URL(location.href).searchParams.get("from") ?? ""));
    const from = Number(new URL(page.url()).searchParams.get("from")) * 1000;
    const seen = await drawn(page, "the graph is not of the brushed range", (p) => Number(p.fromMs) === from);
    const selected = Number(seen.untilMs) - from;
    assert(selected < width * 0.8 && selected > width * 0.6, `${selected} ms of ${width} ms were selected`);
    await page.locator('.plot[data-unsettled="0"]').waitFor();
    await shoot(page, "brushed-light");
    return `${selected / 1000} s of ${width / 1000} s`;
  });

  await check("a copied link draws exactly the same picture in a new page", async () => {
    // The last windows of the range may still be on their way: a picture is final when they are there.
    const finalAtMs = Number((await picture(page)).untilMs) + SETTLED_MS;
    await page.waitForTimeout(Math.max(0, finalAtMs - Date.now()));
    const start = page.url();
    const range = `from=${new URL(start).searchParams.get("from")}&until=${new URL(start).searchParams.get("until")}`;
    let link = "";
    // Names may come late, the later the busier the machine; what is kept does not change between two pages.
    const kept = await keep(page, new URL(start).searchParams.get("from"), new URL(start).searchParams.get("until"));
    for (const group of [null, "host"]) {
      const wrong = await linked(`${base}${kept}?${range}${group === null ? "" : `&graph=${group}`}`, group, EXACT, (made) => (link = made));
      equal(wrong.join("; "), "", `differences in ${link}`);
    }
    const wrong = await linked(start, null, LIVE, (made) => (link = made));
    equal(wrong.join("; "), "", `differences in ${link}`);
    return `${link.length} characters`;
  });

  await check("a service narrows graph, timeline and selector", async () => {
    await page.goto(`${base}/`);
    const whole = await drawn(page, "no graph", (p) => Number(p.nodes) > 3);
    const menu = page.getByLabel("Service", { exact: true });
    await menu.locator("option").nth(1).waitFor({ state: "attached" });
    const value = await menu.locator("option").nth(1).getAttribute("value");
    await menu.selectOption(value);
    await page.waitForFunction(() => (new URL(location.href).searchParams.get("query") ?? "").includes("service_name="));
    const narrowed = await drawn(page, "the graph did not change", (p) => p.total !== whole.total && Number(p.total) > 0 && p.groups === "0");
    assert((await page.getByLabel("Selector").inputValue()).includes(value.slice(1)), "the selector does not name the service");
    return `${value.slice(1)}: ${narrowed.nodes} frames`;
  });

  await check("a double click on a service's box shows only that service", async () => {
    await page.goto(`${base}/`);
    await drawn(page, "no graph", (p) => Number(p.groups) > 0);
    await pause(page);
    const whole = await picture(page);
    const label = await findLabel(page);
    await page.mouse.dblclick(label.x, label.y);
    const only = await drawn(page, "the graph is not narrowed", (p) => p.groups === "0" && p.zoom === "" && Number(p.total) > 0 && p.total !== whole.total);
    equal(new URL(page.url()).searchParams.get("query"), `cpu{service_name="${label.service}"}`, "selector");
    return `${label.service}: ${only.nodes} frames`;
  });

  await check("a wrong selector gets the server's message and hint, and is not asked again", async () => {
    page.expectedIn = "%7Bservice_name%3D&";
    await page.getByLabel("Selector").fill("cpu{service_name=");
    await page.getByLabel("Selector").press("Enter");
    await page.locator("#query-error bdi").first().waitFor();
    const message = await page.locator("#query-error").innerText();
    assert(message.length > 10, "no message");
    await shoot(page, "wrong-selector-light");
    await page.goBack();
    await drawn(page, "back did not bring the graph", (p) => Number(p.nodes) > 3);
    return message.replace(/\s+/g, " ").slice(0, 90);
  });

  await check("an empty range says what to do", async () => {
    await page.goto(`${base}/?from=1000000000&until=1000000600`);
    await page.getByText("No samples in this range yet.").first().waitFor();
    await shoot(page, "empty-light");
    await page.getByRole("button", { name: "Look at the last 24 hours" }).click();
    await drawn(page, "24 hours show nothing", (p) => Number(p.nodes) > 3);
  });

  await check("export offers pprof, collapsed and SVG of what is selected", async () => {
    await page.goto(`${base}/`);
    await drawn(page, "no graph", (p) => Number(p.nodes) > 3);
    await page.getByRole("button", { name: "Export" }).click();
    const links = await page.locator(".menu a").evaluateAll((all) => all.map((a) => a.href));
    for (const format of ["pprof", "collapsed", "svg"]) {
      const link = links.find((href) => href.includes(`format=${format}`));
      assert(link, `no ${format}`);
      assert(/from=\d+&until=\d+/.test(link), `${format} is not of a fixed range`);
      assert(link.includes("group_by=service_name"), `${format} is not grouped as the graph is`);
      const status = await page.evaluate(async (href) => (await fetch(href)).status, link);
      equal(status, 200, `status of ${format}`);
    }
    await page.keyboard.press("Escape");
  });

  await check("the theme changes and stays after a reload", async () => {
    const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
    await pause(page);
    await still(page);
    const before = await pixels(page);
    for (let i = 0; i < 3 && (await theme()) !== "dark"; i++) await page.getByRole("button", { name: /^Theme:/ }).click();
    equal(await theme(), "dark", "theme");
    // One turn changes page and picture: nothing is waited for.
    assert((await pixels(page)) !== before, "the canvas kept its colours");
    await page.reload();
    await drawn(page, "no graph", (p) => Number(p.nodes) > 3);
    equal(await theme(), "dark", "theme after a reload");
    await page.locator(".functions tbody tr").first().waitFor();
    await shoot(page, "explore-dark");
  });

  await check("both themes of the system are followed", async () => {
    for (const colorScheme of ["light", "dark"]) {
      const other = await newPage({ colorScheme, deviceScaleFactor: 2 });
      await other.goto(`${base}/`);
      await drawn(other, "no graph", (p) => Number(p.nodes) > 3);
      await other.locator(".functions tbody tr").first().waitFor();
      equal(await other.evaluate(() => document.documentElement.dataset.theme), colorScheme, "theme");
      const { ratio, width, shown } = await graph(other).evaluate((c) => ({ ratio: devicePixelRatio, width: c.width, shown: c.clientWidth }));
      equal(width, Math.round(shown * ratio), "device pixels of the canvas");
      await frames(other, 6);
      await shoot(other, `explore-${colorScheme}-2x`);
      await other.context().close();
    }
  });

  await check("at 360 px nothing is wider than the screen, and a tap selects before it zooms", async () => {
    for (const colorScheme of ["light", "dark"]) {
      const phone = await newPage({ viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true, colorScheme });
      await phone.goto(`${base}/`);
      await drawn(phone, "no graph", (p) => Number(p.nodes) > 3);
      const { wide, screen } = await phone.evaluate(() => ({ wide: document.documentElement.scrollWidth, screen: innerWidth }));
      equal(wide, screen, "page width");
      equal(screen, 360, "screen width");
      await shoot(phone, `phone-${colorScheme}`);
      await phone.getByRole("button", { name: "Live", exact: true }).tap();
      const bounds = await graph(phone).boundingBox();
      await phone.touchscreen.tap(bounds.x + 60, bounds.y + 30);
      const selected = (await drawn(phone, "a tap selects nothing", (p) => p.selected !== "")).selected;
      equal((await picture(phone)).zoom, "", "zoom after the first tap");
      // Two taps that follow one another at once would be a double tap.
      await phone.waitForTimeout(400);
      const again = await graph(phone).boundingBox();
      await phone.touchscreen.tap(again.x + 60, again.y + 30);
      await drawn(phone, "the second tap does not zoom", (p) => p.zoom === selected);
      await shoot(phone, `phone-zoom-${colorScheme}`);
      await phone.context().close();
    }
  });
}

await finish();
