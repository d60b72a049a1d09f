import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { buildSides, changes, functionsOf, buildTree, Kind, largestChange, SHARE_WHOLE, type SidedColumns, tints } from "../src/layout/index.ts";
import { formatChange, formatMeasure, scaleOf } from "../src/app/measure.ts";
import { formatMargin, greyed, isSure, verdictsOf } from "../src/app/significance.ts";
import type { Comparison, Significance } from "../src/state/index.ts";
import { earlier, lengthMs } from "../src/state/index.ts";
import { anyProfile, profileOf } from "./profiles.ts";

/** A comparison of a profile with the same tree under other weights. */
function sided(columns: ReturnType<typeof profileOf>, factor: (i: number) => number): SidedColumns {
  const { self, total: _, ...shared } = columns.nodes;
  const fresh = self.map((value, i) => Math.round(value * factor(i)));
  const sum = (own: number[]) => {
    const total = [...own];
    for (let i = total.length - 1; i > 0; i--) total[shared.parent[i]] += total[i];
    return total;
  };
  return { ...columns, nodes: { ...shared, base_self: self, base_total: sum(self), new_self: fresh, new_total: sum(fresh) } };
}

describe("two sides", () => {
  it("have the same boxes in the same order, and widths that sum", () => {
    fc.assert(
      fc.property(anyProfile, fc.array(fc.nat({ max: 3 }), { minLength: 1 }), (profile, factors) => {
        const { both, base, new: fresh } = buildSides(sided(profile, (i) => factors[i % factors.length]));
        expect(both.count).toBe(base.count);
        expect([...both.name]).toEqual([...fresh.name]);
        expect([...both.parent]).toEqual([...base.parent]);
        const sides = (base.total[0] > 0 ? 1 : 0) + (fresh.total[0] > 0 ? 1 : 0);
        expect(both.total[0]).toBeCloseTo(sides * SHARE_WHOLE, -3);
        for (let i = 1; i < both.count; i++) expect(both.total[both.parent[i]]).toBeGreaterThanOrEqual(both.total[i] * (1 - 1e-9));
      }),
    );
  });

  it("that are equal differ by nothing", () => {
    const sides = buildSides(sided(profileOf("main;parse 5\nmain;write 3"), () => 1));
    const change = changes(sides, { base: 1 / 8, new: 1 / 8 });
    expect(largestChange(sides.both, change)).toBe(0);
    expect([...tints(change, 0)]).toEqual([0, 0, 0, 0]);
  });

  it("show what grew and what shrank, the largest deepest", () => {
    const sides = buildSides(sided(profileOf("a 5\nb 5"), (i) => (i === 1 ? 3 : 1)));
    const change = changes(sides, { base: 1 / 10, new: 1 / 20 });
    const largest = largestChange(sides.both, change);
    expect(largest).toBeCloseTo(0.25);
    expect([...tints(change, largest)].map((tint) => Math.round(tint * 100))).toEqual([0, 100, -100]);
  });
});

describe("measures", () => {
  const side = (total: number, seconds: number) => ({ query: "cpu{}", from_ms: 0, until_ms: seconds * 1000, total, samples: 1 });
  const answer = { unit: "nanoseconds", base: side(10e9, 10), new: side(40e9, 20) } as unknown as Comparison;

  it("are shares of each side's total, or cores", () => {
    const share = scaleOf(answer, "share");
    expect([10e9 * share.base, 20e9 * share.new]).toEqual([1, 0.5]);
    const cores = scaleOf(answer, "absolute");
    expect([10e9 * cores.base, 40e9 * cores.new]).toEqual([1, 2]);
  });

  it("are written with their sign and unit", () => {
    expect(formatMeasure(0.1234, "share", "nanoseconds")).toBe("12.3 %");
    expect(formatChange(0.0123, "share", "nanoseconds")).toBe("+1.23 pp");
    expect(formatChange(-0.5, "absolute", "nanoseconds")).toBe("−0.500 cores");
    expect(formatChange(0, "share", "nanoseconds")).toBe("±0.00 pp");
    expect(formatChange(1e-6, "share", "nanoseconds")).toBe("+<0.01 pp");
  });
});

describe("earlier ranges", () => {
  const now = 1_760_000_000_000;
  it("stay relative, and have the same length", () => {
    expect(earlier({ from: "now-15m", until: "now" }, 900_000, now)).toEqual({ from: "now-1800s", until: "now-900s" });
    expect(earlier({ from: "now-15m", until: "now" }, 0, now)).toEqual({ from: "now-15m", until: "now" });
    expect(earlier({ from: "1760000000", until: "1760000600" }, 600_000, now)).toEqual({ from: "1759999400", until: "1760000000" });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e6 }), fc.integer({ min: 1, max: 1e6 }), (length, by) => {
        const range = { from: `now-${length}s`, until: "now" };
        expect(lengthMs(earlier(range, by * 1000, now), now)).toBe(length * 1000);
      }),
    );
  });
});

describe("functions of a tree", () => {
  it("count recursion once", () => {
    const tree = buildTree(profileOf("main;fib;fib;add;fib 10\nmain;add 4"));
    expect(functionsOf(tree).map((row) => [row.name, row.self, row.total])).toEqual([
      ["fib", 10, 10],
      ["add", 4, 14],
      ["main", 0, 14],
    ]);
  });

  it("have self values that sum to the whole, and no total beyond it", () => {
    fc.assert(
      fc.property(anyProfile, (profile) => {
        const tree = buildTree(profile);
        const rows = functionsOf(tree);
        const other = [...tree.self].reduce((sum, self, i) => sum + (i === 0 || tree.kind[i] === Kind.Other ? self : 0), 0);
        expect(rows.reduce((sum, row) => sum + row.self, other)).toBe(tree.total[0]);
        for (const row of rows) expect(row.self <= row.total && row.total <= tree.total[0]).toBe(true);
      }),
    );
  });

  it("take a stack a thousand deep and a hundred thousand children of one parent", () => {
    expect(functionsOf(buildTree(profileOf(`${Array(1000).fill("f").join(";")} 7`)))).toEqual([{ name: "f", module: "", self: 7, total: 7 }]);
    const count = 100_001;
    const column = (value: number) => new Int32Array(count).fill(value);
    const total = new Float64Array(count).fill(1);
    total[0] = count - 1;
    const self = new Float64Array(count).fill(1);
    self[0] = 0;
    const nodes = { parent: column(0), name: column(0), module: column(0), file: column(0), line: column(0), kind: column(1), inlined: column(0), self, total };
    expect(functionsOf(buildTree({ names: ["f"], modules: [""], files: [""], nodes }))[0].self).toBe(count - 1);
  });
});

describe("what may be chance", () => {
  const change = (size: number, is_significant: boolean) => ({ change: size, margin: 0.01, minimum_detectable: 0.02, is_significant });
  const row = (name: string, module: string, sure: boolean) => ({ name, module, status: sure ? "changed" : "unchanged", self_share: change(0.1, sure), total_share: change(0.1, false) });
  const answer: Significance = {
    has_error_bars: true,
    method: { kind: "permutation", deals: 5000, days: 0 },
    tests: 12,
    base: { replicates: 6 },
    new: { replicates: 7 },
    total_change: change(0.01, false),
    warnings: [{ code: "composition", message: "one service grew" }],
    rows: [row("parse", "api", false), row("parse", "lib", true), row("idle", "api", false)],
  };

  it("is greyed, and what is sure in one module is sure", () => {
    const tree = buildTree(profileOf("parse 5\nidle 3\nnew 1"));
    const verdicts = verdictsOf(answer);
    expect([verdicts.of.get("parse"), verdicts.of.get("idle"), undefined].map(isSure)).toEqual([true, false, false]);
    expect([...greyed(tree, Float32Array.of(0.5, 1, -1, 0.25), verdicts)]).toEqual([0.5, 1, NaN, NaN]);
    expect(verdicts.sentence).toContain("6 against 7 replicates");
    expect(verdicts.sentence).toContain("2.00 %");
    expect(verdicts.warnings).toEqual(["one service grew"]);
    expect(formatMargin(verdicts.of.get("parse")?.self)).toBe("± 1.00 pp");
  });

  it("is not claimed where nothing is known", () => {
    const tree = buildTree(profileOf("parse 5"));
    for (const none of [null, { ...answer, has_error_bars: false }]) {
      const verdicts = verdictsOf(none);
      expect([...greyed(tree, Float32Array.of(0, 1), verdicts)]).toEqual([0, 1]);
      expect(verdicts.sentence).toContain("Values only");
    }
  });
});
