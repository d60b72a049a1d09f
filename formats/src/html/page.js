"use strict";
// Draws the profile in #data. Text reaches the page as canvas text or textContent, never as markup.
const data = JSON.parse(document.getElementById("data").textContent);
const ROW = 19, MIN_PIXELS = 0.4, TEXT_PIXELS = 28;
const count = data.parent.length;
const depth = new Int32Array(count), left = new Float64Array(count);
{
  // Boxes stand depth first: children fill their parent from the left.
  const filled = new Float64Array(count);
  for (let at = 1; at < count; at++) {
    const up = data.parent[at];
    depth[at] = depth[up] + 1;
    left[at] = left[up] + filled[up];
    filled[up] += data.total[at];
  }
}
const all = data.total[0] || 1;
const byId = (id) => document.getElementById(id);
const canvas = byId("canvas"), pen = canvas.getContext("2d");
const search = byId("search"), found = byId("found"), reset = byId("reset"), tip = byId("tip");
const dark = matchMedia("(prefers-color-scheme: dark)");
let zoom = 0, over = -1, matches = null;

const name = (at) => data.names[data.name[at]];
const module = (at) => data.names[data.module[at]];

function amount(value) {
  if (data.unit === "nanoseconds") {
    for (const [unit, size] of [["h", 3.6e12], ["min", 6e10], ["s", 1e9], ["ms", 1e6], ["µs", 1e3]]) {
      if (value >= size) return (value / size).toPrecision(4) + " " + unit;
    }
    return value + " ns";
  }
  if (data.unit === "bytes") {
    for (const [unit, size] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]]) {
      if (value >= size) return (value / size).toPrecision(4) + " " + unit;
    }
    return value + " B";
  }
  return value.toLocaleString("en") + " " + data.unit;
}
const share = (value) => ((100 * value) / all).toFixed(2) + " %";

// Native, kernel, interpreted, special, other: a hue each, varied by name.
const HUES = [[0, 0], [12, 26], [205, 24], [36, 20], [0, 0], [0, 0]];
function colour(at) {
  const kind = data.kind[at];
  if (kind === 0 || kind >= 4) return dark.matches ? "hsl(220 6% 34%)" : "hsl(40 8% 84%)";
  let hash = 2166136261;
  for (const c of module(at) + name(at)) hash = Math.imul(hash ^ c.codePointAt(0), 16777619) >>> 0;
  const [hue, spread] = HUES[kind];
  const turn = hue + (hash % 1000) / 1000 * spread;
  const light = ((hash >>> 10) % 1000) / 1000;
  return dark.matches
    ? `hsl(${turn} 44% ${32 + light * 8}%)`
    : `hsl(${turn} 78% ${70 + light * 9}%)`;
}
const colours = new Map();
function colourOf(at) {
  let held = colours.get(at);
  if (!held) colours.set(at, (held = colour(at)));
  return held;
}

function isBelow(at, root) {
  return left[at] >= left[root] && left[at] + data.total[at] <= left[root] + data.total[root]
    && depth[at] >= depth[root];
}

function ancestors(at) {
  const path = [];
  for (let up = at; up !== 0; up = data.parent[up]) path.push(data.parent[up]);
  return path;
}

let boxes = [], rows = 4;
function layout() {
  boxes = [];
  const width = canvas.clientWidth, scale = width / (data.total[zoom] || 1);
  for (const at of ancestors(zoom)) boxes.push([at, 0, depth[at] * ROW, width]);
  for (let at = zoom; at < count; at++) {
    if (depth[at] <= depth[zoom] && at !== zoom) break;
    const wide = data.total[at] * scale;
    if (wide < MIN_PIXELS) continue;
    boxes.push([at, (left[at] - left[zoom]) * scale, depth[at] * ROW, wide]);
    // The graph grows with what can be seen, and never shrinks under the pointer.
    rows = Math.max(rows, depth[at] + 1);
  }
}

function fit(text, pixels) {
  if (pixels < TEXT_PIXELS) return "";
  const room = Math.floor((pixels - 8) / pen.measureText("x").width);
  return text.length <= room ? text : text.slice(0, Math.max(1, room - 1)) + "…";
}

function draw() {
  const ratio = devicePixelRatio || 1, width = canvas.clientWidth;
  layout();
  const high = rows * ROW + 2;
  canvas.style.height = high + "px";
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.min(Math.round(high * ratio), 32000);
  pen.setTransform(ratio, 0, 0, canvas.height / high, 0, 0);
  pen.clearRect(0, 0, width, high);
  pen.font = "12px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace";
  pen.textBaseline = "middle";
  for (const [at, x, y, wide] of boxes) {
    const above = depth[at] < depth[zoom];
    pen.globalAlpha = above ? 0.45 : matches && !matches.has(at) ? 0.38 : 1;
    pen.fillStyle = matches && matches.has(at) ? (dark.matches ? "#7d55d8" : "#c3a5ff") : colourOf(at);
    pen.fillRect(x, y, Math.max(wide - 1, 0.5), ROW - 1);
    const text = fit(name(at), wide);
    if (text) {
      pen.fillStyle = dark.matches ? "#f2f0ec" : "#22170f";
      pen.fillText(text, x + 4, y + ROW / 2);
    }
    if (at === over) {
      pen.globalAlpha = 1;
      pen.strokeStyle = dark.matches ? "#fff" : "#000";
      pen.strokeRect(x + 0.5, y + 0.5, Math.max(wide - 2, 1), ROW - 2);
    }
  }
  pen.globalAlpha = 1;
  reset.disabled = zoom === 0;
}

function boxAt(event) {
  const area = canvas.getBoundingClientRect();
  const x = event.clientX - area.left, y = event.clientY - area.top;
  const hit = boxes.find(([, bx, by, wide]) => x >= bx && x < bx + wide && y >= by && y < by + ROW);
  return hit ? hit[0] : -1;
}

function showTip(event) {
  tip.hidden = over < 0;
  if (over < 0) return;
  const line = (tag, text) => Object.assign(document.createElement(tag), { textContent: text });
  const file = data.names[data.file[over]];
  const place = file ? file + (data.line[over] ? ":" + data.line[over] : "") : "";
  const rows = [line("b", name(over)), module(over), place]
    .filter(Boolean).map((row) => (typeof row === "string" ? line("span", row) : row));
  rows.push(line("span", `total ${amount(data.total[over])}, ${share(data.total[over])}`));
  rows.push(line("span", `self ${amount(data.self[over])}, ${share(data.self[over])}`));
  if (data.inlined[over]) rows.push(line("span", "inlined"));
  tip.replaceChildren(...rows);
  const x = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
  const y = event.clientY + 18 + tip.offsetHeight > innerHeight
    ? event.clientY - tip.offsetHeight - 10 : event.clientY + 18;
  tip.style.left = Math.max(4, x) + "px";
  tip.style.top = Math.max(4, y) + "px";
}

function find(text) {
  const wanted = text.trim().toLowerCase();
  matches = wanted ? new Set() : null;
  let sum = 0, until = -1;
  for (let at = 1; matches && at < count; at++) {
    if (!name(at).toLowerCase().includes(wanted) && !module(at).toLowerCase().includes(wanted)) continue;
    matches.add(at);
    // A match within a match adds nothing; boxes stand depth first.
    if (left[at] >= until) { sum += data.total[at]; until = left[at] + data.total[at]; }
  }
  found.textContent = matches ? `${matches.size} boxes, ${amount(sum)}, ${share(sum)}` : "";
  draw();
}

canvas.addEventListener("mousemove", (event) => {
  const now = boxAt(event);
  if (now !== over) { over = now; draw(); }
  showTip(event);
});
canvas.addEventListener("mouseleave", () => { over = -1; tip.hidden = true; draw(); });
canvas.addEventListener("click", (event) => {
  const at = boxAt(event);
  if (at >= 0) { zoom = at; draw(); }
});
reset.addEventListener("click", () => { zoom = 0; draw(); });
search.addEventListener("input", () => find(search.value));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") { search.value = ""; zoom = 0; find(""); }
  if (event.key === "/" && document.activeElement !== search) { event.preventDefault(); search.focus(); }
});
byId("top").addEventListener("click", (event) => {
  const row = event.target.closest("tr[data-name]");
  if (row) { search.value = row.dataset.name; find(search.value); scrollTo({ top: 0, behavior: "smooth" }); }
});
addEventListener("resize", draw);
dark.addEventListener("change", () => { colours.clear(); draw(); });
draw();
