// A small fleet in which nothing ever changes, for pictures that are compared with goldens.
const FROM_MS = 1_760_000_400_000;
const STEP_MS = 10_000;
const STEPS = 90;
const TYPE = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";

const STACKS = [
  ["api", "main;serve;route;parse_request;memchr", 46],
  ["api", "main;serve;route;render;fmt::write;memcpy", 81],
  ["api", "main;serve;route;render;escape_html", 39],
  ["api", "main;serve;accept;[kernel]do_syscall_64;[kernel]tcp_sendmsg", 33],
  ["api", "main;gc;sweep", 12],
  ["worker", "run;<lambda>;json.loads;scan_once", 52],
  ["worker", "run;compress;deflate;longest_match", 64],
  ["worker", "run;compress;crc32", 18],
  ["worker", "[unwind failed: unknown mapping];hash", 15],
  ["postgres", "PostgresMain;exec_simple_query;ExecutorRun;ExecScan;heap_getnext", 71],
  ["postgres", "PostgresMain;exec_simple_query;planner", 22],
];

/** `keep(service, stack, value)`: the value that counts. */
function fold(grouped, keep = (service, stack, value) => value) {
  const tables = { names: ["all"], modules: [""], files: [""] };
  const index = (table, text) => {
    const at = tables[table].indexOf(text);
    return at >= 0 ? at : tables[table].push(text) - 1;
  };
  const nodes = { parent: [0], name: [0], module: [0], file: [0], line: [0], kind: [0], inlined: [0], self: [0], total: [0] };
  const known = new Map();
  for (const [service, stack, weight] of STACKS) {
    const value = Math.round(keep(service, stack, weight)) * 10_101_010;
    let at = 0;
    let path = "";
    nodes.total[0] += value;
    const frames = stack.split(";").map((text) => (text.startsWith("[kernel]") ? [text.slice(8), "[kernel]", 2] : text.startsWith("[") ? [text, "", 4] : [text, service, 1]));
    for (const [text, module, kind] of grouped ? [[service, "", 6], ...frames] : frames) {
      path += `;${module}\u0001${text}`;
      let next = known.get(path);
      if (next === undefined) {
        next = nodes.parent.push(at) - 1;
        known.set(path, next);
        for (const [column, entry] of Object.entries({ name: index("names", text), module: index("modules", module), file: 0, line: 0, kind, inlined: 0, self: 0, total: 0 })) nodes[column].push(entry);
      }
      nodes.total[next] += value;
      at = next;
    }
    nodes.self[at] += value;
  }
  return { ...tables, nodes };
}

const range = { from_ms: FROM_MS, until_ms: FROM_MS + STEPS * STEP_MS };
const common = { query: "cpu", profile_type: TYPE, unit: "nanoseconds", ...range };

function flamegraph(grouped) {
  const columns = fold(grouped);
  const builds = columns.modules.map((module) => (module === "" || module === "[kernel]" ? { count: 0, ids: [] } : { count: 1, ids: ["8f2a1c3b5d7e9f00112233445566778899aabbcc"] }));
  return { ...common, builds, sampling: [{ source: "cpu-clock", frequency_hz: 19, hosts: 3 }], level: "raw", total: columns.nodes.total[0], samples: 453, lost_samples: 2, nodes_before_pruning: columns.nodes.parent.length, ...columns };
}

function top(by) {
  const { names, modules, nodes } = fold(false);
  const rows = new Map();
  for (let i = 1; i < nodes.parent.length; i++) {
    const key = `${nodes.name[i]} ${nodes.module[i]}`;
    const row = rows.get(key) ?? { name: names[nodes.name[i]], module: modules[nodes.module[i]], self: 0, total: 0 };
    rows.set(key, { ...row, self: row.self + nodes.self[i], total: row.total + nodes.total[i] });
  }
  const services = ["api", "postgres", "worker"].map((name) => {
    const total = STACKS.filter(([service]) => service === name).reduce((sum, [, , value]) => sum + value * 10_101_010, 0);
    return { name, module: "", self: total, total };
  });
  const sorted = [...(by === "service" ? services : rows.values())].sort((a, b) => b.self - a.self || b.total - a.total);
  return { ...common, by, total: nodes.total[0], samples: 453, lost_samples: 2, rows_total: sorted.length, rows: sorted };
}

function timeline(label) {
  const wave = (i, phase) => Math.round((6 + 2 * Math.sin(i / 7 + phase) + (i % 11 === 3 ? 2 : 0)) * 1e9);
  const group = (value, values) => ({ label, value, values, total: values.reduce((a, b) => a + b, 0) });
  const steps = Array.from({ length: STEPS }, (_, i) => i);
  const groups = label === "version" ? [group("1.4", steps.map((i) => wave(i, 0))), group("1.5", steps.map((i) => (i < 50 ? 0 : wave(i, 1))))] : ["api", "postgres", "worker"].map((name, at) => group(name, steps.map((i) => Math.round(wave(i, at * 2) * (1 - at * 0.25)))));
  return { ...common, step_ms: STEP_MS, groups };
}

/** A fleet that works in the first tenth of each second, collects garbage each half a minute, and once hung. */
function heatmap() {
  const [columns, rows] = [(STEPS * STEP_MS) / 1000, 50];
  const count = (second, row) => {
    const noise = (second * 7919 + row * 104_729) % 97;
    if (second > 420 && second < 460) return row % 9 === 4 ? 2 : 0;
    return (row < 5 ? 6 + (noise % 5) : 0) + (second % 30 === 11 && row > 20 && row < 34 ? 4 : 0) + (noise < 9 ? 1 : 0);
  };
  const counts = Array.from({ length: columns * rows }, (_, cell) => count(Math.floor(cell / rows), cell % rows));
  const all = counts.reduce((a, b) => a + b, 0);
  return { ...common, column_ms: 1000, columns, rows, with_time: all, without_time: 12, lost_samples: 2, max: Math.max(...counts), counts };
}

function sandwich(name) {
  const callees = fold(false, (_, stack, value) => (stack.includes(name) ? value : 0));
  const half = { ...callees, nodes_before_pruning: callees.nodes.parent.length };
  const total = callees.nodes.total[0];
  const lines = [[118, 0.31, 0.52], [121, 0.08, 0.33], [97, 0.02, 0.11], [140, 0, 0.04]].map(([line, self, all]) => ({ file: "src/http/render.rs", line, self: Math.round(total * self), total: Math.round(total * all) }));
  const builds = [{ build_id: "8f2a1c3b5d7e9f00112233445566778899aabbcc", named_by: "debug_info", addresses: 7, total }];
  return { ...common, name, module: "api", whole: fold(false).nodes.total[0], self: 0, total, callers: half, callees: half, lines_total: lines.length, lines, builds };
}

function compare() {
  const base = fold(false);
  const fresh = fold(false, (service, stack, value) => (stack.includes("compress") ? value * 1.7 : stack.includes("render") ? value * 0.6 : value));
  const { self, total, ...shared } = base.nodes;
  const side = (columns, from) => ({ query: "cpu", from_ms: from, until_ms: from + 450_000, total: columns.nodes.total[0], samples: 453 });
  const functions = base.nodes.name.map((name, i) => ({ name: base.names[name], module: base.modules[base.nodes.module[i]], base_self: self[i], base_total: total[i], new_self: fresh.nodes.self[i], new_total: fresh.nodes.total[i] })).slice(1);
  const nodes = { ...shared, base_self: self, base_total: total, new_self: fresh.nodes.self, new_total: fresh.nodes.total };
  return { profile_type: TYPE, unit: "nanoseconds", base: side(base, FROM_MS), new: side(fresh, FROM_MS + 450_000), nodes_before_pruning: self.length, names: base.names, modules: base.modules, files: base.files, nodes, functions_total: functions.length, functions };
}

/** Six hosts against six; what was compressed and rendered changed for sure. */
function diff() {
  const { functions } = compare();
  const [baseWhole, newWhole] = ["base_total", "new_total"].map((side) => Math.max(...functions.filter((row) => row.name !== "").map((row) => row[side])) / 0.47);
  const change = (base, fresh) => {
    const size = fresh / newWhole - base / baseWhole;
    return { base: base / baseWhole, new: fresh / newWhole, change: size, margin: 0.012, minimum_detectable: 0.019, df: 10, is_significant: Math.abs(size) > 0.02 };
  };
  const rows = functions.map((row) => ({ ...row, status: "changed", self_share: change(row.base_self, row.new_self), total_share: change(row.base_total, row.new_total), q: 0.01 }));
  return { has_error_bars: true, method: { kind: "permutation", deals: 4096, days: 0 }, tests: 24, base: { replicates: 6 }, new: { replicates: 6 }, total_change: { change: 0.01, margin: 0.02, minimum_detectable: 0.031, is_significant: false }, warnings: [], rows };
}

const agents = ["web-1", "web-2", "db-1"].map((host, i) => ({
  host, host_id: String(i).repeat(32), version: "0.1.0", last_seen_ms: range.until_ms - (i === 1 ? 95_000 : 900), cpus: 8, sample_source: "cpu-clock", frequency_hz: 19,
  samples_taken: 120_000 + i, samples_lost: i * 1500, unwind: { complete: 99_000, truncated: 40, failed: i * 9000 },
  names: { named: 8200, nameless: 90 * i },
}));
const broken = [
  { file: "postgres", reason: "no_table", stacks: 24_310, hosts: 1 },
  { file: "libfrobnicate.so.3", reason: "gap", stacks: 2690, hosts: 2 },
  { file: "", reason: "no_mapping", stacks: 12, hosts: 1 },
];
const nameless = [
  { file: "postgres", build_id: "b40c6a5d9be1f0b1a7f3", named: 0, nameless: 230, hosts: 1 },
  { file: "libfrobnicate.so.3", build_id: "07e3d1c2a9984fb0c1d2", named: 110, nameless: 40, hosts: 2 },
];

function capacity(path, labels, step) {
  const steps = step === "all" ? [[0, range.until_ms - range.from_ms]] : [0, 1, 2, 3, 4, 5].map((i) => [i * 3_600_000, 3_600_000]);
  const names = path.endsWith("functions") ? top("function").rows.map((row) => ({ name: "", function: row.name, module: row.module, cores: row.total / 4e9, own: row.self / 4e9 })) : ["api", "postgres", "worker"].map((name, i) => ({ name, cores: 0.618 - 0.15 * i }));
  const rows = steps.flatMap(([start, length], i) => names.map(({ cores: all, own, name, ...rest }) => {
    const cores = all * (1 + 0.4 * Math.sin(i + name.length));
    const seconds = (cores * length) / 1000;
    const properties = name === "" ? {} : Object.fromEntries(labels.split(",").map((label) => [label, label === "version" ? "1.5" : name]));
    const mine = own === undefined ? {} : { self_cpu_seconds: (own * length) / 1000, self_cpu_cost: own * 0.0125 };
    return { name, properties, ...rest, window: { start: new Date(range.from_ms + start).toISOString(), end: "" }, minutes: length / 60_000, cpuCoreUsageAverage: cores, cpu_seconds: seconds, relative_error: 0.031, cpu_cost: cores * 0.0125, ...mine };
  }));
  return { ...common, level: "raw", step, by: labels.split(","), currency: "EUR", cpu_seconds: rows.reduce((sum, row) => sum + (row.self_cpu_seconds ?? row.cpu_seconds), 0), coverage: [{ coverage: 0.969, host_cpu_seconds: 1500 }], rows_total: rows.length, rows };
}

/** When the pictures are taken. */
export const NOW_MS = range.until_ms;
export const RANGE = `from=${range.from_ms / 1000}&until=${range.until_ms / 1000}`;

/** The answer to a request of the viewer. */
export function answer(url) {
  const get = (name) => url.searchParams.get(name) ?? "";
  switch (url.pathname.replace("/api/v1/", "")) {
    case "profile-types":
      return { profile_types: [{ id: TYPE, short: "cpu", unit: "nanoseconds", kind: "delta" }] };
    case "labels":
      return { labels: ["comm", "host", "service_name", "version"], ...range };
    case "flamegraph":
      return flamegraph(get("group_by") !== "");
    case "top":
      return top(get("by"));
    case "timeline":
      return timeline(get("group_by"));
    case "heatmap":
      return heatmap();
    case "annotations":
      return { annotations: [{ at_ms: FROM_MS + 210_000, text: "cache emptied" }], ...range };
    case "sandwich":
      return sandwich(get("name"));
    case "compare":
      return compare();
    case "diff":
      return diff();
    case "capacity/services":
    case "capacity/functions":
      return capacity(url.pathname, get("by"), get("step"));
    case "agents":
      return { agents, broken, nameless };
    default:
      return null;
  }
}
