/**
 * The server's HTTP API as types and calls. Only this file knows addresses. Every call takes an
 * `AbortSignal`; a failure is always an `ApiError` that carries what the server said and advised.
 */

export interface ProfileType {
  readonly id: string;
  readonly short: string;
  readonly unit: string;
  readonly kind: string;
}

export interface Flamegraph {
  readonly query: string;
  readonly profile_type: string;
  readonly unit: string;
  readonly from_ms: number;
  readonly until_ms: number;
  readonly level: string;
  readonly total: number;
  readonly samples: number;
  readonly lost_samples: number;
  readonly nodes_before_pruning: number;
  readonly names: readonly string[];
  readonly modules: readonly string[];
  readonly files: readonly string[];
  /** By module. A file that was dropped has none. */
  readonly builds?: readonly { readonly count: number; readonly ids: readonly string[] }[];
  /** What is missing from it, a sentence for each. */
  readonly warnings?: readonly string[];
  readonly sampling?: readonly { readonly source: string; readonly frequency_hz: number; readonly hosts: number }[];
  readonly nodes: {
    readonly parent: readonly number[];
    readonly name: readonly number[];
    readonly module: readonly number[];
    readonly file: readonly number[];
    readonly line: readonly number[];
    readonly kind: readonly number[];
    readonly inlined: readonly number[];
    readonly self: readonly number[];
    readonly total: readonly number[];
  };
}

export interface TimelineGroup {
  readonly label: string;
  readonly value: string;
  readonly values: readonly number[];
  readonly total: number;
}

export interface Timeline {
  readonly from_ms: number;
  readonly until_ms: number;
  readonly step_ms: number;
  readonly unit: string;
  readonly groups: readonly TimelineGroup[];
}

export interface TopRow {
  readonly name: string;
  readonly module: string;
  readonly self: number;
  readonly total: number;
}

/** Samples by the moment that they were taken at, column after column. */
export interface Heatmap {
  readonly from_ms: number;
  readonly until_ms: number;
  readonly column_ms: number;
  readonly columns: number;
  readonly rows: number;
  /** Samples that have a moment, and those that have none. */
  readonly with_time: number;
  readonly without_time: number;
  readonly max: number;
  readonly counts: readonly number[];
}

export interface Top {
  readonly unit: string;
  readonly total: number;
  readonly samples: number;
  readonly rows: readonly TopRow[];
}

/** Tables and boxes, as every flame graph has them. */
export type Columns = Pick<Flamegraph, "names" | "modules" | "files" | "nodes">;

export interface SearchAnswer {
  readonly whole: number;
  readonly self: number;
  readonly total: number;
  readonly boxes: number;
  readonly functions_total: number;
  readonly functions: readonly TopRow[];
}

export interface Sandwich {
  readonly unit: string;
  readonly from_ms: number;
  readonly until_ms: number;
  readonly name: string;
  readonly module: string;
  readonly whole: number;
  readonly self: number;
  readonly total: number;
  readonly callers: Columns & { readonly nodes_before_pruning: number };
  readonly callees: Columns & { readonly nodes_before_pruning: number };
  readonly lines_total: number;
  readonly lines: readonly SourceLine[];
  readonly builds: readonly FunctionBuild[];
}

/** What one source line of a function costs. */
export interface SourceLine {
  readonly file: string;
  readonly line: number;
  readonly self: number;
  readonly total: number;
}

/** A build that has a function, and what its name there is from. */
export interface FunctionBuild {
  readonly build_id: string;
  readonly named_by: string;
  readonly addresses: number;
  readonly total: number;
}

/** One side of a comparison. */
export interface Side {
  readonly query: string;
  readonly from_ms: number;
  readonly until_ms: number;
  readonly unit: string;
  readonly total: number;
  readonly samples: number;
}

export interface Comparison {
  readonly unit: string;
  readonly base: Side;
  readonly new: Side;
  readonly nodes_before_pruning: number;
  readonly names: readonly string[];
  readonly modules: readonly string[];
  readonly files: readonly string[];
  readonly nodes: Omit<Flamegraph["nodes"], "self" | "total"> & {
    readonly base_self: readonly number[];
    readonly base_total: readonly number[];
    readonly new_self: readonly number[];
    readonly new_total: readonly number[];
  };
  readonly functions: readonly ChangedFunction[];
  readonly functions_total: number;
}

export interface ChangedFunction {
  readonly name: string;
  readonly module: string;
  readonly base_self: number;
  readonly base_total: number;
  readonly new_self: number;
  readonly new_total: number;
}

/** A change with its interval, all tests taken together. */
export interface Change {
  readonly change: number;
  readonly margin: number | null;
  readonly minimum_detectable: number | null;
  readonly is_significant: boolean;
}

/** What `GET /api/v1/diff` says of chance. */
export interface Significance {
  readonly has_error_bars: boolean;
  readonly method: { readonly kind: string; readonly deals: number; readonly days: number };
  readonly tests: number;
  readonly base: { readonly replicates: number };
  readonly new: { readonly replicates: number };
  readonly total_change: Change | null;
  readonly warnings: readonly { readonly code: string; readonly message: string }[];
  readonly rows: readonly { readonly name: string; readonly module: string; readonly status: string; readonly self_share: Change; readonly total_share: Change }[];
}

/** What somebody noted about a moment. */
export interface Annotation {
  readonly at_ms: number;
  readonly text: string;
}

/** A file that was dropped onto the page. */
export interface ParsedFile extends Columns {
  readonly format: string;
  readonly profile_types: readonly string[];
  readonly profile_type: string;
  readonly unit: string;
  readonly from_ms: number;
  readonly until_ms: number;
  readonly total: number;
  readonly samples: number;
  readonly nodes_before_pruning: number;
}

export interface Agent {
  readonly host: string;
  readonly host_id: string;
  readonly version: string;
  readonly last_seen_ms: number;
  readonly cpus: number;
  readonly sample_source: string;
  readonly frequency_hz: number;
  readonly samples_taken: number;
  readonly samples_lost: number;
  readonly unwind: { readonly complete: number; readonly truncated: number; readonly failed: number };
  readonly names: { readonly named: number; readonly nameless: number };
}

/** Stacks that could not be followed through one file, for one reason. */
export interface BrokenStacks {
  readonly file: string;
  readonly reason: string;
  readonly stacks: number;
  readonly hosts: number;
}

/** A file of which some frames have no name. */
export interface NamelessFile {
  readonly file: string;
  readonly build_id: string;
  readonly named: number;
  readonly nameless: number;
  readonly hosts: number;
}

export interface Agents {
  readonly agents: readonly Agent[];
  readonly broken: readonly BrokenStacks[];
  readonly nameless: readonly NamelessFile[];
}

/** CPU time of one step and one set of labels, or of one function in it. */
export interface CapacityRow {
  readonly name: string;
  readonly properties: Readonly<Record<string, string>>;
  readonly function?: string;
  readonly module?: string;
  readonly window: { readonly start: string; readonly end: string };
  readonly minutes: number;
  readonly cpuCoreUsageAverage: number;
  readonly cpu_seconds: number;
  readonly self_cpu_seconds?: number;
  readonly relative_error: number | null;
  readonly cpu_cost: number | null;
  readonly self_cpu_cost?: number | null;
}

export interface Capacity {
  readonly query: string;
  readonly from_ms: number;
  readonly until_ms: number;
  readonly level: string;
  readonly currency: string;
  readonly cpu_seconds: number;
  readonly warnings?: readonly string[];
  readonly coverage: readonly { readonly coverage: number | null; readonly host_cpu_seconds: number }[];
  readonly rows_total: number;
  readonly rows: readonly CapacityRow[];
}

export type CapacityStep = "all" | "hour" | "day";

/** What the rows of a capacity table are. */
export type CapacityBy = "service" | "version" | "function";

export interface Range {
  readonly from: string;
  readonly until: string;
}

/** A range, or the exact stretch of time within it that stands in its place. */
export interface ExactRange extends Range {
  readonly span?: string;
}

/** What a short link is to keep. */
export interface LinkSelection extends Range {
  readonly query: string;
}

export interface MadeLink {
  readonly id: string;
  /** Where the viewer opens it. */
  readonly path: string;
  /** The view that it shows, as in an address. */
  readonly view: string;
  readonly created_ms: number;
  readonly bytes: number;
  readonly samples: number;
}

export type ExportFormat = "collapsed" | "pprof" | "svg" | "speedscope" | "html" | "json";

/** Why a call failed. `status` 0: the server did not answer at all. */
export class ApiError extends Error {
  override name = "ApiError";
  readonly status: number;
  readonly code: string;
  readonly hint: string;

  constructor(status: number, code: string, message: string, hint = "") {
    super(message);
    this.status = status;
    this.code = code;
    this.hint = hint;
  }

  /** True if asking again later may help, false if the question itself is wrong. */
  get passing(): boolean {
    return this.status === 0 || this.status >= 500;
  }
}

export interface GraphOptions {
  readonly maxNodes: number;
  /** Empty: not grouped. */
  readonly groupBy: string;
  /** What to show in detail, as links have it; empty: everything alike. */
  readonly root: string;
}

export interface Api {
  profileTypes(signal: AbortSignal): Promise<readonly ProfileType[]>;
  labels(query: string, range: Range, signal: AbortSignal): Promise<readonly string[]>;
  flamegraph(query: string, range: ExactRange, options: GraphOptions, signal: AbortSignal): Promise<Flamegraph>;
  timeline(query: string, range: Range, groupBy: string, signal: AbortSignal): Promise<Timeline>;
  heatmap(query: string, range: Range, signal: AbortSignal): Promise<Heatmap>;
  top(query: string, range: ExactRange, by: string, limit: number, signal: AbortSignal): Promise<Top>;
  search(query: string, range: ExactRange, term: string, signal: AbortSignal): Promise<SearchAnswer>;
  sandwich(query: string, range: Range, focus: { readonly name: string; readonly module: string }, signal: AbortSignal): Promise<Sandwich>;
  compare(query: string, range: Range, base: Range & { readonly query: string }, maxNodes: number, signal: AbortSignal): Promise<Comparison>;
  /** Whether differences are more than chance; a server that cannot say has no such endpoint. */
  diff(query: string, range: Range, base: Range & { readonly query: string }, signal: AbortSignal): Promise<Significance>;
  capacity(query: string, range: Range, by: CapacityBy, step: CapacityStep, limit: number, signal: AbortSignal): Promise<Capacity>;
  /** Where the same is a table for other tools. */
  capacityAddress(query: string, range: Range, by: CapacityBy, step: CapacityStep): string;
  annotations(range: Range, signal: AbortSignal): Promise<readonly Annotation[]>;
  agents(signal: AbortSignal): Promise<Agents>;
  /** Makes a short link that keeps what `selections` select. */
  makeLink(view: string, selections: readonly LinkSelection[], signal: AbortSignal): Promise<MadeLink>;
  link(id: string, signal: AbortSignal): Promise<MadeLink>;
  /** Where the profile can be fetched in another format. */
  exportAddress(query: string, range: ExactRange, groupBy: string, format: ExportFormat): string;
  /** A file as the base of what is selected; as with `parse` nothing of it is kept. */
  compareFile(query: string, range: Range, name: string, body: Blob, signal: AbortSignal): Promise<Comparison>;
  /** Has the server read a file; it keeps nothing of it. */
  parse(name: string, body: Blob, signal: AbortSignal): Promise<ParsedFile>;
}

const CAPACITY: Record<CapacityBy, { readonly path: string; readonly labels: string }> = {
  service: { path: "capacity/services", labels: "service_name" },
  version: { path: "capacity/services", labels: "service_name,version" },
  function: { path: "capacity/functions", labels: "" },
};

/** Boxes of a file beside a selection: as of two selections. */
const COMPARE_FILE_NODES = 3500;

/**
 * `link`: the short link whose data are asked instead of the store's. `fetchJson` is a parameter so that
 * tests can answer late, wrongly or never.
 */
export function createApi(link: string | null = null, fetchJson: typeof fetch = fetch.bind(globalThis)): Api {
  const within = link === null ? "" : `links/${encodeURIComponent(link)}/`;
  const get = <T>(path: string, parameters: Record<string, string>, signal: AbortSignal) =>
    call<T>(fetchJson, address(`${within}${path}`, parameters), signal);
  return {
    async profileTypes(signal) {
      return (await get<{ profile_types: ProfileType[] }>("profile-types", {}, signal)).profile_types;
    },
    async labels(query, range, signal) {
      return (await get<{ labels: string[] }>("labels", { query, ...range }, signal)).labels;
    },
    flamegraph: (query, range, { maxNodes, groupBy, root }, signal) =>
      get("flamegraph", { query, ...range, max_nodes: String(maxNodes), group_by: groupBy, root }, signal),
    timeline: (query, range, groupBy, signal) =>
      get("timeline", { query, ...range, group_by: groupBy }, signal),
    heatmap: (query, range, signal) => get("heatmap", { query, ...range }, signal),
    top: (query, range, by, limit, signal) =>
      get("top", { query, ...range, by, limit: String(limit) }, signal),
    search: (query, range, term, signal) => get("search", { query, ...range, ...searchMode(term), limit: "1" }, signal),
    sandwich: (query, range, focus, signal) => get("sandwich", { query, ...range, ...focus }, signal),
    compare: (query, range, base, maxNodes, signal) =>
      get("compare", { query, ...range, base: base.query, base_from: base.from, base_until: base.until, max_nodes: String(maxNodes) }, signal),
    diff: (query, range, base, signal) =>
      get("diff", { base: base.query, base_from: base.from, base_until: base.until, new: query, new_from: range.from, new_until: range.until, by: "function", limit: "5000" }, signal),
    capacity: (query, range, by, step, limit, signal) => get(CAPACITY[by].path, { query, ...range, by: CAPACITY[by].labels, step, limit: String(limit) }, signal),
    capacityAddress: (query, range, by, step) => address(`${within}${CAPACITY[by].path}`, { query, ...range, by: CAPACITY[by].labels, step, limit: "0", format: "csv" }),
    async annotations(range, signal) {
      return (await get<{ annotations: Annotation[] }>("annotations", { ...range }, signal)).annotations;
    },
    agents: (signal) => call(fetchJson, address("agents", {}), signal),
    makeLink: (view, selections, signal) => call(fetchJson, address("links", {}), signal, { method: "POST", body: JSON.stringify({ view, selections }) }),
    link: (id, signal) => call(fetchJson, address(`links/${encodeURIComponent(id)}`, {}), signal),
    exportAddress: (query, range, groupBy, format) => address(`${within}flamegraph`, { query, ...range, format, group_by: groupBy }),
    compareFile: (query, range, name, body, signal) =>
      call(fetchJson, address("compare", { query, ...range, name, file: "base", max_nodes: String(COMPARE_FILE_NODES) }), signal, { method: "POST", body }),
    parse: (name, body, signal) => call(fetchJson, address("parse", { name }), signal, { method: "POST", body }),
  };
}

/** The short link that a path of the viewer names; null where it names none. */
export function linkOf(path: string): string | null {
  return /^\/l\/([^/]+)\/?$/.exec(path)?.[1] ?? null;
}

function address(path: string, parameters: Record<string, string>): string {
  const set = Object.entries(parameters).filter(([, value]) => value !== "");
  const search = new URLSearchParams(set).toString();
  return `/api/v1/${path}${search === "" ? "" : `?${search}`}`;
}

/** A search term as it is typed, in the server's words. */
export function searchMode(term: string): { readonly q: string; readonly mode: string } {
  const trimmed = term.trim();
  const regex = /^\/(.+)\/(i?)$/s.exec(trimmed);
  if (regex) return { q: `${regex[2] === "" ? "" : "(?i)"}${regex[1]}`, mode: "regex" };
  const isExact = trimmed.length > 2 && trimmed.startsWith('"') && trimmed.endsWith('"');
  return isExact ? { q: trimmed.slice(1, -1), mode: "exact" } : { q: trimmed, mode: "text" };
}

async function call<T>(fetchJson: typeof fetch, url: string, signal: AbortSignal, init: RequestInit = {}): Promise<T> {
  let response: Response;
  try {
    response = await fetchJson(url, { ...init, signal, headers: { accept: "application/json" } });
  } catch (error) {
    signal.throwIfAborted();
    throw new ApiError(0, "unreachable", "The server does not answer.", describe(error));
  }
  if (!response.ok) throw await errorOf(response);
  try {
    return (await response.json()) as T;
  } catch {
    signal.throwIfAborted();
    throw new ApiError(0, "broken_answer", "The server's answer broke off or is not JSON.");
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : "";
}

async function errorOf(response: Response): Promise<ApiError> {
  const body: unknown = await response.json().catch(() => null);
  const error = (body as { error?: Record<string, unknown> } | null)?.error;
  if (error && typeof error.message === "string") {
    const hint = typeof error.hint === "string" ? error.hint : "";
    return new ApiError(response.status, String(error.code ?? ""), error.message, hint);
  }
  return new ApiError(response.status, "http_error", `The server answered ${response.status} ${response.statusText}.`);
}
