/**
 * Zoom: which part of a tree is looked at, and how places on the screen and in the tree belong
 * together. A zoomed node fills the width; its ancestors stay above it, as wide as the picture.
 */
import { Kind, type Tree } from "./tree.ts";

/** The horizontal part of the tree on screen, in the unit of values. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export function spanOf(tree: Tree, node: number): Span {
  return { start: tree.start[node], end: tree.start[node] + tree.total[node] };
}

export function toPx(span: Span, widthPx: number, value: number): number {
  return ((value - span.start) / (span.end - span.start)) * widthPx;
}

export function toValue(span: Span, widthPx: number, px: number): number {
  return span.start + (px / widthPx) * (span.end - span.start);
}

/** Between two spans, for animation: `progress` runs from 0 to 1. */
export function between(from: Span, to: Span, progress: number): Span {
  const mix = (a: number, b: number) => a + (b - a) * progress;
  return progress >= 1 ? to : { start: mix(from.start, to.start), end: mix(from.end, to.end) };
}

/** True if `node` is `ancestor` or lies below it. */
export function isWithin(tree: Tree, node: number, ancestor: number): boolean {
  let at = node;
  while (tree.row[at] > tree.row[ancestor]) at = tree.parent[at];
  return at === ancestor;
}

export type Direction = "up" | "down" | "left" | "right";

/**
 * Where an arrow key leads from `node`: up to its caller, down to its heaviest callee, sideways to
 * the neighbour in the same row that can be seen while zoomed on `zoom`. Itself where there is none.
 */
export function neighbour(tree: Tree, node: number, zoom: number, direction: Direction): number {
  switch (direction) {
    case "up":
      return tree.parent[node];
    case "down":
      return isWithin(tree, zoom, node) && node !== zoom ? towards(tree, node, zoom) : heaviestChild(tree, node);
    case "left":
    case "right": {
      const next = direction === "left" ? node - 1 : node + 1;
      const sameRow = next >= 0 && next < tree.count && tree.row[next] === tree.row[node];
      return sameRow && isWithin(tree, next, zoom) ? next : node;
    }
  }
}

function towards(tree: Tree, node: number, target: number): number {
  let at = target;
  while (tree.parent[at] !== node) at = tree.parent[at];
  return at;
}

/** The sum of what was pruned is no callee, and is gone to only where there is nothing else. */
function heaviestChild(tree: Tree, node: number): number {
  let best = node;
  const end = tree.firstChild[node] + tree.childCount[node];
  for (let child = tree.firstChild[node]; child < end; child++) {
    const isOther = tree.kind[child] === Kind.Other;
    const bestIsOther = tree.kind[best] === Kind.Other;
    if (best === node || (bestIsOther && !isOther) || (bestIsOther === isOther && tree.total[child] > tree.total[best])) best = child;
  }
  return best;
}

/** No closer look than this part of the whole: beyond it numbers would lose their last digits. */
const MIN_SPAN_SHARE = 1e-9;

/** `span` scaled around the value `at` by `factor` (below 1: closer), within `[0, whole]`. */
export function zoomSpan(span: Span, at: number, factor: number, whole: number): Span {
  const length = Math.min(whole, Math.max(whole * MIN_SPAN_SHARE, (span.end - span.start) * factor));
  const part = (at - span.start) / (span.end - span.start);
  return shifted(at - part * length, length, whole);
}

/** `span` moved by `by`, as far as `[0, whole]` reaches. */
export function panSpan(span: Span, by: number, whole: number): Span {
  return shifted(span.start + by, span.end - span.start, whole);
}

function shifted(start: number, length: number, whole: number): Span {
  const from = Math.min(Math.max(0, start), Math.max(0, whole - length));
  return { start: from, end: Math.min(whole, from + length) };
}

/**
 * A span as it stands in links: its edges as parts of `base`'s width, so that it survives new data.
 * Null for `base` itself.
 */
export function relativeSpan(base: Span, span: Span): readonly [number, number] | null {
  const width = base.end - base.start;
  const edges = [(span.start - base.start) / width, (span.end - base.start) / width] as const;
  const isBase = Math.abs(edges[0]) < 1e-9 && Math.abs(edges[1] - 1) < 1e-9;
  return isBase || !edges.every(Number.isFinite) ? null : edges;
}

/** What `relativeSpan` was taken of, in another tree; `base` itself where it cannot be. */
export function absoluteSpan(base: Span, edges: readonly [number, number] | null, whole: number): Span {
  if (!edges) return base;
  const width = base.end - base.start;
  const span = shifted(base.start + edges[0] * width, Math.min(whole, (edges[1] - edges[0]) * width), whole);
  return span.end - span.start >= whole * MIN_SPAN_SHARE ? span : base;
}

/** How rows lie below one another: `flip` puts the root at the bottom of `heightPx`. */
export interface Rows {
  readonly rowCount: number;
  readonly rowPx: number;
  readonly heightPx: number;
  readonly flip: boolean;
}

/** Upper edge of a row, before scrolling. */
export function rowTop(rows: Rows, row: number): number {
  return rows.flip ? rows.heightPx - (row + 1) * rows.rowPx : row * rows.rowPx;
}

/** The row at a height, before scrolling; may lie outside the tree. */
export function rowAt(rows: Rows, y: number): number {
  return rows.flip ? Math.ceil((rows.heightPx - y) / rows.rowPx) - 1 : Math.floor(y / rows.rowPx);
}
