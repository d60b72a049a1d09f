/**
 * Two sides of one tree. The server aligns them; here they become three trees with the same boxes in
 * the same order: both sides together, as wide as their shares, and each side alone.
 */
import { buildTree, Kind, type ProfileColumns, type Tree } from "./tree.ts";

/** As `GET /api/v1/compare` sends it. */
export interface SidedColumns {
  readonly names: readonly string[];
  readonly modules: readonly string[];
  readonly files: readonly string[];
  readonly nodes: Omit<ProfileColumns["nodes"], "self" | "total"> & {
    readonly base_self: ArrayLike<number>;
    readonly base_total: ArrayLike<number>;
    readonly new_self: ArrayLike<number>;
    readonly new_total: ArrayLike<number>;
  };
}

export interface Sides {
  /** As wide as the shares of both sides together, in parts per `SHARE_WHOLE` of each. */
  readonly both: Tree;
  readonly base: Tree;
  readonly new: Tree;
}

/** What all of one side is worth in the tree of both. */
export const SHARE_WHOLE = 1e12;

/** Throws `BrokenProfile` for columns that contradict themselves. */
export function buildSides(columns: SidedColumns): Sides {
  const { base_self, base_total, new_self, new_total, ...shared } = columns.nodes;
  const tree = (self: ArrayLike<number>, total: ArrayLike<number>) => buildTree({ ...columns, nodes: { ...shared, self, total } });
  const joined = (base: ArrayLike<number>, fresh: ArrayLike<number>) => {
    const [baseWhole, newWhole] = [Math.max(1, base_total[0] ?? 0), Math.max(1, new_total[0] ?? 0)];
    return Float64Array.from(base, (value, i) => (value / baseWhole + fresh[i] / newWhole) * SHARE_WHOLE);
  };
  return { both: tree(joined(base_self, new_self), joined(base_total, new_total)), base: tree(base_self, base_total), new: tree(new_self, new_total) };
}

/** What one unit of each side's values is worth: 1 / total for shares, 1 / time for rates. */
export interface Scale {
  readonly base: number;
  readonly new: number;
}

/** How much each node's total changed, new minus base, in the measure of `scale`. */
export function changes(sides: Sides, scale: Scale): Float64Array {
  const { base, new: fresh } = sides;
  return Float64Array.from(base.total, (value, i) => fresh.total[i] * scale.new - value * scale.base);
}

/** The largest change of a function up or down; 0 where there is none. */
export function largestChange(tree: Tree, change: Float64Array): number {
  let largest = 0;
  for (let i = 1; i < tree.count; i++) if (tree.kind[i] !== Kind.Other) largest = Math.max(largest, Math.abs(change[i]));
  return largest;
}

/** From -1 to 1 for colours: the root of the part of the largest change, so that small ones are seen. */
export function tints(change: Float64Array, largest: number): Float32Array {
  return Float32Array.from(change, (value) => (largest > 0 ? Math.sign(value) * Math.sqrt(Math.min(1, Math.abs(value) / largest)) : 0));
}
