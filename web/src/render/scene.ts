/** What a picture is made from, and where in it things lie. */
import { type Matches, type Rows, rowTop, type Span, type Tree } from "../layout/index.ts";
import type { Rgb, Theme } from "./colour.ts";

export const ROW_HEIGHT_PX = 20;

/** What colours mean: the module, the group that a frame lies in, or how much it changed. */
export type ColourBy = "module" | "group" | "change";

export interface Scene {
  readonly tree: Tree;
  readonly span: Span;
  /** The zoomed node: its ancestors are drawn muted. */
  readonly zoom: number;
  readonly matches: Matches | null;
  readonly theme: Theme;
  readonly colourBy: ColourBy;
  /** Fills of label boxes by their name; one that is not in it has the colour of the rest. */
  readonly labelColours: ReadonlyMap<string, Rgb>;
  /** Per node from -1 (less) to 1 (more), NaN for no significant change; null where nothing is compared. */
  readonly change: Float32Array | null;
  readonly flip: boolean;
  readonly widthPx: number;
  readonly heightPx: number;
  readonly scrollPx: number;
  readonly pixelRatio: number;
}

/** The height that the rows of a tree take, at least that of the window. */
export function contentHeight(rowCount: number, heightPx: number): number {
  return Math.max(rowCount * ROW_HEIGHT_PX + 8, heightPx);
}

export function rowsOf(scene: Pick<Scene, "tree" | "heightPx" | "flip">): Rows {
  return {
    rowCount: scene.tree.rowCount,
    rowPx: ROW_HEIGHT_PX,
    heightPx: contentHeight(scene.tree.rowCount, scene.heightPx),
    flip: scene.flip,
  };
}

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Where a node lies on the canvas, as far as it can be seen. */
export function placeNode(scene: Scene, node: number): Box | null {
  const { tree, span, widthPx } = scene;
  if (node < 0 || node >= tree.count) return null;
  const scale = widthPx / (span.end - span.start);
  const left = Math.max(0, (tree.start[node] - span.start) * scale);
  const right = Math.min(widthPx, (tree.start[node] + tree.total[node] - span.start) * scale);
  if (right < left) return null;
  const y = rowTop(rowsOf(scene), tree.row[node]) - scene.scrollPx;
  return { x: left, y, width: right - left, height: ROW_HEIGHT_PX - 1 };
}

export function fitCanvas(canvas: HTMLCanvasElement, scene: Scene): void {
  const width = Math.max(1, Math.round(scene.widthPx * scene.pixelRatio));
  const height = Math.max(1, Math.round(scene.heightPx * scene.pixelRatio));
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}
