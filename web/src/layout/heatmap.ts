/**
 * Where the cells of a heatmap are. Columns are stretches of time, rows equal parts of each, and the cells
 * of one column follow those of the one before: the number of a cell is its place in time, so that a
 * selection from one cell to another is one stretch of time. Pure.
 */

/** What the server answers: samples of each cell, column after column. */
export interface HeatGrid {
  readonly from_ms: number;
  /** Whole seconds. */
  readonly column_ms: number;
  readonly columns: number;
  readonly rows: number;
  readonly max: number;
  readonly counts: readonly number[];
}

/** Where the cells are drawn, in pixels. */
export interface HeatArea {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** From one cell to another, both included. */
export interface CellRange {
  readonly first: number;
  readonly last: number;
}

const US_PER_S = 1_000_000;

/** Microseconds since 1970 at which a cell begins: a whole number, far below 2^53. */
export function cellStartUs(grid: HeatGrid, cell: number): number {
  return grid.from_ms * 1000 + Math.round((cell * grid.column_ms * 1000) / grid.rows);
}

/** The cell at a place; the nearest one where it lies outside. */
export function cellAt(grid: HeatGrid, area: HeatArea, x: number, y: number): number {
  const column = clamp(Math.floor(((x - area.left) / area.width) * grid.columns), grid.columns);
  const row = clamp(Math.floor(((y - area.top) / area.height) * grid.rows), grid.rows);
  return column * grid.rows + row;
}

/** The place of the cells `first` to `last`, which stand in one column. */
function strip(grid: HeatGrid, area: HeatArea, first: number, last: number): HeatArea {
  const column = Math.floor(first / grid.rows);
  return block(grid, area, column, column, first % grid.rows, last % grid.rows);
}

function block(grid: HeatGrid, area: HeatArea, firstColumn: number, lastColumn: number, firstRow: number, lastRow: number): HeatArea {
  const x = (column: number) => area.left + (column * area.width) / grid.columns;
  const y = (row: number) => area.top + (row * area.height) / grid.rows;
  return { left: x(firstColumn), top: y(firstRow), width: x(lastColumn + 1) - x(firstColumn), height: y(lastRow + 1) - y(firstRow) };
}

/** What covers a stretch of cells and nothing else: the rest of its first column, whole columns, the start of its last. */
export function rangeBlocks(grid: HeatGrid, area: HeatArea, { first, last }: CellRange): HeatArea[] {
  const { rows } = grid;
  const [a, b] = [Math.floor(first / rows), Math.floor(last / rows)];
  if (a === b) return [strip(grid, area, first, last)];
  const wholeFrom = first % rows === 0 ? a : a + 1;
  const wholeTo = last % rows === rows - 1 ? b : b - 1;
  const blocks: HeatArea[] = [];
  if (wholeFrom > a) blocks.push(strip(grid, area, first, a * rows + rows - 1));
  if (wholeFrom <= wholeTo) blocks.push(block(grid, area, wholeFrom, wholeTo, 0, rows - 1));
  if (wholeTo < b) blocks.push(strip(grid, area, b * rows, last));
  return blocks;
}

/** As the server takes it: Unix seconds, exact to the microsecond. */
export function sliceOf(grid: HeatGrid, { first, last }: CellRange): string {
  return `${seconds(cellStartUs(grid, first))}..${seconds(cellStartUs(grid, last + 1))}`;
}

function seconds(us: number): string {
  const rest = String(us % US_PER_S).padStart(6, "0").replace(/0+$/, "");
  return `${Math.floor(us / US_PER_S)}${rest === "" ? "" : `.${rest}`}`;
}

/** Begin and end of a slice in microseconds since 1970; null where the text is none. */
export function sliceUs(slice: string): readonly [number, number] | null {
  const found = /^(\d{1,10})(?:\.(\d{1,6}))?\.\.(\d{1,10})(?:\.(\d{1,6}))?$/.exec(slice);
  if (!found) return null;
  const us = (whole: string, rest = "") => Number(whole) * US_PER_S + Number(rest.padEnd(6, "0"));
  const [from, until] = [us(found[1], found[2]), us(found[3], found[4])];
  return from < until ? [from, until] : null;
}

/** The cells that a slice touches; null where it touches none of this grid. */
export function cellsOf(grid: HeatGrid, slice: string): CellRange | null {
  const times = sliceUs(slice);
  if (!times) return null;
  const place = (us: number) => ((us - grid.from_ms * 1000) * grid.rows) / (grid.column_ms * 1000);
  // A cell may begin between two microseconds.
  const first = Math.floor(place(times[0]) + 1e-3);
  const last = Math.ceil(place(times[1]) - 1e-3) - 1;
  const count = grid.columns * grid.rows;
  if (last < 0 || first >= count || last < first) return null;
  return { first: Math.max(0, first), last: Math.min(count - 1, last) };
}

/** Samples of the cells of a stretch. */
export function samplesIn(grid: HeatGrid, { first, last }: CellRange): number {
  let sum = 0;
  for (let cell = first; cell <= last; cell++) sum += grid.counts[cell];
  return sum;
}

/** The grid with so few columns that each has a pixel; of those that fall together a cell shows the fullest. */
export function pooled(grid: HeatGrid, maxColumns: number): { readonly columns: number; readonly counts: readonly number[] } {
  const columns = Math.max(1, Math.min(grid.columns, maxColumns));
  if (columns === grid.columns) return { columns, counts: grid.counts };
  const counts = Array.from({ length: columns * grid.rows }, () => 0);
  for (let cell = 0; cell < grid.counts.length; cell++) {
    const column = Math.floor((Math.floor(cell / grid.rows) * columns) / grid.columns);
    const at = column * grid.rows + (cell % grid.rows);
    counts[at] = Math.max(counts[at], grid.counts[cell]);
  }
  return { columns, counts };
}

/** Samples of each row over all columns. */
export function rowSums(grid: HeatGrid): number[] {
  const sums = Array.from({ length: grid.rows }, () => 0);
  for (let cell = 0; cell < grid.counts.length; cell++) sums[cell % grid.rows] += grid.counts[cell];
  return sums;
}

/** How full a cell is, from 0 to 1. A root, because one crowded moment must not hide all others. */
export function fullness(grid: HeatGrid, count: number): number {
  return count <= 0 || grid.max <= 0 ? 0 : Math.sqrt(count / grid.max);
}

/** The cell that an arrow leads to; time does not stop at the end of a column. */
export function moved(grid: HeatGrid, cell: number, key: string): number {
  const step = { ArrowLeft: -grid.rows, ArrowRight: grid.rows, ArrowUp: -1, ArrowDown: 1 }[key] ?? 0;
  const next = cell + step;
  return next < 0 || next >= grid.columns * grid.rows ? cell : next;
}

function clamp(value: number, count: number): number {
  return Math.min(count - 1, Math.max(0, value));
}
