// A stand-in for the Stoker server, for working on the viewer without one. Development only: nothing
// here is built into `dist`. It invents a fleet, answers as docs/api.md says, and serves `dist` with
// the Content-Security-Policy that the real server sends.
//
//   node dev/mock-server.mjs [--port 4040]
//
// Things to look at, by selector: cpu{service_name="hostile"} (names that are HTML, right-to-left,
// empty, 10,000 characters), cpu{service_name="big"} (200,000 nodes), cpu{service_name="none"} (empty).
import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const port = Number(process.argv[process.argv.indexOf("--port") + 1]) || 4040;
const dist = new URL("../dist/", import.meta.url).pathname;
const startedMs = Date.now();
const WINDOW_MS = 10_000;
const PERIOD_NS = 10_101_010;
const CPU_TYPE = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";
const Kind = { root: 0, native: 1, kernel: 2, managed: 3, special: 4, other: 5, label: 6 };

/** A repeatable random generator (mulberry32). */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const seedOf = (text) => [...text].reduce((hash, c) => (Math.imul(hash, 31) + c.charCodeAt(0)) >>> 0, 7);
const native = (module, ...names) =>
  names.map((name, i) => ({ name, module, kind: Kind.native, file: `src/${module.split(".")[0]}/mod${i % 7}.rs`, line: 12 + (seedOf(name) % 900), inlined: i % 4 === 3 ? 1 : 0 }));
const kernel = (...names) => names.map((name) => ({ name, module: "[kernel]", kind: Kind.kernel, file: "", line: 0, inlined: 0 }));
const managed = (module, ...names) => names.map((name) => ({ name, module, kind: Kind.managed, file: `${module}/app.py`, line: 3 + (seedOf(name) % 400), inlined: 0 }));
const special = (name) => [{ name, module: "", kind: Kind.special, file: "", line: 0, inlined: 0 }];

const libc = (...names) => native("libc.so.6", ...names);
const syscall = kernel("entry_SYSCALL_64_after_hwframe", "do_syscall_64");
const tcpSend = [...syscall, ...kernel("__x64_sys_sendto", "__sys_sendto", "sock_sendmsg", "tcp_sendmsg", "tcp_sendmsg_locked", "tcp_push", "__tcp_push_pending_frames", "tcp_write_xmit", "__tcp_transmit_skb", "ip_queue_xmit", "__dev_queue_xmit", "net_rx_action")];
const epoll = [...syscall, ...kernel("__x64_sys_epoll_wait", "do_epoll_wait", "schedule_hrtimeout_range", "schedule", "__schedule", "finish_task_switch.isra.0")];
const fault = kernel("asm_exc_page_fault", "exc_page_fault", "do_user_addr_fault", "handle_mm_fault", "__handle_mm_fault", "do_anonymous_page", "clear_page_erms");
const read = [...syscall, ...kernel("__x64_sys_pread64", "vfs_read", "ext4_file_read_iter", "generic_file_read_iter", "filemap_read", "copy_page_to_iter")];

function rustService(bin) {
  const base = [...libc("__libc_start_main", "start_thread"), ...native(bin, "std::sys::pal::unix::thread::Thread::new::thread_start", "tokio::runtime::scheduler::multi_thread::worker::run", "tokio::runtime::scheduler::multi_thread::worker::Context::run_task", "tokio::runtime::task::raw::poll<core::pin::Pin<alloc::boxed::Box<dyn core::future::future::Future<Output=()>+Send>>>")];
  const serve = [...base, ...native("hyper", "hyper::server::conn::http1::Connection<I, S>::poll", "hyper::proto::h1::dispatch::Dispatcher<D, Bs, I, T>::poll_catch"), ...native(bin, `${bin}::router::dispatch`, `${bin}::handlers::checkout`)];
  const json = native("serde_json", "serde_json::ser::to_vec", "<alloc::vec::Vec<T> as serde::ser::Serialize>::serialize", "serde_json::ser::format_escaped_str");
  const regex = native("regex-automata", "regex::Regex::is_match", "regex_automata::meta::regex::Regex::search_half", "regex_automata::hybrid::dfa::DFA::next_state");
  return [
    [22, [...serve, ...json]], [9, [...serve, ...json, ...libc("__memmove_avx_unaligned_erms")]],
    [17, [...serve, ...native(bin, `${bin}::pricing::apply_rules`), ...regex]],
    [8, [...serve, ...native(bin, `${bin}::pricing::apply_rules`), ...native("hashbrown", "hashbrown::raw::RawTable<T,A>::reserve_rehash"), ...libc("malloc", "_int_malloc")]],
    [11, [...serve, ...native(bin, `${bin}::db::query_orders`), ...native("tokio-postgres", "tokio_postgres::query::query", "postgres_protocol::message::backend::Message::parse")]],
    [7, [...serve, ...native(bin, `${bin}::handlers::render`), ...tcpSend]],
    [6, [...base, ...native("tokio", "tokio::runtime::io::driver::Driver::turn"), ...epoll]],
    [3, [...serve, ...native("ring", "ring::aead::seal_in_place", "ring_core_0_17_8_aes_gcm_enc_update_vaes_avx2")]],
    [2, [...serve, ...fault]], [1.2, [...base, ...special("truncated")]], [0.8, special("unwind failed: no CFI for address")],
  ];
}

function postgres() {
  const base = [...libc("__libc_start_main"), ...native("postgres", "main", "PostmasterMain", "ServerLoop", "BackendStartup", "PostgresMain", "exec_simple_query", "PortalRun", "standard_ExecutorRun")];
  return [
    [18, [...base, ...native("postgres", "ExecSeqScan", "heap_getnextslot", "heapgettup_pagemode", "heapgetpage")]],
    [14, [...base, ...native("postgres", "ExecHashJoin", "ExecScanHashBucket", "ExecEvalExpr", "texteq", "memcmp_avx2_movbe")]],
    [9, [...base, ...native("postgres", "ExecSort", "tuplesort_performsort", "qsort_tuple", "comparetup_heap")]],
    [8, [...base, ...native("postgres", "ExecSeqScan", "ReadBufferExtended", "mdread"), ...read]],
    [4, [...base, ...native("postgres", "index_getnext_tid", "_bt_search", "_bt_binsrch", "_bt_compare")]],
    [3, [...base, ...tcpSend]],
  ];
}

function python() {
  const base = [...libc("__libc_start_main"), ...native("python3.11", "Py_BytesMain", "Py_RunMain", "_PyEval_EvalFrameDefault"), ...managed("worker", "<module>", "main", "run_forever", "handle_batch")];
  return [
    [16, [...base, ...managed("worker", "score", "normalise"), ...native("_multiarray_umath.so", "DOUBLE_multiply_AVX512F")]],
    [12, [...base, ...managed("worker", "parse_row", "<listcomp>"), ...native("python3.11", "PyUnicode_Split", "PyObject_Malloc")]],
    [6, [...base, ...managed("worker", "score", "predict"), ...native("libopenblas.so.0", "cblas_dgemm", "dgemm_kernel_SKYLAKEX")]],
    [3, [...base, ...managed("worker", "flush"), ...tcpSend]], [2, [...base, ...native("python3.11", "gc_collect_main", "visit_reachable")]],
  ];
}

function nginx() {
  const base = [...libc("__libc_start_main"), ...native("nginx", "main", "ngx_master_process_cycle", "ngx_worker_process_cycle", "ngx_process_events_and_timers", "ngx_epoll_process_events")];
  return [
    [8, [...base, ...native("nginx", "ngx_http_process_request_line", "ngx_http_handler", "ngx_http_core_run_phases"), ...tcpSend]],
    [6, [...base, ...native("libssl.so.3", "SSL_read", "ssl3_read_bytes"), ...native("libcrypto.so.3", "EVP_Cipher", "aesni_gcm_decrypt")]],
    [3, [...base, ...native("libz.so.1", "deflate", "deflate_fast", "longest_match")]], [3, [...base, ...epoll]],
  ];
}

function hostile() {
  const base = native("hostile<script>alert(1)</script>", "main");
  return [
    [10, [...base, ...native("x", "<img src=x onerror=alert(1)>", "</script><script>alert('x')</script>")]],
    [9, [...base, ...native("x", "دالة_حساب_المجموع", "פונקציה::חישוב")]], [8, [...base, ...native("", "", " ")]],
    [8, [...base, ...native("x", "long_".repeat(2000), "a::".repeat(3300))]],
    [6, [...base, ...native("x", "abc\u202egpj.exe", "line\nbreak\ttab\u0000nul")]], [5, [...base, ...native("x", "😀😀😀😀😀😀😀😀😀😀😀😀", "日本語の関数名::処理する")]],
    [4, [...base, ...native("x", ...Array(900).fill("recurse"))]],
  ];
}

function big() {
  const rng = random(42);
  const stacks = [];
  const grow = (stack, weight, depth) => {
    if (depth > 40 || weight < 0.0006) return stacks.push([weight, stack]);
    const children = 1 + Math.floor(rng() * 3);
    let rest = weight;
    for (let c = 0; c < children; c++) {
      const share = c === children - 1 ? rest * 0.97 : rest * rng();
      rest -= share;
      const id = Math.floor(rng() * 30_000);
      grow([...stack, ...native(`lib${id % 40}.so`, `ns${id % 17}::Class${id % 311}::method_${id}`)], share, depth + 1);
    }
  };
  grow(native("big", "main"), 60, 0);
  return stacks;
}

/** Adds thin tails so that pictures have the long fringe of real ones. */
function withFringe(service, stacks) {
  const rng = random(seedOf(service));
  const extra = [];
  for (const [weight, stack] of stacks) {
    for (let i = 0; i < 60; i++) {
      const cut = stack.slice(0, 3 + Math.floor(rng() * Math.max(1, stack.length - 3)));
      const id = Math.floor(rng() * 400);
      const module = rng() < 0.3 ? "libc.so.6" : (cut.at(-1)?.module ?? service);
      const tail = native(module, `${["parse", "visit", "grow", "lookup", "drop_in_place", "hash", "clone", "poll"][id % 8]}_${id}`, `inner_${id % 50}`, `step_${id % 20}`).slice(0, 1 + Math.floor(rng() * 3));
      extra.push([weight * 0.02 * rng() ** 4, [...cut, ...tail]]);
    }
  }
  return [...stacks, ...extra];
}

const services = {
  api: { load: 2.6, hosts: ["web-1", "web-2"], stacks: withFringe("api", rustService("api")) },
  postgres: { load: 1.4, hosts: ["db-1"], stacks: withFringe("postgres", postgres()) },
  worker: { load: 0.9, hosts: ["job-1"], stacks: withFringe("worker", python()) },
  nginx: { load: 0.6, hosts: ["web-1", "web-2"], stacks: withFringe("nginx", nginx()) },
  "payment-gateway": { load: 0.35, hosts: ["web-2"], stacks: withFringe("payment-gateway", rustService("payments")) },
  "stoker-agent": { load: 0.01, hosts: ["web-1"], stacks: rustService("stoker_agent") },
  hostile: { load: 0, hosts: ["evil"], stacks: hostile() },
  big: { load: 0, hosts: ["big-1"], stacks: null },
};

/** Cores a service uses in the window that begins at `ms`. */
function cores(service, ms) {
  const { load } = services[service];
  if (ms > Date.now() || ms < startedMs - 30 * 3600e3) return 0;
  const wave = 1 + 0.25 * Math.sin(ms / 170_000 + seedOf(service)) + 0.12 * Math.sin(ms / 31_000);
  const spike = service === "api" && Math.floor(ms / 60_000) % 7 === 3 ? 1.6 : 1;
  const filled = Math.min(1, (Date.now() - ms) / WINDOW_MS);
  return filled * load * wave * spike * (0.93 + 0.14 * random(ms / 1000 + seedOf(service))());
}

class Refusal extends Error {
  constructor(status, code, message, hint = "") {
    super(message);
    Object.assign(this, { status, code, hint });
  }
}

function parseTime(text, now) {
  const relative = /^now(?:-((?:\d+[smhdw])+))?$/.exec(text);
  const unit = { s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5 };
  if (relative) return now - [...(relative[1] ?? "").matchAll(/(\d+)([smhdw])/g)].reduce((sum, [, n, u]) => sum + n * unit[u], 0);
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  const parsed = Date.parse(text);
  if (Number.isNaN(parsed)) throw new Refusal(400, "bad_time", `\`${text}\` is no time.`, "Write now-15m, Unix seconds or RFC 3339.");
  return parsed;
}

function ask(url) {
  const get = (name, standard) => url.searchParams.get(name) ?? standard;
  const now = Date.now();
  const from = Math.floor(parseTime(get("from", "now-15m"), now) / WINDOW_MS) * WINDOW_MS;
  const until = Math.ceil(parseTime(get("until", "now"), now) / WINDOW_MS) * WINDOW_MS;
  if (until <= from) throw new Refusal(400, "bad_range", "The range ends before it begins.", "Swap from and until.");
  const query = get("query", "cpu{}");
  const outer = /^\s*([\w:]+)\s*(?:\{(.*)\})?\s*$/s.exec(query);
  if (!outer) throw new Refusal(400, "bad_selector", `expected \`}\` at column ${query.length + 1} of \`${query}\``, 'Write a selector like cpu{service_name="api"}.');
  if (outer[1] !== "cpu" && outer[1] !== CPU_TYPE) throw new Refusal(404, "unknown_profile_type", `There is no profile type \`${outer[1]}\`.`, "Known types: cpu.");
  const matchers = [];
  let rest = (outer[2] ?? "").trim();
  while (rest) {
    const found = /^(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"\s*(,\s*|$)/.exec(rest);
    if (!found) throw new Refusal(400, "bad_selector", `cannot read a matcher at \`${rest.slice(0, 20)}\``, 'Values stand in double quotes: service_name="api".');
    matchers.push({ label: found[1], operator: found[2], value: found[3].replace(/\\(.)/g, "$1") });
    rest = rest.slice(found[0].length);
  }
  return { query, from, until, get, services: Object.keys(services).filter((service) => selects(matchers, service)) };
}

function selects(matchers, service) {
  const labels = { service_name: service, host: services[service].hosts[0], comm: service };
  const named = matchers.some((m) => m.label === "service_name" && m.operator === "=" && m.value === service);
  if (services[service].load === 0 && !named) return false;
  return matchers.every(({ label, operator, value }) => {
    const actual = labels[label] ?? "";
    const equal = operator.includes("~") ? new RegExp(`^(?:${value})$`).test(actual) : actual === value;
    return operator.startsWith("!") ? !equal : equal;
  });
}

function serviceNs(service, from, until) {
  if (services[service].load === 0) return service === "big" ? 60e12 : 60e9;
  let sum = 0;
  for (let at = from; at < until; at += WINDOW_MS) sum += cores(service, at) * WINDOW_MS * 1e6;
  return Math.round(sum / PERIOD_NS) * PERIOD_NS;
}

/** The value of a label for a service; empty where it has none. */
const labelOf = (service, label) => (label === "host" ? services[service].hosts[0] : ["service_name", "comm"].includes(label) ? service : "");

function fold(question) {
  const groupBy = question.get("group_by", "");
  const root = { frame: { name: "all", module: "", kind: Kind.root, file: "", line: 0, inlined: 0 }, self: 0, total: 0, children: new Map() };
  for (const service of question.services) {
    const stacks = (services[service].stacks ??= big());
    const sum = stacks.reduce((a, [weight]) => a + weight, 0);
    const ns = serviceNs(service, question.from, question.until);
    const jitter = random(seedOf(service) + question.from / 1000);
    for (const [weight, stack] of stacks) {
      const value = Math.round(((weight / sum) * ns * (0.9 + 0.2 * jitter())) / PERIOD_NS) * PERIOD_NS;
      const group = groupBy === "" ? [] : [{ name: labelOf(service, groupBy) || `(no ${groupBy})`, module: "", kind: Kind.label, file: "", line: 0, inlined: 0 }];
      if (value > 0) insert(root, [...group, ...stack], value);
    }
  }
  return root;
}

function insert(root, stack, value) {
  let node = root;
  node.total += value;
  for (const frame of stack) {
    const key = `${frame.name}\u0001${frame.module}\u0001${frame.kind}`;
    let child = node.children.get(key);
    if (!child) node.children.set(key, (child = { frame, self: 0, total: 0, children: new Map() }));
    child.total += value;
    node = child;
  }
  node.self += value;
}

function prune(root, maxNodes) {
  const all = [];
  const visit = (node) => (all.push(node), node.children.forEach(visit));
  visit(root);
  if (maxNodes === 0 || all.length <= maxNodes) return { before: all.length, keep: null };
  const kept = new Set(all.toSorted((a, b) => b.total - a.total).slice(0, maxNodes));
  return { before: all.length, keep: kept };
}

function flamegraph(question) {
  const root = fold(question);
  const { before, keep } = prune(root, Number(question.get("max_nodes", "8192")));
  const tables = { names: ["all"], modules: [""], files: [""] };
  const indexes = { names: new Map([["all", 0]]), modules: new Map([["", 0]]), files: new Map([["", 0]]) };
  const intern = (table, text) => {
    if (!indexes[table].has(text)) indexes[table].set(text, tables[table].push(text) - 1);
    return indexes[table].get(text);
  };
  const nodes = { parent: [], name: [], module: [], file: [], line: [], kind: [], inlined: [], self: [], total: [] };
  const write = (node, parent) => {
    const { frame } = node;
    const at = nodes.parent.push(parent) - 1;
    nodes.name.push(intern("names", frame.name));
    nodes.module.push(intern("modules", frame.module));
    nodes.file.push(intern("files", frame.file));
    nodes.line.push(frame.line);
    nodes.kind.push(frame.kind);
    nodes.inlined.push(frame.inlined);
    nodes.self.push(node.self);
    nodes.total.push(node.total);
    let pruned = 0;
    const children = [];
    for (const child of node.children.values()) {
      if (keep && !keep.has(child)) pruned += child.total;
      else children.push(child);
    }
    if (pruned > 0) children.push({ frame: { name: "(other)", module: "", kind: Kind.other, file: "", line: 0, inlined: 0 }, self: pruned, total: pruned, children: new Map() });
    children.sort((a, b) => (a.frame.name < b.frame.name ? -1 : 1)).forEach((child) => write(child, at));
  };
  write(root, 0);
  return {
    query: question.query, profile_type: CPU_TYPE, unit: "nanoseconds", from_ms: question.from, until_ms: question.until, level: "raw",
    total: root.total, samples: Math.round(root.total / PERIOD_NS), lost_samples: question.services.includes("postgres") ? 17 : 0, nodes_before_pruning: before, ...tables, nodes,
  };
}

function collapsed(question) {
  const lines = [];
  const visit = (node, path) => {
    if (node.self > 0) lines.push(`${path.join(";")} ${node.self}`);
    node.children.forEach((child) => visit(child, [...path, child.frame.name]));
  };
  visit(fold(question), []);
  return `${lines.join("\n")}\n`;
}

function top(question) {
  const by = question.get("by", "function");
  const limit = Number(question.get("limit", "100"));
  const rows = new Map();
  const root = fold({ ...question, get: (name, standard) => (name === "group_by" ? "" : question.get(name, standard)) });
  if (by === "service") {
    for (const service of question.services) rows.set(service, { name: service, module: "", self: serviceNs(service, question.from, question.until), total: serviceNs(service, question.from, question.until) });
  } else {
    const visit = (node, open) => {
      const { name, module } = node.frame;
      const key = `${name}\u0001${module}`;
      const row = rows.get(key) ?? { name, module, self: 0, total: 0 };
      rows.set(key, row);
      row.self += node.self;
      if (!open.has(key)) row.total += node.total;
      const below = new Set(open).add(key);
      node.children.forEach((child) => visit(child, below));
    };
    root.children.forEach((child) => visit(child, new Set()));
  }
  const sorted = [...rows.values()].filter((row) => row.total > 0).sort((a, b) => b.self - a.self || b.total - a.total);
  return { unit: "nanoseconds", total: root.total, samples: Math.round(root.total / PERIOD_NS), rows: sorted.slice(0, limit) };
}

function timeline(question) {
  const span = question.until - question.from;
  const step = Math.max(WINDOW_MS, Math.ceil(span / 120 / WINDOW_MS) * WINDOW_MS);
  const label = question.get("group_by", "");
  const groups = new Map();
  for (const service of question.services) {
    const values = [];
    for (let at = question.from; at < question.until; at += step) values.push(serviceNs(service, at, Math.min(at + step, question.until)));
    const value = labelOf(service, label);
    const group = groups.get(value) ?? { label, value, values: values.map(() => 0), total: 0 };
    group.values = group.values.map((v, i) => v + values[i]);
    group.total = group.values.reduce((a, b) => a + b, 0);
    groups.set(value, group);
  }
  return { from_ms: question.from, until_ms: question.until, step_ms: step, unit: "nanoseconds", groups: [...groups.values()].filter((g) => g.total > 0).sort((a, b) => b.total - a.total) };
}

function answer(url) {
  const range = (question) => ({ from_ms: question.from, until_ms: question.until });
  switch (url.pathname) {
    case "/api/v1/profile-types":
      return { profile_types: [{ id: CPU_TYPE, short: "cpu", unit: "nanoseconds", kind: "delta" }] };
    case "/api/v1/labels":
      return { labels: ["comm", "host", "service_name"], ...range(ask(url)) };
    case "/api/v1/labels/service_name/values":
      return { values: ask(url).services, ...range(ask(url)) };
    case "/api/v1/flamegraph":
      return flamegraph(ask(url));
    case "/api/v1/timeline":
      return timeline(ask(url));
    case "/api/v1/annotations":
      return { annotations: [], ...range(ask(url)) };
    case "/api/v1/agents":
      return { agents: [], broken: [], nameless: [] };
    case "/api/v1/top":
      return top(ask(url));
    default:
      throw new Refusal(404, "not_found", `There is nothing at ${url.pathname}.`);
  }
}

const types = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };

function serveFile(url, response) {
  const path = join(dist, normalize(url.pathname === "/" ? "/index.html" : url.pathname));
  if (!path.startsWith(dist) || !existsSync(path) || !statSync(path).isFile()) return response.writeHead(404).end("not found; run npm run build first\n");
  response.writeHead(200, { "content-type": types[extname(path)] ?? "application/octet-stream", "content-security-policy": "default-src 'self'", "x-content-type-options": "nosniff" });
  createReadStream(path).pipe(response);
}

createServer((request, response) => {
  const url = new URL(request.url ?? "/", "http://localhost");
  if (!url.pathname.startsWith("/api/")) return serveFile(url, response);
  try {
    const format = url.searchParams.get("format") ?? "json";
    const isJson = format === "json";
    const body = isJson ? JSON.stringify(answer(url)) : collapsed(ask(url));
    response.writeHead(200, { "content-type": isJson ? "application/json" : "text/plain; charset=utf-8" }).end(body);
  } catch (error) {
    const { status = 500, code = "internal", message, hint = "" } = error;
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify({ error: { code, message, hint } }));
  }
}).listen(port, "127.0.0.1", () => console.log(`mock server (invented data) at http://localhost:${port}`));
