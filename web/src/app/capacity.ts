/** What the capacity page computes of the server's rows. Pure. */
import type { Capacity, CapacityBy, CapacityRow } from "../state/index.ts";

/** Hours of a month as those who bill count them. */
const MONTH_MINUTES = 730 * 60;

/** Names a row of any step. */
export function keyOf(row: CapacityRow, by: CapacityBy): string {
  return by === "function" ? `${row.module ?? ""}\u0001${row.function ?? ""}` : row.name;
}

/** Cores of one row in each step. */
export interface RowBars {
  readonly cores: readonly number[];
  readonly least: number;
  readonly most: number;
}

/** For each row its cores in every step; 0 in a step whose largest rows it is not among. */
export function barsOf(answer: Capacity, by: CapacityBy): ReadonlyMap<string, RowBars> {
  const starts = [...new Set(answer.rows.map((row) => row.window.start))].toSorted();
  const at = new Map(starts.map((start, i) => [start, i]));
  const cores = new Map<string, number[]>();
  for (const row of answer.rows) {
    const key = keyOf(row, by);
    let values = cores.get(key);
    if (!values) cores.set(key, (values = starts.map(() => 0)));
    values[at.get(row.window.start) ?? 0] += row.cpuCoreUsageAverage;
  }
  return new Map([...cores].map(([key, values]) => [key, { cores: values, least: Math.min(...values), most: Math.max(...values) }]));
}

/** What a month costs at the rate of these minutes. */
export function monthly(cost: number, minutes: number): number {
  return minutes > 0 ? (cost / minutes) * MONTH_MINUTES : 0;
}
