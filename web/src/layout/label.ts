/**
 * What is written in a box. Symbol names come from other people's binaries: they may be empty, ten
 * thousand characters long, right-to-left, or carry control characters that would reorder or hide
 * text around them. `displayName` makes them safe to show; `fitLabel` chooses the most telling part
 * that fits, because in `core::iter::Iterator::fold` the end matters more than the beginning.
 */

export const UNKNOWN_NAME = "[unknown]";

/** Longest text anyone is shown of a name outside a detail card. */
export const MAX_LABEL_CHARS = 512;

/**
 * Control characters (they have no picture), bidirectional overrides and isolates (they could
 * reorder what stands beside a name), line and paragraph separators, and lone surrogates.
 */
const UNSHOWABLE =
  /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** A name as it may be shown: never empty, at most `maxChars` long, nothing invisible in it. */
export function displayName(name: string, maxChars = MAX_LABEL_CHARS): string {
  const clipped = name.length > maxChars ? `${name.slice(0, maxChars - 1)}…` : name;
  const safe = clipped.replace(UNSHOWABLE, "\ufffd");
  return safe.trim() === "" ? UNKNOWN_NAME : safe;
}

/** Width of a text in pixels. */
export type Measure = (text: string) => number;

/**
 * The longest telling form of `name` that is at most `widthPx` wide, or "" when not even a few
 * characters fit. `name` is a display name. Forms, best first: whole; without generic arguments;
 * its last components behind an ellipsis; the last component cut at its end.
 */
export function fitLabel(name: string, widthPx: number, measure: Measure): string {
  if (measure(name) <= widthPx) return name;
  const plain = withoutArguments(name);
  if (plain !== name && measure(plain) <= widthPx) return plain;
  let tail = plain;
  for (let cut = nextSeparator(tail); cut > 0; cut = nextSeparator(tail)) {
    tail = tail.slice(cut);
    const form = `…${tail}`;
    if (measure(form) <= widthPx) return form;
  }
  return cutToFit(tail, widthPx, measure);
}

/** Drops generic arguments `<…>` and an argument list `(…)` at the end. */
export function withoutArguments(name: string): string {
  if (/^[<([]|operator/.test(name)) return name;
  const body = name.replace(/\([^()]*\)( const)?$/, "");
  let depth = 0;
  let out = "";
  let previous = "";
  for (const char of body) {
    if (char === "<") depth++;
    else if (char === ">" && previous !== "-") depth--;
    else if (depth === 0) out += char;
    previous = char;
  }
  out = out.replace(/(::)+$/, "").replace(/:::+/g, "::").trim();
  return depth === 0 && out !== "" ? out : name;
}

/** Index just behind the first `::`, `.` or `/` that has something before and after it; 0 if none. */
function nextSeparator(name: string): number {
  const found = /(?<=[^.:/])(::|\.|\/)(?=[^.:/\s])/.exec(name);
  return found ? found.index + found[0].length : 0;
}

function cutToFit(text: string, widthPx: number, measure: Measure): string {
  const chars = Array.from(text.slice(0, MAX_LABEL_CHARS));
  let low = 0;
  let high = chars.length;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (measure(`${chars.slice(0, middle).join("")}…`) <= widthPx) low = middle;
    else high = middle - 1;
  }
  return low >= 2 ? `${chars.slice(0, low).join("")}…` : "";
}
