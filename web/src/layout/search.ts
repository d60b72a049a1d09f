/**
 * Search over a tree. A term is plain text (any case), `/a regular expression/` (flag `i` allowed),
 * or `"an exact name"`. Names are matched once each, not once per node. The matched weight counts
 * every sample once: where a match lies below a match only the upper one is summed.
 */
import { Kind, type Tree } from "./tree.ts";

export type Matcher = (name: string) => boolean;

export type ParsedTerm =
  | { readonly kind: "none" }
  | { readonly kind: "matcher"; readonly matches: Matcher }
  | { readonly kind: "wrong"; readonly message: string };

export interface Matches {
  /** Per node: 1 if its own name matches. */
  readonly own: Uint8Array;
  /** Per node: how many nodes with a smaller index match; one entry more than nodes. */
  readonly before: Int32Array;
  readonly nodes: number;
  /** Weight of all samples with a match on their stack, each counted once. */
  readonly weight: number;
}

/** Names longer than this are searched only so far; a hostile name must not stall the page. */
export const MAX_SEARCHED_CHARS = 4096;

export function parseTerm(term: string): ParsedTerm {
  const trimmed = term.trim();
  if (trimmed === "") return { kind: "none" };
  const regex = /^\/(.*)\/(i?)$/s.exec(trimmed);
  if (regex && regex[1] !== "") return parseRegex(regex[1], regex[2]);
  if (trimmed.length > 2 && trimmed.startsWith('"') && trimmed.endsWith('"')) {
    const exact = trimmed.slice(1, -1);
    return { kind: "matcher", matches: (name) => name === exact };
  }
  const lower = trimmed.toLowerCase();
  return { kind: "matcher", matches: (name) => name.toLowerCase().includes(lower) };
}

function parseRegex(source: string, flags: string): ParsedTerm {
  try {
    const regex = new RegExp(source, flags);
    return { kind: "matcher", matches: (name) => regex.test(name) };
  } catch {
    return { kind: "wrong", message: "Not a regular expression yet." };
  }
}

/** The term that finds exactly this name. */
export function exactTerm(name: string): string {
  return `"${name}"`;
}

export function searchTree(tree: Tree, matches: Matcher): Matches {
  const nameMatches = new Uint8Array(tree.names.length);
  tree.names.forEach((name, i) => {
    nameMatches[i] = matches(name.slice(0, MAX_SEARCHED_CHARS)) ? 1 : 0;
  });
  const own = new Uint8Array(tree.count);
  const before = new Int32Array(tree.count + 1);
  const covered = new Uint8Array(tree.count);
  let weight = 0;
  // The root, the boxes of labels and the sums of what was pruned are no functions: they never match,
  // or `all`, the name of a service and `(other)` would bring in what does not match.
  for (let i = 1; i < tree.count; i++) {
    own[i] = tree.kind[i] === Kind.Label || tree.kind[i] === Kind.Other ? 0 : nameMatches[tree.name[i]];
    before[i + 1] = before[i] + own[i];
    const above = covered[tree.parent[i]];
    covered[i] = above | own[i];
    if (own[i] && !above) weight += tree.total[i];
  }
  return { own, before, nodes: before[tree.count], weight };
}

/** Matched weight inside the subtree of `root`, each sample once; the whole of it if an ancestor matches. */
export function matchedWithin(tree: Tree, matches: Matches, root: number): number {
  if (root === 0) return matches.weight;
  for (let at = root; at !== 0; at = tree.parent[at]) if (matches.own[at]) return tree.total[root];
  let weight = 0;
  forEachLevel(tree, root, (node) => {
    if (matches.own[node]) weight += tree.total[node];
    return !matches.own[node];
  });
  return weight;
}

/** Whether any node from `first` to `last` (neighbours in one row) matches. */
export function anyMatch(matches: Matches, first: number, last: number): boolean {
  return matches.before[last + 1] > matches.before[first];
}

/** Matching nodes inside the subtree of `root`, widest first, at most `limit`. */
export function widestMatches(tree: Tree, matches: Matches, root: number, limit: number): number[] {
  const found: number[] = [];
  forEachLevel(tree, root, (node) => {
    if (matches.own[node]) found.push(node);
    return true;
  });
  found.sort((a, b) => tree.total[b] - tree.total[a] || a - b);
  return found.slice(0, limit);
}

/** Visits a subtree; `visit` says whether to go below a node. */
function forEachLevel(tree: Tree, root: number, visit: (node: number) => boolean): void {
  const stack = [root];
  while (stack.length > 0) {
    const node = stack.pop() as number;
    if (!visit(node)) continue;
    const end = tree.firstChild[node] + tree.childCount[node];
    for (let child = tree.firstChild[node]; child < end; child++) stack.push(child);
  }
}
