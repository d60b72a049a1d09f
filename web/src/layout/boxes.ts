/**
 * From a tree and a viewport onto it to the rectangles that can be seen.
 *
 * The cost of one picture depends on what fits on the screen and not on the size of the profile: in
 * each visible row a binary search finds the first box, and boxes thinner than `minWidthPx` are
 * joined into one sliver by searching for the first box that begins beyond it. Nothing that has
 * weight vanishes: a sliver covers exactly what it stands for.
 */
import type { Tree } from "./tree.ts";

/** The part of a tree that is looked at: values `[start, end)` by rows `[firstRow, lastRow]`. */
export interface Viewport {
  readonly start: number;
  readonly end: number;
  readonly firstRow: number;
  readonly lastRow: number;
  readonly widthPx: number;
  readonly minWidthPx: number;
}

/** Rectangles in row order, left to right; reused from picture to picture. */
export interface Boxes {
  count: number;
  /** The node drawn, and for a sliver the first of the run. */
  node: Int32Array;
  /** The last node of the run; equals `node` for a box that stands for itself. */
  last: Int32Array;
  /** Left edge and width in CSS pixels, clipped to the port. */
  x: Float64Array;
  width: Float64Array;
}

export function emptyBoxes(capacity = 4096): Boxes {
  return {
    count: 0,
    node: new Int32Array(capacity),
    last: new Int32Array(capacity),
    x: new Float64Array(capacity),
    width: new Float64Array(capacity),
  };
}

/** Fills `boxes` with what `port` shows of `tree` and returns it. */
export function layoutBoxes(tree: Tree, port: Viewport, boxes: Boxes): Boxes {
  boxes.count = 0;
  if (!(port.end > port.start)) return boxes;
  const lastRow = Math.min(port.lastRow, tree.rowCount - 1);
  for (let row = Math.max(0, port.firstRow); row <= lastRow; row++) {
    layoutRow(tree, row, port, boxes);
  }
  return boxes;
}

function layoutRow(tree: Tree, row: number, port: Viewport, boxes: Boxes): void {
  const pxPerValue = port.widthPx / (port.end - port.start);
  const minValue = port.minWidthPx / pxPerValue;
  const rowEnd = tree.rowStart[row + 1];
  let node = firstEndingAfter(tree, tree.rowStart[row], rowEnd, port.start);
  while (node < rowEnd && tree.start[node] < port.end) {
    const last =
      tree.total[node] >= minValue ? node : endOfSliver(tree, node, rowEnd, minValue, port.end);
    const left = Math.max(tree.start[node], port.start);
    const right = Math.min(tree.start[last] + tree.total[last], port.end);
    if (right > left) {
      push(boxes, node, last, (left - port.start) * pxPerValue, (right - left) * pxPerValue);
    }
    node = last + 1;
  }
}

/**
 * The last node that joins the sliver begun by `node`: its right-hand neighbours, whoever called
 * them, that begin within one minimal width of its left edge. A wide one among them ends the run.
 */
function endOfSliver(tree: Tree, node: number, rowEnd: number, minValue: number, windowEnd: number): number {
  const limit = Math.min(tree.start[node] + minValue, windowEnd);
  const last = firstStartingAt(tree, node + 1, rowEnd, limit) - 1;
  // Only the last one can be wide: a wide one pushes the next beyond the limit.
  return last > node && tree.total[last] >= minValue ? last - 1 : last;
}

/** Index of the first node in `[low, high)` whose right edge lies beyond `value`; `high` if none. */
function firstEndingAfter(tree: Tree, low: number, high: number, value: number): number {
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (tree.start[middle] + tree.total[middle] > value) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Index of the first node in `[low, high)` that begins at `value` or beyond; `high` if none. */
function firstStartingAt(tree: Tree, low: number, high: number, value: number): number {
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (tree.start[middle] >= value) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The node at a place, or -1. `value` is in the tree's unit, as `start` and `total` are. */
export function nodeAt(tree: Tree, row: number, value: number): number {
  if (row < 0 || row >= tree.rowCount || value < 0) return -1;
  const rowEnd = tree.rowStart[row + 1];
  const node = firstEndingAfter(tree, tree.rowStart[row], rowEnd, value);
  return node < rowEnd && tree.start[node] <= value ? node : -1;
}

function push(boxes: Boxes, node: number, last: number, x: number, width: number): void {
  if (boxes.count === boxes.node.length) grow(boxes);
  const at = boxes.count++;
  boxes.node[at] = node;
  boxes.last[at] = last;
  boxes.x[at] = x;
  boxes.width[at] = width;
}

function grow(boxes: Boxes): void {
  const bigger = emptyBoxes(boxes.node.length * 2);
  bigger.node.set(boxes.node);
  bigger.last.set(boxes.last);
  bigger.x.set(boxes.x);
  bigger.width.set(boxes.width);
  boxes.node = bigger.node;
  boxes.last = bigger.last;
  boxes.x = bigger.x;
  boxes.width = bigger.width;
}
