/**
 * Functions of a tree, for tables: self and total, each sample counted once per function however often
 * it stands on the stack. For trees that the server knows nothing of; it answers `top` for its own.
 */
import { Kind, type Tree } from "./tree.ts";

export interface FunctionRow {
  readonly name: string;
  readonly module: string;
  readonly self: number;
  readonly total: number;
}

/** In order of falling self, then total. Sums of what was pruned are no functions. */
export function functionsOf(tree: Tree): FunctionRow[] {
  const keyOf = (node: number) => tree.name[node] * tree.modules.length + tree.module[node];
  const rows = new Map<number, { name: string; module: string; self: number; total: number }>();
  const open = new Map<number, number>();
  // Depth first by hand: a stack may be a thousand deep, and leaving a node must be seen.
  const stack: number[] = [0];
  while (stack.length > 0) {
    const entry = stack.pop() as number;
    if (entry < 0) {
      const key = keyOf(~entry);
      open.set(key, (open.get(key) ?? 1) - 1);
      continue;
    }
    const isFunction = entry !== 0 && tree.kind[entry] !== Kind.Label && tree.kind[entry] !== Kind.Other;
    if (isFunction) {
      const key = keyOf(entry);
      let row = rows.get(key);
      if (!row) rows.set(key, (row = { name: tree.names[tree.name[entry]], module: tree.modules[tree.module[entry]], self: 0, total: 0 }));
      const depth = open.get(key) ?? 0;
      row.self += tree.self[entry];
      if (depth === 0) row.total += tree.total[entry];
      open.set(key, depth + 1);
      stack.push(~entry);
    }
    for (let child = tree.firstChild[entry]; child < tree.firstChild[entry] + tree.childCount[entry]; child++) stack.push(child);
  }
  return [...rows.values()].sort((a, b) => b.self - a.self || b.total - a.total || (a.name < b.name ? -1 : 1));
}
