/** Panning and zooming by hand, rows upside down, and strips of pixels. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { absoluteSpan, buildTree, emptyBoxes, layoutBoxes, panSpan, relativeSpan, rowAt, rowTop, spanOf, zoomSpan } from "../src/layout/index.ts";
import { fillStrips } from "../src/render/strips.ts";
import { anyProfile, largeProfile } from "./profiles.ts";

const whole = 1_000_000;
const anySpan = fc.tuple(fc.nat({ max: 900_000 }), fc.integer({ min: 100, max: 100_000 })).map(([start, length]) => ({ start, end: start + length }));

describe("zooming by hand", () => {
  it("is undone by its inverse, and keeps what is under the pointer where it is", () => {
    fc.assert(
      fc.property(anySpan, fc.double({ min: 0.05, max: 0.95, noNaN: true }), fc.double({ min: 0.2, max: 1, noNaN: true }), (span, part, factor) => {
        const at = span.start + part * (span.end - span.start);
        const closer = zoomSpan(span, at, factor, whole);
        expect((at - closer.start) / (closer.end - closer.start)).toBeCloseTo(part, 6);
        const back = zoomSpan(closer, at, 1 / factor, whole);
        expect(back.start).toBeCloseTo(span.start, 3);
        expect(back.end).toBeCloseTo(span.end, 3);
      }),
    );
  });

  it("never leaves the whole, nor loses it", () => {
    fc.assert(
      fc.property(anySpan, fc.double({ min: -3, max: 3, noNaN: true }), fc.double({ min: 1e-12, max: 1e12, noNaN: true }), fc.double({ min: -1e7, max: 1e7, noNaN: true }), (span, part, factor, by) => {
        const moved = panSpan(zoomSpan(span, span.start + part * (span.end - span.start), factor, whole), by, whole);
        expect(moved.start).toBeGreaterThanOrEqual(0);
        expect(moved.end).toBeLessThanOrEqual(whole);
        expect(moved.end).toBeGreaterThan(moved.start);
      }),
    );
  });

  it("stands in links as parts of the zoomed frame", () => {
    fc.assert(
      fc.property(anySpan, anySpan, (base, span) => {
        const edges = relativeSpan(base, span);
        const back = absoluteSpan(base, edges, whole);
        expect(back.start).toBeCloseTo(span.start, 3);
        expect(back.end).toBeCloseTo(span.end, 3);
      }),
    );
    expect(relativeSpan({ start: 3, end: 9 }, { start: 3, end: 9 })).toBeNull();
  });

  it("believes no link that leads nowhere", () => {
    const base = { start: 10, end: 20 };
    for (const edges of [[5e300, 6e300], [-1e9, -1e8], [0, 1e300], [0.5, 0.5]] as const) {
      const span = absoluteSpan(base, edges, 100);
      expect(span.start >= 0 && span.end <= 100 && span.end > span.start).toBe(true);
    }
  });
});

describe("rows", () => {
  it("are found where they are drawn, whichever way up", () => {
    fc.assert(
      fc.property(fc.boolean(), fc.integer({ min: 1, max: 1000 }), fc.nat({ max: 999 }), fc.integer({ min: 0, max: 19 }), (flip, rowCount, pick, inside) => {
        const rows = { rowCount, rowPx: 20, heightPx: rowCount * 20 + 8, flip };
        const row = pick % rowCount;
        expect(rowAt(rows, rowTop(rows, row) + inside)).toBe(row);
      }),
    );
  });

  it("have the root at the bottom when they are upside down", () => {
    const rows = { rowCount: 3, rowPx: 20, heightPx: 100, flip: true };
    expect([0, 1, 2].map((row) => rowTop(rows, row))).toEqual([80, 60, 40]);
  });
});

describe("strips", () => {
  it("hold every box at its place and nothing else", () => {
    fc.assert(
      fc.property(anyProfile, fc.constantFrom(1, 1.5, 2), (profile, ratio) => {
        const tree = buildTree(profile);
        const widthPx = 200;
        const width = Math.round(widthPx * ratio);
        const port = { ...spanOf(tree, 0), firstRow: 0, lastRow: 99, widthPx, minWidthPx: 0.75 };
        const boxes = layoutBoxes(tree, port, emptyBoxes());
        const pixels = new Uint32Array(width * tree.rowCount);
        fillStrips(tree, boxes, ratio, { width, firstRow: 0, rows: tree.rowCount, pixels }, 7, (i) => 1000 + i);
        // The root fills its row, but for the gap at its right.
        expect(pixels[0]).toBe(1000);
        const drawn = new Set(pixels);
        for (let i = 0; i < boxes.count; i++) if (boxes.width[i] * ratio >= 3) expect(drawn.has(1000 + i)).toBe(true);
        for (const pixel of drawn) expect(pixel === 7 || (pixel >= 1000 && pixel < 1000 + boxes.count)).toBe(true);
      }),
    );
  });

  it("of a million nodes cost about as much as the pixels of a line for each row", () => {
    const tree = buildTree(largeProfile(1_000_000));
    const boxes = emptyBoxes();
    const widthPx = 1400;
    const strips = { width: 2 * widthPx, firstRow: 0, rows: 45, pixels: new Uint32Array(2 * widthPx * 45) };
    const times: number[] = [];
    for (let i = 0; i < 60; i++) {
      const span = zoomSpan(spanOf(tree, 0), tree.total[0] / 3, 0.9 ** i, tree.total[0]);
      const begin = performance.now();
      layoutBoxes(tree, { ...span, firstRow: 0, lastRow: 44, widthPx, minWidthPx: 0.75 }, boxes);
      fillStrips(tree, boxes, 2, strips, 0, (box) => box);
      times.push(performance.now() - begin);
    }
    const median = times.toSorted((a, b) => a - b)[30];
    console.log(`layout and strips of ${tree.count} nodes: median ${median.toFixed(2)} ms, longest ${Math.max(...times).toFixed(2)} ms`);
    expect(median).toBeLessThan(40);
  }, 60_000);
});
