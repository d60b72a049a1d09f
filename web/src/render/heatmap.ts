/** Paints a heatmap: cells, what is selected, and the scales along two sides. */
import { type CellRange, fullness, type HeatArea, type HeatGrid, pooled, rangeBlocks } from "../layout/index.ts";
import { css, heatColour, PALETTES, type Theme } from "./colour.ts";

/** Room for the scales, in CSS pixels. */
export const HEAT_MARGIN = { left: 46, top: 6, right: 10, bottom: 20 } as const;
/** Between two times of the scale, at least. */
const TICK_SPACE_PX = 90;
/** What is drawn of a cell that the keyboard stands on, at least. */
const MIN_MARK_PX = 3;

export interface HeatPicture {
  readonly grid: HeatGrid;
  readonly selected: CellRange | null;
  /** The cell that the keyboard stands on; null while it does not. */
  readonly cursor: number | null;
  readonly theme: Theme;
  readonly clock: (ms: number) => string;
}

/** Where the cells are on a canvas of so many CSS pixels. */
export function heatArea(width: number, height: number): HeatArea {
  const { left, top, right, bottom } = HEAT_MARGIN;
  return { left, top, width: Math.max(1, width - left - right), height: Math.max(1, height - top - bottom) };
}

/** `context` is scaled to CSS pixels; `scale` is how many of the canvas's pixels one of them is. */
export function paintHeatmap(context: CanvasRenderingContext2D, width: number, height: number, scale: number, picture: HeatPicture): void {
  const { grid, selected, cursor, theme } = picture;
  const area = heatArea(width, height);
  context.fillStyle = css(PALETTES[theme].background);
  context.fillRect(0, 0, width, height);
  paintCells(context, area, scale, picture);
  paintScales(context, area, picture);
  context.strokeStyle = css(PALETTES[theme].mutedText, 0.5);
  context.lineWidth = 1;
  context.strokeRect(area.left - 0.5, area.top - 0.5, area.width + 1, area.height + 1);
  if (selected) paintSelection(context, area, grid, selected, theme);
  if (cursor !== null) mark(context, rangeBlocks(grid, area, { first: cursor, last: cursor })[0], theme);
}

function paintCells(context: CanvasRenderingContext2D, area: HeatArea, scale: number, { grid, theme }: HeatPicture): void {
  const { columns, counts } = pooled(grid, Math.max(1, Math.floor(area.width * scale)));
  // A colour for each of a few steps: more are not told apart, and each costs a conversion.
  const steps = Array.from({ length: 65 }, (_, i) => css(heatColour(theme, i / 64)));
  const x = (column: number) => snap(area.left + (column * area.width) / columns, scale);
  const y = (row: number) => snap(area.top + (row * area.height) / grid.rows, scale);
  for (let cell = 0; cell < counts.length; cell++) {
    const count = counts[cell];
    if (count === 0) continue;
    const [column, row] = [Math.floor(cell / grid.rows), cell % grid.rows];
    context.fillStyle = steps[Math.max(1, Math.round(fullness(grid, count) * 64))];
    context.fillRect(x(column), y(row), x(column + 1) - x(column), y(row + 1) - y(row));
  }
}

/** Edges on whole pixels of the canvas, so that cells meet without a seam. */
function snap(place: number, scale: number): number {
  return Math.round(place * scale) / scale;
}

function paintScales(context: CanvasRenderingContext2D, area: HeatArea, { grid, theme, clock }: HeatPicture): void {
  context.font = "11px system-ui, sans-serif";
  context.fillStyle = css(PALETTES[theme].mutedText);
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const part of [0, 0.5, 1]) {
    const ms = grid.column_ms * part;
    const text = ms === 0 ? "0" : ms < 1000 ? `${ms} ms` : `${(ms / 1000).toLocaleString("en")} s`;
    context.fillText(text, area.left - 4, Math.max(area.top + 5, area.top + part * area.height - (part === 1 ? 4 : 0)));
  }
  context.textBaseline = "top";
  context.textAlign = "left";
  const ticks = Math.max(1, Math.floor(area.width / TICK_SPACE_PX));
  for (let column = 0; column < grid.columns; column += Math.ceil(grid.columns / ticks)) {
    context.fillText(clock(grid.from_ms + column * grid.column_ms), area.left + (column * area.width) / grid.columns, area.top + area.height + 5);
  }
}

function paintSelection(context: CanvasRenderingContext2D, area: HeatArea, grid: HeatGrid, selected: CellRange, theme: Theme): void {
  const blocks = rangeBlocks(grid, area, selected);
  context.save();
  context.beginPath();
  context.rect(area.left, area.top, area.width, area.height);
  for (const { left, top, width, height } of blocks) context.rect(left, top, width, height);
  context.fillStyle = css(PALETTES[theme].background, 0.55);
  context.fill("evenodd");
  context.restore();
  for (const block of blocks) mark(context, block, theme);
}

function mark(context: CanvasRenderingContext2D, { left, top, width, height }: HeatArea, theme: Theme): void {
  const [wider, taller] = [Math.max(0, MIN_MARK_PX - width), Math.max(0, MIN_MARK_PX - height)];
  context.strokeStyle = css(PALETTES[theme].match);
  context.lineWidth = 1.5;
  context.strokeRect(left - wider / 2, top - taller / 2, width + wider, height + taller);
}
