/** Values of two sides, made comparable: as shares of their totals, or per time. Pure. */
import type { Scale } from "../layout/index.ts";
import type { Comparison, Measure } from "../state/index.ts";
import { formatRate, perTime, rateUnit } from "./format.ts";

export function scaleOf(answer: Comparison, measure: Measure): Scale {
  const one = (side: Comparison["base"]) => {
    if (measure === "share") return side.total > 0 ? 1 / side.total : 0;
    return perTime(1, answer.unit, Math.max(1, side.until_ms - side.from_ms));
  };
  return { base: one(answer.base), new: one(answer.new) };
}

/** A share as percent, or a rate with its unit. */
export function formatMeasure(value: number, measure: Measure, unit: string): string {
  if (measure === "absolute") return `${formatRate(value, unit)} ${rateUnit(unit)}`;
  return `${percent(value)} %`;
}

/** A difference with its sign; shares differ by percentage points. */
export function formatChange(change: number, measure: Measure, unit: string): string {
  const sign = change > 0 ? "+" : change < 0 ? "−" : "±";
  const size = Math.abs(change);
  return measure === "absolute" ? `${sign}${formatRate(size, unit)} ${rateUnit(unit)}` : `${sign}${percent(size)} pp`;
}

function percent(share: number): string {
  const value = share * 100;
  if (value > 0 && value < 0.01) return "<0.01";
  return value.toFixed(value < 10 ? 2 : 1);
}
