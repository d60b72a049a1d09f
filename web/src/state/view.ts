/**
 * What is being looked at, and its form as a link. Everything that changes the picture is in here
 * and in the address; nothing else is (theme and pausing belong to the person, not to the view).
 * Reading is forgiving, because links are cut and edited by hand: what cannot be read becomes its default.
 */
import type { CapacityBy, Range } from "./api.ts";
import { pinsService, SERVICE_LABEL } from "./selector.ts";
import { DEFAULT_RANGE, isTime } from "./time.ts";

export type Pane = "both" | "graph" | "table";
export type SortKey = "self" | "total" | "name";
/** What stands above the pictures; the heatmap on Explore only. */
export type Chart = "stacked" | "lines" | "heatmap";
export const PAGES = ["explore", "functions", "sandwich", "compare", "fleet", "capacity"] as const;
export type Page = (typeof PAGES)[number];
export type Colouring = "module" | "group";
export type CompareForm = "merged" | "side";
/** Shares of each side's total, or value per time. */
export type Measure = "share" | "absolute";

/** A function, as tables and sandwiches have it. */
export interface FunctionName {
  readonly name: string;
  readonly module: string;
}

/** What the selection of the view is compared with. */
export interface Base extends Range {
  readonly query: string;
}

export interface View extends Range {
  /** Selector text as the user wrote it. */
  readonly query: string;
  /** The label that the timeline is grouped by; empty: by none. */
  readonly groupBy: string;
  /** The label that the flame graph is grouped by; empty: by none; null: what suits the selector. */
  readonly graphBy: string | null;
  readonly search: string;
  /** Keys of the frames from the root's child down to the zoomed frame; see layout's paths. */
  readonly zoom: readonly number[];
  /** The part of the zoomed frame that fills the width, if it is not all of it. */
  readonly span: readonly [number, number] | null;
  /** True: the root is at the bottom. */
  readonly flip: boolean;
  readonly colouring: Colouring;
  readonly page: Page;
  /** The function in the middle of the sandwich. */
  readonly focus: FunctionName | null;
  readonly base: Base | null;
  readonly form: CompareForm;
  readonly measure: Measure;
  readonly pane: Pane;
  readonly sort: SortKey;
  readonly chart: Chart;
  /** An exact stretch of time within the range, `FROM..UNTIL` in Unix seconds, that Explore shows alone. */
  readonly slice: string | null;
  /** What the rows of the capacity page are. */
  readonly capacityBy: CapacityBy;
  /** True: ask for every node and not for the largest ones only. */
  readonly allNodes: boolean;
}

export const DEFAULT_VIEW: View = {
  ...DEFAULT_RANGE,
  query: "cpu{}",
  groupBy: SERVICE_LABEL,
  graphBy: null,
  search: "",
  zoom: [],
  span: null,
  flip: false,
  colouring: "module",
  page: "explore",
  focus: null,
  base: null,
  form: "merged",
  measure: "share",
  pane: "both",
  sort: "self",
  chart: "stacked",
  slice: null,
  capacityBy: "service",
  allNodes: false,
};

/** The label that the flame graph is grouped by: by service, unless the selector leaves only one. */
export function graphGroup(view: Pick<View, "query" | "graphBy">): string {
  return view.graphBy ?? standardGraphGroup(view.query);
}

export function standardGraphGroup(query: string): string {
  return pinsService(query) ? "" : SERVICE_LABEL;
}

/** Unix seconds, exact to the microsecond. */
const SLICE = /^\d{1,10}(\.\d{1,6})?\.\.\d{1,10}(\.\d{1,6})?$/;

/** A zoom deeper than this is cut; the store's own limit on stack depth is lower. */
const MAX_ZOOM_STEPS = 2048;

export function viewToSearch(view: View): string {
  const parameters = new URLSearchParams();
  const set = (name: string, value: string, standard: string) => {
    if (value !== standard) parameters.set(name, value);
  };
  set("page", view.page, DEFAULT_VIEW.page);
  set("query", view.query, DEFAULT_VIEW.query);
  set("from", view.from, DEFAULT_VIEW.from);
  set("until", view.until, DEFAULT_VIEW.until);
  set("group", view.groupBy, DEFAULT_VIEW.groupBy);
  if (view.graphBy !== null) parameters.set("graph", view.graphBy);
  set("search", view.search, "");
  set("zoom", encodeZoom(view.zoom), "");
  set("span", view.span ? view.span.map((edge) => encodeEdge(edge)).join("~") : "", "");
  set("flip", view.flip ? "1" : "", "");
  set("colour", view.colouring, DEFAULT_VIEW.colouring);
  if (view.focus) {
    parameters.set("fn", view.focus.name);
    set("mod", view.focus.module, "");
  }
  if (view.base) {
    parameters.set("base", view.base.query);
    parameters.set("base_from", view.base.from);
    parameters.set("base_until", view.base.until);
  }
  set("form", view.form, DEFAULT_VIEW.form);
  set("measure", view.measure, DEFAULT_VIEW.measure);
  set("pane", view.pane, DEFAULT_VIEW.pane);
  set("sort", view.sort, DEFAULT_VIEW.sort);
  set("chart", view.chart, DEFAULT_VIEW.chart);
  set("slice", view.slice ?? "", "");
  set("rows", view.capacityBy, DEFAULT_VIEW.capacityBy);
  set("nodes", view.allNodes ? "all" : "", "");
  const text = parameters.toString();
  return text === "" ? "" : `?${text}`;
}

export function viewFromSearch(search: string): View {
  const parameters = new URLSearchParams(search);
  const get = (name: string, standard: string) => parameters.get(name) ?? standard;
  const from = get("from", DEFAULT_VIEW.from);
  const until = get("until", DEFAULT_VIEW.until);
  const timesAreFine = isTime(from) && isTime(until);
  return {
    query: get("query", DEFAULT_VIEW.query),
    from: timesAreFine ? from : DEFAULT_VIEW.from,
    until: timesAreFine ? until : DEFAULT_VIEW.until,
    groupBy: get("group", DEFAULT_VIEW.groupBy),
    graphBy: parameters.get("graph"),
    search: get("search", ""),
    zoom: decodeZoom(get("zoom", "")),
    span: decodeSpan(get("span", "")),
    flip: get("flip", "") === "1",
    colouring: oneOf(get("colour", ""), ["module", "group"], DEFAULT_VIEW.colouring),
    page: oneOf(get("page", ""), PAGES, DEFAULT_VIEW.page),
    focus: parameters.has("fn") ? { name: get("fn", ""), module: get("mod", "") } : null,
    base: baseFrom(parameters),
    form: oneOf(get("form", ""), ["merged", "side"], DEFAULT_VIEW.form),
    measure: oneOf(get("measure", ""), ["share", "absolute"], DEFAULT_VIEW.measure),
    pane: oneOf(get("pane", ""), ["both", "graph", "table"], DEFAULT_VIEW.pane),
    sort: oneOf(get("sort", ""), ["self", "total", "name"], DEFAULT_VIEW.sort),
    chart: oneOf(get("chart", ""), ["stacked", "lines", "heatmap"], DEFAULT_VIEW.chart),
    slice: SLICE.test(get("slice", "")) ? get("slice", "") : null,
    capacityBy: oneOf(get("rows", ""), ["service", "version", "function"], DEFAULT_VIEW.capacityBy),
    allNodes: get("nodes", "") === "all",
  };
}

function baseFrom(parameters: URLSearchParams): Base | null {
  const query = parameters.get("base");
  if (query === null) return null;
  const from = parameters.get("base_from") ?? "";
  const until = parameters.get("base_until") ?? "";
  return isTime(from) && isTime(until) ? { query, from, until } : { query, ...DEFAULT_RANGE };
}

/** An edge with nine digits behind the point; more are noise. */
function encodeEdge(edge: number): string {
  return String(Math.round(edge * 1e9) / 1e9);
}

function decodeSpan(text: string): readonly [number, number] | null {
  const [start, end] = text.split("~").map((edge) => (edge === "" ? NaN : Number(edge)));
  return Number.isFinite(start) && Number.isFinite(end) && end - start > 1e-12 ? [start, end] : null;
}

function oneOf<T extends string>(text: string, allowed: readonly T[], standard: T): T {
  return allowed.find((value) => value === text) ?? standard;
}

/** Six characters a step: 32 bits in base 36 would need seven, base64url's alphabet needs six. */
const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const DIGITS_PER_STEP = 6;

export function encodeZoom(zoom: readonly number[]): string {
  let text = "";
  for (const step of zoom) {
    for (let shift = 30; shift >= 0; shift -= 6) text += DIGITS[(step >>> shift) & 63];
  }
  return text;
}

export function decodeZoom(text: string): number[] {
  const steps: number[] = [];
  const end = Math.min(text.length, MAX_ZOOM_STEPS * DIGITS_PER_STEP);
  for (let at = 0; at + DIGITS_PER_STEP <= end; at += DIGITS_PER_STEP) {
    let step = 0;
    for (let i = 0; i < DIGITS_PER_STEP; i++) {
      const digit = DIGITS.indexOf(text[at + i]);
      if (digit < 0) return steps;
      step = ((step << 6) | digit) >>> 0;
    }
    steps.push(step);
  }
  return steps;
}
