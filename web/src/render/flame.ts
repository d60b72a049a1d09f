/**
 * Draws an icicle flame graph onto a 2D canvas. It knows no DOM beyond the canvases it is given and
 * keeps no view state: a `Scene` says what is seen, `draw` shows it and answers what it drew, so the
 * caller can describe the picture to those who cannot see it. What follows the mouse (the outlines of
 * the hovered and the selected box) is drawn onto a second canvas above it, so that a moving mouse
 * costs two rectangles and not a picture.
 */
import {
  anyMatch,
  type Boxes,
  displayName,
  emptyBoxes,
  fitLabel,
  hashText,
  Kind,
  layoutBoxes,
  type Matches,
  type Span,
  type Tree,
} from "../layout/index.ts";
import { css, frameColour, PALETTES, type Palette, type Rgb, type Theme } from "./colour.ts";
import { createRuler, type TextRuler } from "./text.ts";

export const ROW_HEIGHT_PX = 20;
const FONT_SIZE_PX = 12;
const FONT = `${FONT_SIZE_PX}px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif`;
const PADDING_PX = 4;
/** Boxes thinner than this are joined; labels need at least `MIN_LABEL_PX`. */
const MIN_BOX_PX = 0.75;
const MIN_LABEL_PX = 22;
const BOLD_FONT = `600 ${FONT}`;
const MAX_CACHED_LABELS = 20_000;

export interface Scene {
  readonly tree: Tree;
  readonly span: Span;
  /** The zoomed node: its ancestors are drawn muted. */
  readonly zoom: number;
  readonly matches: Matches | null;
  readonly theme: Theme;
  /** Fills of label boxes by their name; one that is not in it has the colour of the rest. */
  readonly labelColours: ReadonlyMap<string, Rgb>;
  readonly widthPx: number;
  readonly heightPx: number;
  readonly scrollPx: number;
  readonly pixelRatio: number;
}

/** What a picture consists of; `picture` is equal exactly when the same boxes lie in the same places. */
export interface Drawn {
  readonly boxes: number;
  readonly labels: number;
  readonly picture: string;
}

export interface FlamePainter {
  draw(scene: Scene): Drawn;
}

/** -1 for none. */
export interface Marks {
  readonly hovered: number;
  readonly selected: number;
}

export interface MarkPainter {
  draw(scene: Scene, marks: Marks): void;
}

export function createFlamePainter(canvas: HTMLCanvasElement): FlamePainter {
  const context = canvas.getContext("2d", { alpha: false });
  if (!context) throw new Error("this browser offers no 2D canvas");
  const rulers = { plain: createRuler(context, FONT), bold: createRuler(context, BOLD_FONT) };
  const boxes = emptyBoxes();
  const styles = new StyleCache();
  const labels = new LabelCache(rulers);
  return {
    draw(scene) {
      fitCanvas(canvas, scene);
      layoutBoxes(scene.tree, windowOf(scene), boxes);
      styles.use(scene.tree, scene.theme, scene.labelColours);
      labels.use(scene.tree);
      return paint(context, scene, boxes, styles, labels);
    },
  };
}

/** Paints over the picture on a canvas of its own, and wipes only what it painted before. */
export function createMarkPainter(canvas: HTMLCanvasElement): MarkPainter {
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser offers no 2D canvas");
  let painted: Box[] = [];
  return {
    draw(scene, { hovered, selected }) {
      fitCanvas(canvas, scene);
      context.setTransform(scene.pixelRatio, 0, 0, scene.pixelRatio, 0, 0);
      for (const box of painted) context.clearRect(box.x - 2, box.y - 2, box.width + 4, box.height + 4);
      painted = [];
      const mark = (node: number, lineWidth: number) => {
        const box = placeNode(scene, node);
        if (!box) return;
        painted.push(box);
        context.strokeStyle = css(PALETTES[scene.theme].outline);
        context.lineWidth = lineWidth;
        const inset = lineWidth / 2;
        context.strokeRect(box.x + inset, box.y + inset, Math.max(1, box.width - lineWidth), box.height - lineWidth);
      };
      mark(selected, 2);
      if (hovered !== selected) mark(hovered, 1);
    },
  };
}

/** Where a node lies, as far as it can be seen. */
function placeNode(scene: Scene, node: number): Box | null {
  const { tree, span, widthPx } = scene;
  if (node < 0 || node >= tree.count) return null;
  const scale = widthPx / (span.end - span.start);
  const left = Math.max(0, (tree.start[node] - span.start) * scale);
  const right = Math.min(widthPx, (tree.start[node] + tree.total[node] - span.start) * scale);
  if (right < left) return null;
  return { x: left, y: tree.row[node] * ROW_HEIGHT_PX - scene.scrollPx, width: right - left, height: ROW_HEIGHT_PX - 1 };
}

function fitCanvas(canvas: HTMLCanvasElement, scene: Scene): void {
  const width = Math.max(1, Math.round(scene.widthPx * scene.pixelRatio));
  const height = Math.max(1, Math.round(scene.heightPx * scene.pixelRatio));
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}

function windowOf(scene: Scene) {
  return {
    start: scene.span.start,
    end: scene.span.end,
    firstRow: Math.floor(scene.scrollPx / ROW_HEIGHT_PX),
    lastRow: Math.floor((scene.scrollPx + scene.heightPx - 1) / ROW_HEIGHT_PX),
    widthPx: scene.widthPx,
    minWidthPx: MIN_BOX_PX,
  };
}

function paint(
  context: CanvasRenderingContext2D,
  scene: Scene,
  boxes: Boxes,
  styles: StyleCache,
  labels: LabelCache,
): Drawn {
  const palette = PALETTES[scene.theme];
  const { pixelRatio, tree } = scene;
  context.setTransform(pixelRatio, 0, 0, pixelRatio, 0, 0);
  context.fillStyle = css(palette.background);
  context.fillRect(0, 0, scene.widthPx, scene.heightPx);
  context.font = FONT;
  context.textBaseline = "middle";
  context.direction = "ltr";

  const zoomRow = tree.row[scene.zoom];
  let labelCount = 0;
  let picture = 0;
  for (let i = 0; i < boxes.count; i++) {
    const node = boxes.node[i];
    const box = placeBox(scene, boxes, i);
    const isSliver = boxes.last[i] !== node;
    const matched = scene.matches !== null && anyMatch(scene.matches, node, boxes.last[i]);
    const isLabel = tree.kind[node] === Kind.Label;
    // A search is about functions; what they are grouped by stays readable meanwhile.
    const dimmed = (scene.matches !== null && !matched && !isLabel) || tree.row[node] < zoomRow;
    fillBox(context, box, styles.fill(node), {
      alpha: dimmed ? 0.38 : 1,
      match: matched ? palette.match : null,
      hatch: !isSliver && tree.kind[node] === Kind.Other ? palette.mutedText : null,
    });
    if (!isSliver && box.width >= MIN_LABEL_PX) {
      const label = labels.label(node, box.width - 2 * PADDING_PX);
      if (label !== "") {
        if (isLabel) context.font = BOLD_FONT;
        context.fillStyle = css(textColour(palette, matched, dimmed, isLabel));
        context.fillText(label, box.x + PADDING_PX, box.y + box.height / 2 + 0.5);
        if (isLabel) context.font = FONT;
        labelCount++;
      }
    }
    picture = mixPicture(picture, labels.nameHash(node), tree.row[node], boxes, i);
  }
  return { boxes: boxes.count, labels: labelCount, picture: (picture >>> 0).toString(16) };
}

interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Edges are snapped to device pixels and one pixel is left free at the right and below. */
function placeBox(scene: Scene, boxes: Boxes, i: number): Box {
  const ratio = scene.pixelRatio;
  const snap = (px: number) => Math.round(px * ratio) / ratio;
  const left = snap(boxes.x[i]);
  const right = snap(boxes.x[i] + boxes.width[i]);
  const gap = right - left > 2 ? 1 / Math.max(1, Math.round(ratio)) : 0;
  const y = snap(scene.tree.row[boxes.node[i]] * ROW_HEIGHT_PX - scene.scrollPx);
  return { x: left, y, width: Math.max(1 / ratio, right - left - gap), height: ROW_HEIGHT_PX - 1 };
}

interface Fill {
  readonly alpha: number;
  readonly match: Rgb | null;
  readonly hatch: Rgb | null;
}

function fillBox(context: CanvasRenderingContext2D, box: Box, style: string, fill: Fill): void {
  context.globalAlpha = fill.alpha;
  context.fillStyle = fill.match ? css(fill.match) : style;
  context.fillRect(box.x, box.y, box.width, box.height);
  if (fill.hatch && !fill.match && box.width > 3) hatch(context, box, fill.hatch);
  context.globalAlpha = 1;
}

function hatch(context: CanvasRenderingContext2D, box: Box, colour: Rgb): void {
  context.save();
  context.beginPath();
  context.rect(box.x, box.y, box.width, box.height);
  context.clip();
  context.beginPath();
  for (let x = box.x - box.height; x < box.x + box.width; x += 7) {
    context.moveTo(x, box.y + box.height);
    context.lineTo(x + box.height, box.y);
  }
  context.strokeStyle = css(colour, 0.35);
  context.lineWidth = 1;
  context.stroke();
  context.restore();
}

function textColour(palette: Palette, matched: boolean, dimmed: boolean, isLabel: boolean): Rgb {
  if (dimmed) return isLabel ? palette.text : palette.mutedText;
  if (matched) return palette.matchText;
  return isLabel ? palette.labelText : palette.text;
}

/** Names and places, to half a pixel: equal for the same boxes in a window of the same size. */
function mixPicture(picture: number, nameHash: number, row: number, boxes: Boxes, i: number): number {
  const place = row * 31 + Math.round(boxes.x[i] * 2) + Math.round(boxes.width[i] * 2) * 7;
  return Math.imul(picture ^ (place + nameHash), 0x01000193) | 0;
}

/** Fill per (module, kind, name), computed once per tree and theme. */
class StyleCache {
  #tree: Tree | null = null;
  #theme: Theme = "light";
  #labelColours: ReadonlyMap<string, Rgb> = new Map();
  readonly #fills = new Map<number, string>();

  use(tree: Tree, theme: Theme, labelColours: ReadonlyMap<string, Rgb>): void {
    if (tree === this.#tree && theme === this.#theme && labelColours === this.#labelColours) return;
    this.#tree = tree;
    this.#theme = theme;
    this.#labelColours = labelColours;
    this.#fills.clear();
  }

  fill(node: number): string {
    const tree = this.#tree as Tree;
    const key = (tree.name[node] * tree.modules.length + tree.module[node]) * 8 + tree.kind[node];
    let fill = this.#fills.get(key);
    if (fill === undefined) {
      const module = tree.modules[tree.module[node]];
      const name = tree.names[tree.name[node]];
      const label = tree.kind[node] === Kind.Label ? this.#labelColours.get(name) : undefined;
      fill = css(label ?? frameColour(this.#theme, tree.kind[node], module, name));
      this.#fills.set(key, fill);
    }
    return fill;
  }
}

interface Rulers {
  readonly plain: TextRuler;
  readonly bold: TextRuler;
}

/** Fitted labels per (name, whole pixels of width). */
class LabelCache {
  #tree: Tree | null = null;
  readonly #rulers: Rulers;
  readonly #labels = new Map<number, string>();
  readonly #names = new Map<number, string>();
  readonly #hashes = new Map<number, number>();

  constructor(rulers: Rulers) {
    this.#rulers = rulers;
  }

  use(tree: Tree): void {
    if (tree === this.#tree) return;
    this.#tree = tree;
    this.#labels.clear();
    this.#names.clear();
    this.#hashes.clear();
  }

  nameHash(node: number): number {
    const tree = this.#tree as Tree;
    const name = tree.name[node];
    let hash = this.#hashes.get(name);
    if (hash === undefined) {
      hash = hashText(tree.names[name]);
      this.#hashes.set(name, hash);
    }
    return hash;
  }

  label(node: number, widthPx: number): string {
    const tree = this.#tree as Tree;
    const name = tree.name[node];
    const width = Math.min(Math.floor(widthPx), 8191);
    const isBold = tree.kind[node] === Kind.Label;
    const key = (name * 2 + (isBold ? 1 : 0)) * 8192 + width;
    let label = this.#labels.get(key);
    if (label === undefined) {
      if (this.#labels.size >= MAX_CACHED_LABELS) this.#labels.clear();
      const ruler = isBold ? this.#rulers.bold : this.#rulers.plain;
      label = fitLabel(this.#displayed(name), width, (text) => ruler.measure(text));
      this.#labels.set(key, label);
    }
    return label;
  }

  #displayed(name: number): string {
    let shown = this.#names.get(name);
    if (shown === undefined) {
      shown = displayName((this.#tree as Tree).names[name]);
      this.#names.set(name, shown);
    }
    return shown;
  }
}
