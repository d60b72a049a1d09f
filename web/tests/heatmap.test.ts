/** Places, times and selections of heatmap cells. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cellAt, cellsOf, cellStartUs, type HeatArea, type HeatGrid, moved, pooled, rangeBlocks, rowSums, samplesIn, sliceOf, sliceUs } from "../src/layout/index.ts";

const grids = fc
  .record({ columns: fc.integer({ min: 1, max: 90 }), rows: fc.integer({ min: 1, max: 60 }), seconds: fc.integer({ min: 1, max: 7 }), from: fc.integer({ min: 0, max: 200_000_000 }) })
  .chain(({ columns, rows, seconds, from }) =>
    fc.array(fc.integer({ min: 0, max: 40 }), { minLength: columns * rows, maxLength: columns * rows }).map(
      (counts): HeatGrid => ({ from_ms: from * 10_000, column_ms: seconds * 1000, columns, rows, max: Math.max(...counts), counts }),
    ),
  );
const areas = fc.record({ left: fc.integer({ min: 0, max: 60 }), top: fc.integer({ min: 0, max: 20 }), width: fc.integer({ min: 200, max: 2000 }), height: fc.integer({ min: 100, max: 400 }) });

const withRange = grids.chain((grid) => {
  const cell = fc.integer({ min: 0, max: grid.counts.length - 1 });
  return fc.tuple(fc.constant(grid), cell, cell).map(([of, a, b]) => ({ grid: of, range: { first: Math.min(a, b), last: Math.max(a, b) } }));
});

const size = ({ width, height }: HeatArea) => width * height;

describe("a stretch of cells", () => {
  it("is a stretch of time, and back", () => {
    fc.assert(
      fc.property(withRange, ({ grid, range }) => {
        const slice = sliceOf(grid, range);
        expect(cellsOf(grid, slice)).toEqual(range);
        expect(sliceUs(slice)).toEqual([cellStartUs(grid, range.first), cellStartUs(grid, range.last + 1)]);
      }),
    );
  });

  it("is covered by blocks that do not overlap", () => {
    fc.assert(
      fc.property(withRange, areas, ({ grid, range }, area) => {
        const blocks = rangeBlocks(grid, area, range);
        const cell = (area.width / grid.columns) * (area.height / grid.rows);
        const covered = blocks.reduce((sum, block) => sum + size(block), 0);
        expect(covered / cell).toBeCloseTo(range.last - range.first + 1, 4);
        for (const block of blocks) {
          const first = cellAt(grid, area, block.left + 1e-6, block.top + 1e-6);
          const last = cellAt(grid, area, block.left + block.width - 1e-6, block.top + block.height - 1e-6);
          expect(first).toBeGreaterThanOrEqual(range.first);
          expect(last).toBeLessThanOrEqual(range.last);
        }
      }),
    );
  });

  it("has the samples of its cells", () => {
    fc.assert(
      fc.property(withRange, ({ grid, range }) => {
        const all = { first: 0, last: grid.counts.length - 1 };
        expect(samplesIn(grid, all)).toBe(rowSums(grid).reduce((a, b) => a + b, 0));
        expect(samplesIn(grid, range)).toBeLessThanOrEqual(samplesIn(grid, all));
      }),
    );
  });
});

describe("a cell", () => {
  it("is found where it is drawn, and the nearest one from outside", () => {
    fc.assert(
      fc.property(withRange, areas, ({ grid, range: { first } }, area) => {
        const [{ left, top, width, height }] = rangeBlocks(grid, area, { first, last: first });
        expect(cellAt(grid, area, left + width / 2, top + height / 2)).toBe(first);
        expect(cellAt(grid, area, -1e9, -1e9)).toBe(0);
        expect(cellAt(grid, area, 1e9, 1e9)).toBe(grid.counts.length - 1);
      }),
    );
  });

  it("leads to its neighbours and not out of the grid", () => {
    const grid: HeatGrid = { from_ms: 0, column_ms: 1000, columns: 3, rows: 4, max: 0, counts: Array.from({ length: 12 }, () => 0) };
    expect(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "a"].map((key) => moved(grid, 3, key))).toEqual([3, 7, 2, 4, 3]);
    expect(moved(grid, 11, "ArrowDown")).toBe(11);
  });
});

describe("pooling", () => {
  it("loses no crowded cell and has no more columns than asked for", () => {
    fc.assert(
      fc.property(grids, fc.integer({ min: 1, max: 100 }), (grid, most) => {
        const { columns, counts } = pooled(grid, most);
        expect(columns).toBeLessThanOrEqual(Math.min(most, grid.columns));
        expect(counts.length).toBe(columns * grid.rows);
        expect(Math.max(...counts)).toBe(grid.max);
      }),
    );
  });
});

describe("slices", () => {
  it("are read forgivingly", () => {
    for (const text of ["", "..", "1", "2..1", "1..1", "a..b", "1.0000000..2", "1e3..2e3", "-1..2", "99999999999..999999999999"]) expect(sliceUs(text), text).toBeNull();
    expect(sliceUs("1760000000.25..1760000000.5")).toEqual([1_760_000_000_250_000, 1_760_000_000_500_000]);
  });

  it("that lie elsewhere touch no cell", () => {
    const grid: HeatGrid = { from_ms: 10_000, column_ms: 1000, columns: 2, rows: 10, max: 0, counts: Array.from({ length: 20 }, () => 0) };
    expect(cellsOf(grid, "1..2")).toBeNull();
    expect(cellsOf(grid, "12..13")).toBeNull();
    expect(cellsOf(grid, "9..10.05")).toEqual({ first: 0, last: 0 });
    expect(cellsOf(grid, "11.95..99")).toEqual({ first: 19, last: 19 });
  });
});
