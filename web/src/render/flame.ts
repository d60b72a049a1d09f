/**
 * Draws a flame graph onto a 2D canvas. It knows no DOM beyond the canvases it is given and keeps no
 * view state: a `Scene` says what is seen, `draw` shows it and answers what it drew, so the caller can
 * describe the picture to those who cannot see it.
 */
import { anyMatch, type Boxes, emptyBoxes, Kind, layoutBoxes, rowAt, rowTop } from "../layout/index.ts";
import { FillCache, LabelCache } from "./caches.ts";
import { css, PALETTES, type Palette, pixel, type Rgb } from "./colour.ts";
import { fitCanvas, ROW_HEIGHT_PX, rowsOf, type Scene } from "./scene.ts";
import { fillStrips } from "./strips.ts";
import { createRuler } from "./text.ts";

const FONT_SIZE_PX = 12;
const FONT = `${FONT_SIZE_PX}px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif`;
const BOLD_FONT = `600 ${FONT}`;
const PADDING_PX = 4;
/** Boxes thinner than this are joined; labels need at least `MIN_LABEL_PX`. */
const MIN_BOX_PX = 0.75;
const MIN_LABEL_PX = 22;
const MIN_HATCH_PX = 3;

/** What a picture consists of; `picture` is equal exactly when the same boxes lie in the same places. */
export interface Drawn {
  readonly boxes: number;
  readonly labels: number;
  readonly picture: string;
}

export interface FlamePainter {
  draw(scene: Scene): Drawn;
}

export function createFlamePainter(canvas: HTMLCanvasElement): FlamePainter {
  const context = canvas.getContext("2d", { alpha: false });
  if (!context) throw new Error("this browser offers no 2D canvas");
  const painter = {
    context,
    sheet: createSheet(),
    boxes: emptyBoxes(),
    fills: new FillCache(),
    labels: new LabelCache({ plain: createRuler(context, FONT), bold: createRuler(context, BOLD_FONT) }),
  };
  return {
    draw(scene) {
      fitCanvas(canvas, scene);
      const [firstRow, lastRow] = rowsSeen(scene);
      const { span, widthPx } = scene;
      layoutBoxes(scene.tree, { ...span, firstRow, lastRow, widthPx, minWidthPx: MIN_BOX_PX }, painter.boxes);
      painter.fills.use(scene);
      painter.labels.use(scene.tree);
      paintBoxes(painter, scene, firstRow, lastRow);
      return paintLabels(painter, scene);
    },
  };
}

type Painter = PainterParts;

/** The first and the last row of the tree that can be seen. */
function rowsSeen(scene: Scene): [number, number] {
  const rows = rowsOf(scene);
  const edges = [rowAt(rows, scene.scrollPx), rowAt(rows, scene.scrollPx + scene.heightPx - 1)];
  return [Math.max(0, Math.min(...edges)), Math.min(scene.tree.rowCount - 1, Math.max(...edges))];
}

/** A canvas of one line per row, which is stretched over the picture. */
function createSheet() {
  const canvas = new OffscreenCanvas(1, 1);
  const context = canvas.getContext("2d", { alpha: false });
  if (!context) throw new Error("this browser offers no 2D canvas");
  return { canvas, context, image: new ImageData(1, 1), pixels: new Uint32Array(1) };
}

function resizeSheet(sheet: ReturnType<typeof createSheet>, width: number, rows: number): void {
  if (sheet.canvas.width === width && sheet.canvas.height >= rows) return;
  const height = Math.max(rows, 64);
  sheet.canvas.width = width;
  sheet.canvas.height = height;
  sheet.image = new ImageData(width, height);
  sheet.pixels = new Uint32Array(sheet.image.data.buffer);
}

interface PainterParts {
  readonly context: CanvasRenderingContext2D;
  readonly sheet: ReturnType<typeof createSheet>;
  readonly boxes: Boxes;
  readonly fills: FillCache;
  readonly labels: LabelCache;
}

function paintBoxes(painter: PainterParts, scene: Scene, firstRow: number, lastRow: number): void {
  const { context, sheet, boxes, fills } = painter;
  const { tree, pixelRatio, matches } = scene;
  const palette = PALETTES[scene.theme];
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = css(palette.background);
  context.fillRect(0, 0, context.canvas.width, context.canvas.height);
  const rows = lastRow - firstRow + 1;
  if (rows <= 0) return;
  const width = context.canvas.width;
  resizeSheet(sheet, width, rows);
  const match = pixel(palette.match);
  fillStrips(tree, boxes, pixelRatio, { width, firstRow, rows, pixels: sheet.pixels }, pixel(palette.background), (i) => {
    if (matches !== null && anyMatch(matches, boxes.node[i], boxes.last[i])) return match;
    return fills.pixel(boxes.node[i], isMuted(scene, boxes.node[i], false));
  });
  sheet.context.putImageData(sheet.image, 0, 0, 0, 0, width, rows);
  context.imageSmoothingEnabled = false;
  const layout = rowsOf(scene);
  const height = Math.round((ROW_HEIGHT_PX - 1) * pixelRatio);
  for (let strip = 0; strip < rows; strip++) {
    const y = Math.round((rowTop(layout, firstRow + strip) - scene.scrollPx) * pixelRatio);
    context.drawImage(sheet.canvas, 0, strip, width, 1, 0, y, width, height);
  }
}

/** A search is about functions; what they are grouped by stays readable meanwhile. */
function isMuted(scene: Scene, node: number, matched: boolean): boolean {
  const { tree } = scene;
  return (scene.matches !== null && !matched && tree.kind[node] !== Kind.Label) || tree.row[node] < tree.row[scene.zoom];
}

function paintLabels(painter: Painter, scene: Scene): Drawn {
  const { context, boxes, labels } = painter;
  const { tree, matches, pixelRatio } = scene;
  const palette = PALETTES[scene.theme];
  const layout = rowsOf(scene);
  context.setTransform(pixelRatio, 0, 0, pixelRatio, 0, 0);
  context.textBaseline = "middle";
  context.direction = "ltr";
  let bold = false;
  let colour: Rgb | null = null;
  context.font = FONT;
  let count = 0;
  let picture = 0;
  for (let i = 0; i < boxes.count; i++) {
    const node = boxes.node[i];
    const width = boxes.width[i];
    picture = mixPicture(picture, labels.nameHash(node), tree.row[node], boxes, i);
    if (boxes.last[i] !== node || width < MIN_HATCH_PX) continue;
    const matched = matches !== null && anyMatch(matches, node, node);
    const y = rowTop(layout, tree.row[node]) - scene.scrollPx;
    if (tree.kind[node] === Kind.Other && !matched) hatch(context, boxes.x[i], y, width, palette.mutedText);
    if (width < MIN_LABEL_PX) continue;
    const label = labels.label(node, width - 2 * PADDING_PX);
    if (label === "") continue;
    const isLabel = tree.kind[node] === Kind.Label;
    if (isLabel !== bold) {
      bold = isLabel;
      context.font = bold ? BOLD_FONT : FONT;
    }
    const wanted = textColour(palette, matched, isMuted(scene, node, matched), isLabel);
    if (wanted !== colour) {
      colour = wanted;
      context.fillStyle = css(colour);
    }
    context.fillText(label, boxes.x[i] + PADDING_PX, y + ROW_HEIGHT_PX / 2);
    count++;
  }
  return { boxes: boxes.count, labels: count, picture: (picture >>> 0).toString(16) };
}

function hatch(context: CanvasRenderingContext2D, x: number, y: number, width: number, colour: Rgb): void {
  const height = ROW_HEIGHT_PX - 1;
  context.save();
  context.beginPath();
  context.rect(x, y, width - 1, height);
  context.clip();
  context.beginPath();
  for (let at = x - height; at < x + width; at += 7) {
    context.moveTo(at, y + height);
    context.lineTo(at + height, y);
  }
  context.strokeStyle = css(colour, 0.35);
  context.lineWidth = 1;
  context.stroke();
  context.restore();
}

function textColour(palette: Palette, matched: boolean, muted: boolean, isLabel: boolean): Rgb {
  if (muted) return isLabel ? palette.text : palette.mutedText;
  if (matched) return palette.matchText;
  return isLabel ? palette.labelText : palette.text;
}

/** Names and places, to half a pixel: equal for the same boxes in a window of the same size. */
function mixPicture(picture: number, nameHash: number, row: number, boxes: Boxes, i: number): number {
  const place = row * 31 + Math.round(boxes.x[i] * 2) + Math.round(boxes.width[i] * 2) * 7;
  return Math.imul(picture ^ (place + nameHash), 0x01000193) | 0;
}
