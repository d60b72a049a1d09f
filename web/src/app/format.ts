/** Numbers and times as people read them. Pure; English, because the whole page is. */

/** A value of a profile in its unit, e.g. CPU time as `1.24 s`. */
export function formatValue(value: number, unit: string): string {
  switch (unit) {
    case "nanoseconds":
      return formatNs(value);
    case "bytes":
      return formatBytes(value);
    default:
      return formatCount(value);
  }
}

/** CPU time: three significant digits in the largest fitting unit. */
export function formatNs(ns: number): string {
  if (ns === 0) return "0 s";
  if (ns < 1e3) return `${digits(ns)} ns`;
  if (ns < 1e6) return `${evenDigits(ns / 1e3)} µs`;
  if (ns < 1e9) return `${evenDigits(ns / 1e6)} ms`;
  if (ns < 60e9) return `${evenDigits(ns / 1e9)} s`;
  if (ns < 3600e9) return `${evenDigits(ns / 60e9)} min`;
  return `${evenDigits(ns / 3600e9)} h`;
}

export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${digits(value)} ${units[unit]}`;
}

export function formatCount(count: number): string {
  return Math.round(count).toLocaleString("en");
}

/** Three significant digits, no exponent, thousands grouped, no zeros at the end. */
export function digits(value: number): string {
  return value.toLocaleString("en", { maximumFractionDigits: decimalsOf(value) });
}

/** The same with zeros at the end, so that columns of numbers line up. */
export function evenDigits(value: number): string {
  const decimals = decimalsOf(value);
  return value.toLocaleString("en", { maximumFractionDigits: decimals, minimumFractionDigits: decimals });
}

function decimalsOf(value: number): number {
  if (value === 0) return 0;
  return Math.min(6, Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value)))));
}

/** A share in percent: `12.3 %`; never rounds something up to all or down to nothing. */
export function formatShare(part: number, whole: number): string {
  if (whole <= 0 || part <= 0) return "0 %";
  const percent = (part / whole) * 100;
  if (percent < 0.01) return "< 0.01 %";
  if (percent > 99.99 && part < whole) return "> 99.99 %";
  if (part === whole) return "100 %";
  return `${percent.toFixed(percent < 10 || percent > 99.9 ? 2 : 1)} %`;
}

/** Value per wall time: nanoseconds become cores, anything else becomes a rate per second. */
export function perTime(value: number, unit: string, durationMs: number): number {
  return unit === "nanoseconds" ? value / (durationMs * 1e6) : value / (durationMs / 1e3);
}

/** A rate with the width of few characters: `1.23`, `0.034`, `<0.001`, `12.3 MiB`. */
export function formatRate(rate: number, unit: string): string {
  if (unit === "bytes") return formatBytes(rate);
  if (rate > 0 && rate < 0.001) return "<0.001";
  if (rate >= 10_000) return rate.toLocaleString("en", { notation: "compact", maximumSignificantDigits: 3 });
  const decimals = rate === 0 ? 0 : Math.min(3, decimalsOf(rate));
  return rate.toLocaleString("en", { maximumFractionDigits: decimals, minimumFractionDigits: decimals });
}

export function rateUnit(unit: string): string {
  return unit === "nanoseconds" ? "cores" : unit === "bytes" ? "bytes/s" : "per second";
}

/** `14:03:10`, local time. */
export function formatClock(ms: number): string {
  return new Date(ms).toLocaleTimeString("en-GB");
}

/** `21 Nov 14:03:10 – 14:18:10`; the second date only where it differs; local time. */
export function formatRange(fromMs: number, untilMs: number): string {
  const sameDay = new Date(fromMs).toDateString() === new Date(untilMs).toDateString();
  const until = sameDay ? formatClock(untilMs) : `${formatDay(untilMs)} ${formatClock(untilMs)}`;
  return `${formatDay(fromMs)} ${formatClock(fromMs)} – ${until}`;
}

export function formatDay(ms: number): string {
  return new Date(ms).toLocaleDateString("en-GB", { day: "numeric", month: "short" });
}

/** A length of time in words as short as possible: `15 min`, `1 h 30 min`. */
export function formatDuration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const parts = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor((seconds % 86_400) / 3600), "h"],
    [Math.floor((seconds % 3600) / 60), "min"],
    [seconds % 60, "s"],
  ] as const;
  const shown = parts.filter(([amount]) => amount > 0).slice(0, 2);
  return shown.length === 0 ? "0 s" : shown.map(([amount, unit]) => `${amount} ${unit}`).join(" ");
}

/** For `<input type="datetime-local">`: local time without a zone. */
export function toLocalInput(ms: number): string {
  const date = new Date(ms - new Date(ms).getTimezoneOffset() * 60_000);
  return date.toISOString().slice(0, 19);
}

/** A short length of time: `20 ms`, `1.25 s`, `2 min 3 s`. */
export function formatMs(ms: number): string {
  if (ms < 1000) return `${digits(ms)} ms`;
  return ms < 60_000 ? `${digits(ms / 1000)} s` : formatDuration(ms);
}
