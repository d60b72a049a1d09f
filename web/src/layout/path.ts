/**
 * Places in a tree that outlive it. A live view gets a new tree every few seconds and a link is
 * opened on another day, so a zoom is remembered as the names on the way from the root, never as
 * an index. Each step is a 32-bit key of (function, module, kind, inlined), which keeps a link
 * short; siblings with equal keys are told apart by their order, so that finding a path again in
 * the same tree always gives the same node.
 */
import { hashText, joinHash } from "./hash.ts";
import type { Tree } from "./tree.ts";

/** Keys from the root's child down to the node; the root is the empty path. */
export type Path = readonly number[];

export interface Found {
  readonly node: number;
  /** False when the path leads out of this tree; `node` is then the deepest ancestor it has. */
  readonly complete: boolean;
}

export function pathOf(tree: Tree, node: number): Path {
  const path: number[] = [];
  for (let at = node; at !== 0; at = tree.parent[at]) path.push(stepKey(tree, at));
  return path.reverse();
}

export function findPath(tree: Tree, path: Path): Found {
  let node = 0;
  for (const step of path) {
    const child = childByStep(tree, node, step);
    if (child < 0) return { node, complete: false };
    node = child;
  }
  return { node, complete: true };
}

function stepKey(tree: Tree, node: number): number {
  const base = frameKey(tree, node);
  let twins = 0;
  for (let at = tree.firstChild[tree.parent[node]]; at < node; at++) {
    if (sameFrame(tree, at, node)) twins++;
  }
  return withOrder(base, twins);
}

function childByStep(tree: Tree, node: number, step: number): number {
  const seen = new Map<number, number>();
  const end = tree.firstChild[node] + tree.childCount[node];
  for (let child = tree.firstChild[node]; child < end; child++) {
    const base = frameKey(tree, child);
    const twins = seen.get(base) ?? 0;
    if (withOrder(base, twins) === step) return child;
    seen.set(base, twins + 1);
  }
  return -1;
}

function withOrder(base: number, twins: number): number {
  return twins === 0 ? base : joinHash(base, twins);
}

function sameFrame(tree: Tree, a: number, b: number): boolean {
  return (
    tree.name[a] === tree.name[b] &&
    tree.module[a] === tree.module[b] &&
    tree.kind[a] === tree.kind[b] &&
    tree.inlined[a] === tree.inlined[b]
  );
}

function frameKey(tree: Tree, node: number): number {
  const name = hashText(tree.names[tree.name[node]]);
  const module = hashText(tree.modules[tree.module[node]]);
  return joinHash(joinHash(name, module), tree.kind[node] * 2 + tree.inlined[node]);
}
