/**
 * Time ranges as they stand in links and are sent to the server: `now`, `now-15m`, Unix seconds or
 * RFC 3339. Relative times are resolved by the server, whose clock is the one that counts.
 */
import type { Range } from "./api.ts";

export const PRESETS = ["5m", "15m", "1h", "6h", "24h"] as const;
export const DEFAULT_RANGE: Range = { from: "now-15m", until: "now" };

/** Windows of the server; no range is shorter. */
export const WINDOW_MS = 10_000;

const UNIT_MS: Record<string, number> = { s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5 };

export function presetRange(preset: string): Range {
  return { from: `now-${preset}`, until: "now" };
}

export function isRelative(range: Range): boolean {
  return isRelativeTime(range.until);
}

function isRelativeTime(time: string): boolean {
  return time.startsWith("now");
}

/** True if the server could read this time. */
export function isTime(text: string): boolean {
  return toMs(text, 0) !== null;
}

/** Milliseconds since 1970, with `now` at `nowMs`; null if the text is no time. */
export function toMs(text: string, nowMs: number): number | null {
  const relative = /^now(?:-((?:\d+[smhdw])+))?$/.exec(text);
  if (relative) return nowMs - durationMs(relative[1] ?? "");
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  if (!/^\d{4}-\d\d-\d\dT/.test(text)) return null;
  const parsed = Date.parse(text);
  return Number.isNaN(parsed) ? null : parsed;
}

function durationMs(text: string): number {
  let sum = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+)([smhdw])/g)) sum += Number(amount) * UNIT_MS[unit];
  return sum;
}

/** An absolute range widened to whole windows. */
export function absoluteRange(fromMs: number, untilMs: number): Range {
  const from = Math.floor(fromMs / WINDOW_MS) * WINDOW_MS;
  const until = Math.max(from + WINDOW_MS, Math.ceil(untilMs / WINDOW_MS) * WINDOW_MS);
  return { from: String(from / 1000), until: String(until / 1000) };
}

/** How long a range is; a quarter of an hour where it cannot be read. */
export function lengthMs(range: Range, nowMs: number): number {
  const [from, until] = [toMs(range.from, nowMs), toMs(range.until, nowMs)];
  return from !== null && until !== null && until > from ? until - from : 900_000;
}

/** The range, so much earlier. A relative range stays relative, so that it moves along. */
export function earlier(range: Range, byMs: number, nowMs: number): Range {
  const shift = (time: string) => {
    const at = toMs(time, nowMs) ?? nowMs;
    if (!isRelativeTime(time)) return String(Math.round((at - byMs) / 1000));
    const seconds = Math.round((nowMs - at + byMs) / 1000);
    return seconds === 0 ? "now" : `now-${seconds}s`;
  };
  return byMs === 0 ? { from: range.from, until: range.until } : { from: shift(range.from), until: shift(range.until) };
}

/** A range twice as long around the same middle, not beyond `nowMs`. */
export function widened(fromMs: number, untilMs: number, nowMs: number): Range {
  const half = (untilMs - fromMs) / 2;
  const until = Math.min(untilMs + half, Math.max(nowMs, untilMs));
  return absoluteRange(until - 4 * half, until);
}
