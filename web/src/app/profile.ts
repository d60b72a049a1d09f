/** What components derive from one answer: the tree, the zoomed node, matches. Computed once per change. */
import { useMemo } from "preact/hooks";
import {
  BrokenProfile,
  buildTree,
  findPath,
  Kind,
  type Matches,
  matchedWithin,
  type Matcher,
  parseTerm,
  searchTree,
  type Tree,
} from "../layout/index.ts";
import { ApiError, type Columns, type SearchAnswer } from "../state/index.ts";
import { formatShare } from "./format.ts";

export interface Profile {
  readonly tree: Tree | null;
  readonly error: ApiError | null;
  /** Kind by module and name, for tables that want the same colours. */
  readonly kinds: ReadonlyMap<string, number>;
}

export function useProfile(answer: Columns | null): Profile {
  return useMemo(() => {
    // Without samples a server may leave out even the root.
    if (!answer || answer.nodes.parent.length === 0) return { tree: null, error: null, kinds: new Map() };
    try {
      const tree = buildTree(answer);
      return { tree, error: null, kinds: kindsOf(tree) };
    } catch (error) {
      if (!(error instanceof BrokenProfile)) throw error;
      const failure = new ApiError(0, "broken_profile", "The server's profile contradicts itself.", error.message);
      return { tree: null, error: failure, kinds: new Map() };
    }
  }, [answer]);
}

function kindsOf(tree: Tree): Map<string, number> {
  const kinds = new Map<string, number>();
  const seen = new Set<number>();
  for (let node = 1; node < tree.count; node++) {
    const pair = tree.name[node] * tree.modules.length + tree.module[node];
    if (seen.has(pair) || tree.kind[node] === Kind.Label) continue;
    seen.add(pair);
    kinds.set(`${tree.modules[tree.module[node]]}\u0001${tree.names[tree.name[node]]}`, tree.kind[node]);
  }
  return kinds;
}

export interface Found {
  readonly matcher: Matcher | null;
  readonly matches: Matches | null;
  readonly message: string;
  /** Matched share, e.g. `12.3 %`, while zoomed of both the zoomed frame and everything; null without a search. */
  readonly share: string | null;
}

export function useSearch(tree: Tree | null, term: string, zoom: number, pruned: boolean, whole: SearchAnswer | null): Found {
  const parsed = useMemo(() => parseTerm(term), [term]);
  const matches = useMemo(
    () => (tree && parsed.kind === "matcher" ? searchTree(tree, parsed.matches) : null),
    [tree, parsed],
  );
  return useMemo(() => {
    const matcher = parsed.kind === "matcher" ? parsed.matches : null;
    const message = parsed.kind === "wrong" ? parsed.message : "";
    if (!tree || !matches) return { matcher, matches, message, share: null };
    return { matcher, matches, message, share: shareText(tree, matches, zoom, pruned, whole) };
  }, [tree, matches, parsed, zoom, pruned, whole]);
}

/** Boxes that were pruned cannot match, so what is left is a lower bound and says so; `whole` is what the server found in all. */
function shareText(tree: Tree, matches: Matches, zoom: number, pruned: boolean, whole: SearchAnswer | null): string {
  const share = (weight: number, whole: number) =>
    `${pruned && weight < whole ? "≥ " : ""}${formatShare(weight, whole)}`;
  const ofAll = whole ? formatShare(whole.total, whole.whole) : share(matches.weight, tree.total[0]);
  if (zoom === 0) return ofAll;
  return `${share(matchedWithin(tree, matches, zoom), tree.total[zoom])} of zoom, ${ofAll} of all`;
}

export function useZoom(tree: Tree | null, path: readonly number[]): { node: number; lost: boolean } {
  return useMemo(() => {
    if (!tree) return { node: 0, lost: false };
    const found = findPath(tree, path);
    // A frame without weight cannot fill the width.
    const node = tree.total[found.node] > 0 ? found.node : 0;
    return { node, lost: !found.complete };
  }, [tree, path]);
}
