/**
 * What is being looked at, and its form as a link. Everything that changes the picture is in here
 * and in the address; nothing else is (theme and pausing belong to the person, not to the view).
 * Reading is forgiving, because links are cut and edited by hand: what cannot be read becomes its default.
 */
import type { Range } from "./api.ts";
import { pinsService, SERVICE_LABEL } from "./selector.ts";
import { DEFAULT_RANGE, isTime } from "./time.ts";

export type Pane = "both" | "graph" | "table";
export type SortKey = "self" | "total" | "name";
export type Chart = "stacked" | "lines";

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
  readonly pane: Pane;
  readonly sort: SortKey;
  readonly chart: Chart;
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
  pane: "both",
  sort: "self",
  chart: "stacked",
  allNodes: false,
};

/** The label that the flame graph is grouped by: by service, unless the selector leaves only one. */
export function graphGroup(view: Pick<View, "query" | "graphBy">): string {
  return view.graphBy ?? standardGraphGroup(view.query);
}

export function standardGraphGroup(query: string): string {
  return pinsService(query) ? "" : SERVICE_LABEL;
}

/** A zoom deeper than this is cut; the store's own limit on stack depth is lower. */
const MAX_ZOOM_STEPS = 2048;

export function viewToSearch(view: View): string {
  const parameters = new URLSearchParams();
  const set = (name: string, value: string, standard: string) => {
    if (value !== standard) parameters.set(name, value);
  };
  set("query", view.query, DEFAULT_VIEW.query);
  set("from", view.from, DEFAULT_VIEW.from);
  set("until", view.until, DEFAULT_VIEW.until);
  set("group", view.groupBy, DEFAULT_VIEW.groupBy);
  if (view.graphBy !== null) parameters.set("graph", view.graphBy);
  set("search", view.search, "");
  set("zoom", encodeZoom(view.zoom), "");
  set("pane", view.pane, DEFAULT_VIEW.pane);
  set("sort", view.sort, DEFAULT_VIEW.sort);
  set("chart", view.chart, DEFAULT_VIEW.chart);
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
    pane: oneOf(get("pane", ""), ["both", "graph", "table"], DEFAULT_VIEW.pane),
    sort: oneOf(get("sort", ""), ["self", "total", "name"], DEFAULT_VIEW.sort),
    chart: oneOf(get("chart", ""), ["stacked", "lines"], DEFAULT_VIEW.chart),
    allNodes: get("nodes", "") === "all",
  };
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
