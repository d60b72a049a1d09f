/** The answers on a page, a slot for each question that a view asks. */
import type { Agents, Annotation, ApiError, Capacity, Comparison, Flamegraph, Heatmap, ProfileType, Sandwich, SearchAnswer, Significance, Timeline, Top } from "./api.ts";
import type { View } from "./view.ts";

/** One answer on the page and how far it can be trusted. */
export interface Slot<T> {
  readonly answer: T | null;
  /** True while the answer shown is for an earlier question than the view asks. */
  readonly stale: boolean;
  readonly loading: boolean;
  readonly error: ApiError | null;
  readonly answeredAtMs: number;
}

/** What each slot holds. */
export interface Slots {
  readonly flamegraph: Flamegraph;
  readonly timeline: Timeline;
  readonly heatmap: Heatmap;
  readonly top: Top;
  readonly services: Top;
  readonly search: SearchAnswer;
  readonly versions: Timeline;
  readonly annotations: readonly Annotation[];
  readonly sandwich: Sandwich;
  readonly comparison: Comparison;
  readonly significance: Significance;
  readonly agents: Agents;
  readonly capacity: Capacity;
  readonly capacitySteps: Capacity;
  readonly profileTypes: readonly ProfileType[];
  readonly labels: readonly string[];
}

export type SlotName = keyof Slots;

export type Snapshot = { readonly view: View; readonly paused: boolean } & { readonly [N in SlotName]: Slot<Slots[N]> };

export const SLOT_NAMES: readonly SlotName[] = ["flamegraph", "timeline", "heatmap", "top", "services", "search", "versions", "annotations", "sandwich", "comparison", "significance", "agents", "capacity", "capacitySteps", "profileTypes", "labels"];

export const EMPTY: Slot<never> = { answer: null, stale: false, loading: false, error: null, answeredAtMs: 0 };

/** The answers without which the page shows nothing. */
export function mainSlots(snapshot: Snapshot): readonly Slot<unknown>[] {
  switch (snapshot.view.page) {
    case "explore":
      return [snapshot.flamegraph];
    case "functions":
      return [snapshot.top];
    case "sandwich":
      return [snapshot.sandwich];
    case "compare":
      return [snapshot.comparison];
    case "fleet":
      return [snapshot.agents];
    case "capacity":
      return [snapshot.capacity];
  }
}

/** True if the server summed up boxes that were too small to send. */
export function isPruned(answer: Flamegraph | null): boolean {
  return answer?.nodes !== undefined && answer.nodes_before_pruning > answer.nodes.parent.length;
}
