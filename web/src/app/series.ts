/**
 * From the server's timeline to what the chart draws: rates instead of sums, few groups instead of
 * many, stacked or not. Pure, tested without a chart.
 */
import { MAX_COLOURED_GROUPS } from "../render/index.ts";
import { type Annotation, type Timeline, WINDOW_MS } from "../state/index.ts";
import { perTime } from "./format.ts";

export interface Series {
  /** Empty for the one line of a timeline without groups. */
  readonly name: string;
  /** True for the line that sums the groups that are not shown. */
  readonly isRest: boolean;
  readonly rates: readonly number[];
  readonly average: number;
}

export interface ChartData {
  /** Where each step begins, Unix seconds, and at last where the last one ends. */
  readonly edges: readonly number[];
  /** Largest first; one rate per step. */
  readonly series: readonly Series[];
  /** The first step that more samples may still arrive for; the number of steps if there is none. */
  readonly settledSteps: number;
  /** The part of the range that there are data of, Unix milliseconds; averages are over it. */
  readonly covered: Covered;
}

export interface Covered {
  readonly fromMs: number;
  readonly untilMs: number;
  /** False if the data begin within the range. */
  readonly isWhole: boolean;
}

export const MAX_GROUPS = MAX_COLOURED_GROUPS;

/** Windows of a live range younger than this may not have arrived whole. */
const UNSETTLED_MS = 20_000;
/** How far behind the clock samples arrive: agents send every second or two. */
const ARRIVAL_MS = 1_000;
/** What has arrived of a step in less time than this says nothing about its rate yet. */
const SHORTEST_MS = 4_000;

/**
 * `nowMs`: when the answer came, if its range is live; null for a fixed range. The end of a live range
 * is still filling: its steps count as unsettled, and their rates are taken over the time that has
 * passed, or every picture would end in a fall to nothing.
 */
export function chartData(timeline: Timeline, nowMs: number | null): ChartData {
  const { from_ms, until_ms, step_ms, unit } = timeline;
  const end = nowMs === null ? until_ms : arrivedUntil(until_ms, nowMs);
  const steps = stepsShown(timeline, end);
  const startMs = (step: number) => from_ms + step * step_ms;
  const durationMs = (step: number) => Math.min(startMs(step + 1), end) - startMs(step);
  const edges = Array.from({ length: steps }, (_, step) => startMs(step) / 1000);
  if (steps > 0) edges.push(Math.min(until_ms, startMs(steps)) / 1000);
  let settledSteps = steps;
  while (nowMs !== null && settledSteps > 0 && startMs(settledSteps) > until_ms - UNSETTLED_MS) settledSteps--;

  const first = firstStep(timeline, steps);
  const covered = { fromMs: startMs(first), untilMs: Math.max(end, startMs(first) + 1), isWhole: first === 0 };
  const toSeries = (name: string, isRest: boolean, values: readonly number[]): Series => ({
    name,
    isRest,
    rates: values.slice(0, steps).map((value, step) => perTime(value, unit, durationMs(step))),
    average: perTime(values.reduce((a, b) => a + b, 0), unit, covered.untilMs - covered.fromMs),
  });
  const shown = timeline.groups.slice(0, MAX_GROUPS).map((g) => toSeries(g.value, false, g.values));
  const rest = timeline.groups.slice(MAX_GROUPS);
  if (rest.length > 0) {
    const sum = rest[0].values.map((_, step) => rest.reduce((a, group) => a + group.values[step], 0));
    shown.push(toSeries(`${rest.length} more`, true, sum));
  }
  return { edges, series: shown, settledSteps, covered };
}

/** The server widens a live range to the window that its clock is in, so a clock that differs here is bounded by it. */
function arrivedUntil(untilMs: number, nowMs: number): number {
  return Math.min(untilMs, Math.max(nowMs, untilMs - WINDOW_MS)) - ARRIVAL_MS;
}

function stepsShown(timeline: Timeline, endMs: number): number {
  const steps = timeline.groups.reduce((most, group) => Math.max(most, group.values.length), 0);
  const began = (step: number) => timeline.from_ms + step * timeline.step_ms;
  const length = Math.min(SHORTEST_MS, timeline.step_ms);
  let shown = steps;
  while (shown > 1 && endMs - began(shown - 1) < length) shown--;
  return shown;
}

/** The first step with samples; 0 if there are none. */
function firstStep(timeline: Timeline, steps: number): number {
  for (let step = 0; step < steps; step++) if (timeline.groups.some((group) => group.values[step] > 0)) return step;
  return 0;
}

/** For each series the upper edge of its area, when the largest lies at the bottom. */
export function stacked(series: readonly Series[]): number[][] {
  const tops: number[][] = [];
  series.forEach((one, i) => {
    tops.push(one.rates.map((rate, step) => rate + (i === 0 ? 0 : tops[i - 1][step])));
  });
  return tops;
}

/** What a timeline marks: a version that was first seen, or what somebody noted. */
export interface Mark {
  readonly kind: "version" | "note";
  readonly text: string;
  /** Unix milliseconds; of a version the start of the step it was first seen in. */
  readonly atMs: number;
}

/** A chart shows so many; more would be a fence. */
const MAX_MARKS = 60;

/** Where a version begins after the data do, and notes, in order of time. `versions` is grouped by version. */
export function marksOf(versions: Timeline | null, notes: readonly Annotation[]): Mark[] {
  const marks: Mark[] = notes.map((note) => ({ kind: "note", text: note.text, atMs: note.at_ms }));
  const begin = (values: readonly number[]) => values.findIndex((value) => value > 0);
  const groups = (versions?.groups ?? []).map((group) => ({ version: group.value, step: begin(group.values) }));
  const first = Math.min(...groups.map((group) => group.step).filter((step) => step >= 0));
  for (const { version, step } of groups) {
    if (!versions || version === "" || version === "(other)" || step <= first) continue;
    marks.push({ kind: "version", text: version, atMs: versions.from_ms + step * versions.step_ms });
  }
  return marks.sort((a, b) => a.atMs - b.atMs).slice(0, MAX_MARKS);
}
