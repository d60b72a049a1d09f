/**
 * Zoom: which part of a tree is looked at, and how places on the screen and in the tree belong
 * together. A zoomed node fills the width; its ancestors stay above it, as wide as the picture.
 */
import type { Tree } from "./tree.ts";

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

function heaviestChild(tree: Tree, node: number): number {
  let best = node;
  let weight = -1;
  const end = tree.firstChild[node] + tree.childCount[node];
  for (let child = tree.firstChild[node]; child < end; child++) {
    if (tree.total[child] > weight) {
      weight = tree.total[child];
      best = child;
    }
  }
  return best;
}
