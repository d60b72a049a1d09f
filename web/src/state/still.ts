/**
 * A page at rest. While a live range is paused, its relative times mean what they meant when it was
 * paused: a zoom and the way back show one picture, whatever has arrived since. And what was answered
 * while the page rests is kept for a while, so that a step back shows the very same thing at once.
 */
import type { Range } from "./api.ts";
import type { Question } from "./questions.ts";
import type { Slot, Slots, Snapshot } from "./slots.ts";
import { isRelative } from "./time.ts";
import type { View } from "./view.ts";

export interface ShownRange {
  readonly fromMs: number;
  readonly untilMs: number;
}

/** The range of the answer that the page rests on; null before there is one, or where there is no range. */
export function shownRange(snapshot: Snapshot): ShownRange | null {
  const answer = rangedSlot(snapshot)?.answer;
  return answer ? { fromMs: answer.from_ms, untilMs: answer.until_ms } : null;
}

interface Ranged {
  readonly from_ms: number;
  readonly until_ms: number;
}

function rangedSlot({ view, flamegraph, sandwich, comparison, timeline, capacity }: Snapshot): Pick<Slot<Ranged>, "answer" | "stale"> | null {
  const side = { answer: comparison.answer?.new ?? null, stale: comparison.stale };
  // The graph of a slice is of a part of the range.
  const explore = view.slice === null ? flamegraph : timeline;
  return { explore, functions: timeline, sandwich, compare: side, fleet: null, capacity }[view.page];
}

/** What the relative times of some views mean; `times` and `baseTimes` are as the views have them. */
export interface Pin {
  readonly times: string;
  readonly range: Range;
  readonly baseTimes: string;
  readonly base: Range | null;
}

/** `before`, with what the answers shown say of times that it does not know. */
export function pinOf(snapshot: Snapshot, before: Pin | null): Pin | null {
  const { view, comparison } = snapshot;
  const slot = rangedSlot(snapshot);
  if (!slot?.answer || slot.stale || !isRelative(view)) return before;
  const [times, baseTimes] = [timesOf(view), view.base ? timesOf(view.base) : ""];
  const hasBase = view.page === "compare" && view.base !== null;
  const isKnown = before?.times === times;
  if (isKnown && (!hasBase || before.baseTimes === baseTimes)) return before;
  return {
    times,
    range: isKnown ? before.range : seconds(slot.answer),
    baseTimes: hasBase ? baseTimes : "",
    base: hasBase && comparison.answer ? seconds(comparison.answer.base) : null,
  };
}

/** The view with the times that `pin` gives it; as it is where it has others. */
export function pinned(view: View, pin: Pin | null): View {
  const range = pin?.times === timesOf(view) ? pin.range : null;
  const base = view.base && pin?.baseTimes === timesOf(view.base) ? pin.base : null;
  if (!range && !base) return view;
  return { ...view, ...range, base: view.base && { ...view.base, ...base } };
}

function timesOf({ from, until }: Range): string {
  return `${from} ${until}`;
}

function seconds({ from_ms, until_ms }: Ranged): Range {
  return { from: String(from_ms / 1000), until: String(until_ms / 1000) };
}

/** Answers that are kept, boxes that they may have in all, and for how long. */
const MAX_KEPT = 24;
const MAX_KEPT_BOXES = 300_000;
const MAX_KEPT_MS = 600_000;

type Asked = Pick<Question, "slot" | "key" | "detail">;

/** Answers by question, the oldest dropped first. */
export class Kept {
  readonly #held = new Map<string, Slot<unknown>>();

  put<N extends keyof Slots>(question: Asked & { readonly slot: N }, slot: Slot<Slots[N]>): void {
    const name = nameOf(question);
    this.#held.delete(name);
    this.#held.set(name, slot);
    let boxes = 0;
    for (const held of this.#held.values()) boxes += boxesOf(held);
    for (const [oldest, held] of this.#held) {
      if (this.#held.size <= MAX_KEPT && boxes <= MAX_KEPT_BOXES) break;
      boxes -= boxesOf(held);
      this.#held.delete(oldest);
    }
  }

  /** The answer to this question, if it is younger than `MAX_KEPT_MS`. */
  get<N extends keyof Slots>(question: Asked & { readonly slot: N }, nowMs: number): Slot<Slots[N]> | null {
    const held = this.#held.get(nameOf(question)) as Slot<Slots[N]> | undefined;
    return held && nowMs - held.answeredAtMs < MAX_KEPT_MS ? held : null;
  }

  clear(): void {
    this.#held.clear();
  }
}

function nameOf({ slot, key, detail }: Asked): string {
  return JSON.stringify([slot, key, detail]);
}

function boxesOf({ answer }: Slot<unknown>): number {
  return (answer as { readonly nodes?: { readonly parent?: ArrayLike<number> } } | null)?.nodes?.parent?.length ?? 1;
}
