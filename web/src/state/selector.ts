/**
 * Selectors as text, edited by menus. The text is the truth: a menu rewrites only the part it is
 * about and keeps everything else the way the user wrote it. What cannot be taken apart here is not
 * judged; the server says what is wrong with it.
 */

export interface Selector {
  readonly type: string;
  readonly matchers: readonly Matcher[];
}

export interface Matcher {
  readonly label: string;
  readonly operator: "=" | "!=" | "=~" | "!~";
  readonly value: string;
}

/** The parts of a selector, or null if the text is not one. */
export function parseSelector(text: string): Selector | null {
  const outer = /^\s*([A-Za-z_][\w:]*)\s*(?:\{(.*)\})?\s*$/s.exec(text);
  if (!outer) return null;
  const matchers: Matcher[] = [];
  let rest = (outer[2] ?? "").trim();
  while (rest !== "") {
    const found = /^([A-Za-z_]\w*)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"\s*(,\s*|$)/s.exec(rest);
    if (!found) return null;
    const operator = found[2] as Matcher["operator"];
    matchers.push({ label: found[1], operator, value: unquote(found[3]) });
    rest = rest.slice(found[0].length);
  }
  return { type: outer[1], matchers };
}

export function formatSelector(selector: Selector): string {
  const matchers = selector.matchers.map((m) => `${m.label}${m.operator}"${quote(m.value)}"`);
  return `${selector.type}{${matchers.join(", ")}}`;
}

/** The value that `label` must equal, or null if the selector does not fix it to one. */
export function fixedValue(selector: Selector, label: string): string | null {
  const about = selector.matchers.filter((m) => m.label === label);
  return about.length === 1 && about[0].operator === "=" ? about[0].value : null;
}

export const SERVICE_LABEL = "service_name";

/** True if the selector leaves one service at most. A text that is only the server's to read counts too. */
export function pinsService(query: string): boolean {
  const selector = parseSelector(query);
  if (!selector) return /[{,]\s*(service_name|"service_name")\s*=\s*["'`]/.test(query);
  return selector.matchers.some((m) => m.label === SERVICE_LABEL && m.operator === "=");
}

/** The selector with `label` fixed to `value`, or free if `value` is null. */
export function withValue(selector: Selector, label: string, value: string | null): Selector {
  const matchers = selector.matchers.filter((m) => m.label !== label);
  if (value === null) return { ...selector, matchers };
  const at = selector.matchers.findIndex((m) => m.label === label);
  const fixed: Matcher = { label, operator: "=", value };
  return { ...selector, matchers: matchers.toSpliced(at < 0 ? matchers.length : at, 0, fixed) };
}

function unquote(text: string): string {
  return text.replace(/\\(.)/gs, (_, char: string) => (char === "n" ? "\n" : char === "t" ? "\t" : char));
}

function quote(text: string): string {
  return text.replace(/[\\"]/g, "\\$&").replace(/\n/g, "\\n");
}
