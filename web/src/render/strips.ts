/**
 * A row of boxes is a strip one pixel high, repeated. So a picture is filled by writing each row's
 * boxes once, as pixels, into a strip, and letting the browser stretch it: the cost of a frame is that
 * of the pixels of one line per row, however many boxes there are. Pure: pixels are numbers.
 */
import type { Boxes, Tree } from "../layout/index.ts";

export interface Strips {
  /** Device pixels of a row. */
  readonly width: number;
  /** The first row of the tree that has a strip, and how many have one. */
  readonly firstRow: number;
  readonly rows: number;
  /** One 32-bit colour per pixel, strips one after the other, in order of rows. */
  readonly pixels: Uint32Array;
}

/** Fills `pixels` (at least rows × width) with the boxes; `colourOf(i)` is the colour of box `i`. */
export function fillStrips(
  tree: Tree,
  boxes: Boxes,
  pixelRatio: number,
  strips: Strips,
  background: number,
  colourOf: (i: number) => number,
): void {
  const { width, firstRow, rows, pixels } = strips;
  pixels.fill(background, 0, rows * width);
  const gapPx = Math.max(1, Math.round(pixelRatio));
  for (let i = 0; i < boxes.count; i++) {
    const strip = tree.row[boxes.node[i]] - firstRow;
    if (strip < 0 || strip >= rows) continue;
    // Edges are whole device pixels, and one is left free at the right of what is wide enough.
    const left = Math.min(width - 1, Math.round(boxes.x[i] * pixelRatio));
    const right = Math.min(width, Math.round((boxes.x[i] + boxes.width[i]) * pixelRatio));
    const gap = right - left > 2 * gapPx ? gapPx : 0;
    const from = strip * width + left;
    pixels.fill(colourOf(i), from, Math.max(from + 1, strip * width + right - gap));
  }
}
