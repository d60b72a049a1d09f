/**
 * From the server's timeline to what the chart draws: rates instead of sums, few groups instead of
 * many, stacked or not. Pure, tested without a chart.
 */
import type { Timeline } from "../state/index.ts";
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
}

export const MAX_GROUPS = 11;

/**
 * `live`: the range ends now, so its last window is still being filled. A last step of which only
 * windows as young as that are known is left out, or every picture would end in a fall to nothing.
 */
export function chartData(timeline: Timeline, live: boolean): ChartData {
  const { from_ms, until_ms, step_ms, unit } = timeline;
  const steps = stepsShown(timeline, live);
  const durationMs = (step: number) => Math.min(step_ms, until_ms - from_ms - step * step_ms);
  const edges: number[] = [];
  for (let step = 0; step < steps; step++) edges.push((from_ms + step * step_ms) / 1000);
  if (steps > 0) edges.push(Math.min(until_ms, from_ms + steps * step_ms) / 1000);

  const toSeries = (name: string, isRest: boolean, values: readonly number[]): Series => ({
    name,
    isRest,
    rates: values.slice(0, steps).map((value, step) => perTime(value, unit, durationMs(step))),
    average: perTime(values.reduce((a, b) => a + b, 0), unit, until_ms - from_ms),
  });
  const shown = timeline.groups.slice(0, MAX_GROUPS).map((g) => toSeries(g.value, false, g.values));
  const rest = timeline.groups.slice(MAX_GROUPS);
  if (rest.length === 0) return { edges, series: shown };
  const sum = rest[0].values.map((_, step) => rest.reduce((a, group) => a + group.values[step], 0));
  return { edges, series: [...shown, toSeries(`${rest.length} more`, true, sum)] };
}

/** Windows at the end of a live range that may not have arrived yet. */
const UNSETTLED_MS = 20_000;

function stepsShown(timeline: Timeline, live: boolean): number {
  const steps = timeline.groups.reduce((most, group) => Math.max(most, group.values.length), 0);
  if (!live) return steps;
  let shown = steps;
  while (shown > 1 && timeline.until_ms - (timeline.from_ms + (shown - 1) * timeline.step_ms) <= UNSETTLED_MS) shown--;
  return shown;
}

/** For each series the upper edge of its area, when the largest lies at the bottom. */
export function stacked(series: readonly Series[]): number[][] {
  const tops: number[][] = [];
  series.forEach((one, i) => {
    tops.push(one.rates.map((rate, step) => rate + (i === 0 ? 0 : tops[i - 1][step])));
  });
  return tops;
}
