/** What a view asks the server: one question per slot. Two views with equal keys need equal answers. */
import type { Api, CapacityStep, ExactRange, Range } from "./api.ts";
import { formatSelector, parseSelector, SERVICE_LABEL, withValue } from "./selector.ts";
import type { Slots } from "./slots.ts";
import { lengthMs } from "./time.ts";
import { DEFAULT_VIEW, encodeZoom, graphGroup, type View } from "./view.ts";

/** Of a profile of a million nodes these are the boxes that are a third of a pixel wide or more. */
const DEFAULT_MAX_NODES = 3500;
const TOP_LIMIT = 1000;
/** The Functions page lists more. */
const FUNCTIONS_LIMIT = 20_000;
const SERVICES_LIMIT = 500;
const CAPACITY_LIMIT = 200;

export interface Question<N extends keyof Slots = keyof Slots> {
  readonly slot: N;
  /** What the answer is about; an answer with another key is stale. */
  readonly key: string;
  /** What it may show more of; an answer with another detail is not stale. */
  readonly detail: string;
  ask(api: Api, signal: AbortSignal): Promise<Slots[N]>;
}

export function questionsOf(view: View): Question[] {
  const asked: Question[] = [];
  const add = <N extends keyof Slots>(slot: N, key: unknown, ask: (api: Api, signal: AbortSignal) => Promise<Slots[N]>, detail = "") =>
    asked.push({ slot, key: JSON.stringify(key), detail, ask } as unknown as Question);
  if (view.page === "fleet") {
    add("agents", [], (api, signal) => api.agents(signal));
    return asked;
  }
  const range: Range = { from: view.from, until: view.until };
  const anyService = withoutService(view.query);
  const exact = exactRange(view);
  if (view.page === "explore") addFlamegraph(view, exact, add);
  if (showsHeatmap(view)) add("heatmap", [view.query, range], (api, signal) => api.heatmap(view.query, range, signal));
  if (view.page === "explore" || view.page === "functions") {
    const limit = view.page === "functions" ? FUNCTIONS_LIMIT : TOP_LIMIT;
    add("top", [view.query, exact, limit], (api, signal) => api.top(view.query, exact, "function", limit, signal));
  }
  const { focus, base } = view;
  if (view.page === "sandwich" && focus) {
    add("sandwich", [view.query, range, focus], (api, signal) => api.sandwich(view.query, range, focus, signal));
  }
  if (view.page === "compare" && base) {
    add("comparison", [view.query, range, base], (api, signal) => api.compare(view.query, range, base, DEFAULT_MAX_NODES, signal));
  }
  if (view.page === "compare" && base) {
    add("significance", [view.query, range, base], (api, signal) => api.diff(view.query, range, base, signal));
  }
  if (view.page === "capacity") addCapacity(view, range, add);
  add("timeline", [view.query, range, view.groupBy], (api, signal) => api.timeline(view.query, range, view.groupBy, signal));
  add("annotations", [range], (api, signal) => api.annotations(range, signal));
  add("services", [anyService, range], (api, signal) => api.top(anyService, range, "service", SERVICES_LIMIT, signal));
  return asked;
}

/** True where a heatmap stands in the timeline's place. */
export function showsHeatmap(view: View): boolean {
  return view.page === "explore" && view.chart === "heatmap";
}

/** What Explore's picture and table are of: the range, or a slice of it. */
export function exactRange(view: View): ExactRange {
  const range: Range = { from: view.from, until: view.until };
  return view.page === "explore" && view.slice !== null ? { ...range, span: view.slice } : range;
}

type Add = <N extends keyof Slots>(slot: N, key: unknown, ask: (api: Api, signal: AbortSignal) => Promise<Slots[N]>, detail?: string) => unknown;

function addFlamegraph(view: View, range: ExactRange, add: Add): void {
  const maxNodes = view.allNodes ? 0 : DEFAULT_MAX_NODES;
  const graphBy = graphGroup(view);
  const root = encodeZoom(view.zoom);
  const key = [view.query, range, maxNodes, graphBy, view.graphBy === null];
  add(
    "flamegraph",
    key,
    async (api, signal) => {
      const ask = (groupBy: string) => api.flamegraph(view.query, range, { maxNodes, groupBy, root }, signal);
      try {
        return await ask(graphBy);
      } catch (error) {
        // A fleet of more services than the server groups by: nobody asked for groups, so go without.
        const tooMany = (error as { status?: number }).status === 413 && view.graphBy === null && graphBy !== "";
        if (!tooMany) throw error;
        return await ask("");
      }
    },
    root,
  );
}

function addCapacity({ query, capacityBy: by }: View, range: Range, add: Add): void {
  add("capacity", [query, range, by], (api, signal) => api.capacity(query, range, by, "all", CAPACITY_LIMIT, signal));
  const step = capacityStep(range);
  if (step !== "all") add("capacitySteps", [query, range, by, step], (api, signal) => api.capacity(query, range, by, step, CAPACITY_LIMIT, signal));
}

/** The steps that a range has some of, and not too many; `all` where there are none. */
export function capacityStep(range: Range): CapacityStep {
  const hours = lengthMs(range, Date.now()) / 3_600_000;
  return hours > 96 ? "day" : hours > 2 ? "hour" : "all";
}

/** The labels that there are, which do not depend on the selection; null where none are shown. */
export function labelsQuestion(view: View): Question<"labels"> | null {
  if (view.page === "fleet") return null;
  const range: Range = { from: view.from, until: view.until };
  return { slot: "labels", key: JSON.stringify([withoutService(view.query), range]), detail: "", ask: (api, signal) => api.labels("", range, signal) };
}

/** The label that changes with a deploy. */
export const VERSION_LABEL = "version";

/** The timeline by version, whose beginnings are deploys; none where no sample has a version. */
export function versionsQuestion(view: View, labels: readonly string[] | null): Question<"versions"> | null {
  if (view.page === "fleet" || view.page === "sandwich" || !labels?.includes(VERSION_LABEL)) return null;
  const range: Range = { from: view.from, until: view.until };
  return {
    slot: "versions",
    key: JSON.stringify([view.query, range]),
    detail: "",
    ask: (api, signal) => api.timeline(view.query, range, VERSION_LABEL, signal),
  };
}

/** The search over everything, for a picture that does not show everything. */
export function searchQuestion(view: View): Question<"search"> | null {
  if (view.page !== "explore" || view.search.trim() === "") return null;
  const range = exactRange(view);
  return {
    slot: "search",
    key: JSON.stringify([view.query, range, view.search]),
    detail: "",
    ask: (api, signal) => api.search(view.query, range, view.search, signal),
  };
}

/** The selection without its matchers on the service: what the service menu offers. */
export function withoutService(query: string): string {
  const selector = parseSelector(query);
  return selector ? formatSelector(withValue(selector, SERVICE_LABEL, null)) : DEFAULT_VIEW.query;
}
