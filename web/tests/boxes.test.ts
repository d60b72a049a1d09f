import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { buildTree, emptyBoxes, layoutBoxes, nodeAt, spanOf, toPx, toValue, type Tree } from "../src/layout/index.ts";
import { anyProfile, largeProfile, profileOf } from "./profiles.ts";

function visible(tree: Tree, node: number, widthPx: number, minWidthPx: number) {
  const window = { ...spanOf(tree, node), firstRow: 0, lastRow: 5000, widthPx, minWidthPx };
  return layoutBoxes(tree, window, emptyBoxes(1));
}

describe("layoutBoxes", () => {
  it("gives every box its share of the width when none is too thin", () => {
    const tree = buildTree(profileOf("a;x 1\na;y 1\nb 2"));
    const boxes = visible(tree, 0, 400, 0.5);
    const drawn = Array.from({ length: boxes.count }, (_, i) => [tree.names[tree.name[boxes.node[i]]], boxes.x[i], boxes.width[i]]);
    expect(drawn).toEqual([["all", 0, 400], ["a", 0, 200], ["b", 200, 200], ["x", 0, 100], ["y", 100, 100]]);
  });

  it("draws the zoomed node and its ancestors as wide as the picture", () => {
    const tree = buildTree(profileOf("a;x 1\na;y 3\nb 4"));
    const y = nodeAt(tree, 2, 2);
    const boxes = visible(tree, y, 640, 0.5);
    expect(boxes.count).toBe(3);
    expect(Array.from(boxes.x.slice(0, 3))).toEqual([0, 0, 0]);
    expect(Array.from(boxes.width.slice(0, 3))).toEqual([640, 640, 640]);
  });

  it("never lays boxes over one another nor outside the window, whatever is zoomed", () => {
    fc.assert(
      fc.property(anyProfile, fc.nat(), fc.constantFrom(3, 50, 1200), (profile, pick, widthPx) => {
        const tree = buildTree(profile);
        const node = pick % tree.count;
        fc.pre(tree.total[node] > 0);
        const boxes = visible(tree, node, widthPx, 0.75);
        for (let i = 0; i < boxes.count; i++) {
          expect(boxes.x[i]).toBeGreaterThanOrEqual(0);
          expect(boxes.x[i] + boxes.width[i]).toBeLessThanOrEqual(widthPx + 1e-6);
          if (i > 0 && tree.row[boxes.node[i]] === tree.row[boxes.node[i - 1]]) {
            expect(boxes.x[i]).toBeGreaterThanOrEqual(boxes.x[i - 1] + boxes.width[i - 1] - 1e-6);
          }
        }
      }),
    );
  });

  it("loses no weight to thinness: every node with weight lies in a box or a sliver", () => {
    fc.assert(
      fc.property(anyProfile, fc.constantFrom(2, 10, 300), (profile, widthPx) => {
        const tree = buildTree(profile);
        const boxes = visible(tree, 0, widthPx, 1);
        const covered = new Uint8Array(tree.count);
        for (let i = 0; i < boxes.count; i++) covered.fill(1, boxes.node[i], boxes.last[i] + 1);
        for (let node = 0; node < tree.count; node++) if (tree.total[node] > 0) expect(covered[node]).toBe(1);
      }),
    );
  });

  it("costs what fits on the screen, not what the profile holds", () => {
    const tree = buildTree(largeProfile(1_000_000));
    const boxes = visible(tree, 0, 1000, 0.75);
    expect(boxes.count).toBeLessThan(tree.rowCount * ((2 * 1000) / 0.75));
    layoutBoxes(tree, { ...spanOf(tree, 0), firstRow: 0, lastRow: 40, widthPx: 1000, minWidthPx: 0.75 }, boxes);
    const started = performance.now();
    layoutBoxes(tree, { ...spanOf(tree, 0), firstRow: 0, lastRow: 40, widthPx: 1000, minWidthPx: 0.75 }, boxes);
    // The bound for a whole frame is 4 ms; this leaves room for a loaded machine and still finds a linear scan.
    expect(performance.now() - started).toBeLessThan(40);
  }, 60_000);

  it("draws a million children of one parent as a few slivers", () => {
    const count = 1_000_001;
    const column = (value: number) => new Int32Array(count).fill(value);
    const total = new Float64Array(count).fill(1);
    total[0] = count - 1;
    const nodes = { parent: column(0), name: column(0), module: column(0), file: column(0), line: column(0), kind: column(1), inlined: column(0), self: total, total };
    const tree = buildTree({ names: ["f"], modules: [""], files: [""], nodes });
    expect(visible(tree, 0, 800, 1).count).toBeLessThanOrEqual(1 + 1600);
  }, 60_000);
});

describe("places", () => {
  it("finds under every box's middle the node that was drawn there", () => {
    fc.assert(
      fc.property(anyProfile, fc.nat(), (profile, pick) => {
        const tree = buildTree(profile);
        const zoom = pick % tree.count;
        fc.pre(tree.total[zoom] > 0);
        const span = spanOf(tree, zoom);
        const boxes = visible(tree, zoom, 900, 0.75);
        for (let i = 0; i < boxes.count; i++) {
          if (boxes.last[i] !== boxes.node[i]) continue;
          const middle = toValue(span, 900, boxes.x[i] + boxes.width[i] / 2);
          expect(nodeAt(tree, tree.row[boxes.node[i]], middle)).toBe(boxes.node[i]);
        }
      }),
    );
  });

  it("turns pixels into values and back", () => {
    fc.assert(
      fc.property(fc.nat({ max: 1e12 }), fc.integer({ min: 1e6, max: 1e12 }), fc.nat({ max: 4000 }), (start, length, px) => {
        const span = { start, end: start + length };
        expect(toPx(span, 4000, toValue(span, 4000, px))).toBeCloseTo(px, 1);
      }),
    );
  });

  it("finds nothing beside, above and below", () => {
    const tree = buildTree(profileOf("a;x 1\nb 1"));
    expect(nodeAt(tree, -1, 0)).toBe(-1);
    expect(nodeAt(tree, 9, 0)).toBe(-1);
    expect(nodeAt(tree, 2, 1.5)).toBe(-1);
    expect(nodeAt(tree, 1, 2)).toBe(-1);
    expect(nodeAt(tree, 1, -0.1)).toBe(-1);
  });
});
