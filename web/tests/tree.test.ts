import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BrokenProfile, buildTree, type Tree } from "../src/layout/index.ts";
import { anyProfile, profileOf } from "./profiles.ts";

const names = (tree: Tree) => Array.from(tree.name, (name) => tree.names[name]);

describe("buildTree", () => {
  it("puts nodes into level order and keeps the order of siblings", () => {
    const tree = buildTree(profileOf("a;x;deep 1\na;w 2\nb 3"));
    expect(names(tree)).toEqual(["all", "a", "b", "x", "w", "deep"]);
    expect([...tree.row]).toEqual([0, 1, 1, 2, 2, 3]);
    expect([...tree.start]).toEqual([0, 0, 3, 0, 1, 0]);
    expect([...tree.rowStart]).toEqual([0, 1, 3, 5, 6]);
  });

  it("accepts a lone root", () => {
    const tree = buildTree(profileOf("a 1"));
    expect(tree.count).toBe(2);
    const alone = { ...profileOf("a 1"), nodes: Object.fromEntries(Object.entries(profileOf("a 1").nodes).map(([k, v]) => [k, v.slice(0, 1)])) };
    expect(buildTree(alone as never).rowCount).toBe(1);
  });

  it("conserves: children and self fill their parent, exactly", () => {
    fc.assert(
      fc.property(anyProfile, (profile) => {
        const tree = buildTree(profile);
        for (let node = 0; node < tree.count; node++) {
          let sum = tree.self[node];
          let edge = tree.start[node];
          for (let c = tree.firstChild[node]; c < tree.firstChild[node] + tree.childCount[node]; c++) {
            expect(tree.parent[c]).toBe(node);
            expect(tree.start[c]).toBe(edge);
            edge += tree.total[c];
            sum += tree.total[c];
          }
          expect(sum).toBe(tree.total[node]);
        }
      }),
    );
  });

  it("lays no box of a row over another", () => {
    fc.assert(
      fc.property(anyProfile, (profile) => {
        const tree = buildTree(profile);
        for (let node = 1; node < tree.count; node++) {
          if (tree.row[node] !== tree.row[node - 1]) continue;
          expect(tree.start[node]).toBeGreaterThanOrEqual(tree.start[node - 1] + tree.total[node - 1]);
        }
      }),
    );
  });

  const broken: [string, (nodes: Record<string, number[]>) => void][] = [
    ["a child before its parent", (nodes) => (nodes.parent[1] = 2)],
    ["a root that is not its own parent", (nodes) => (nodes.parent[0] = 1)],
    ["a column that is too short", (nodes) => nodes.self.pop()],
    ["a name outside its table", (nodes) => (nodes.name[1] = 99)],
    ["a negative index", (nodes) => (nodes.file[1] = -1)],
    ["no node at all", (nodes) => Object.values(nodes).forEach((column) => (column.length = 0))],
  ];
  it.each(broken)("refuses %s", (_, spoil) => {
    const profile = profileOf("a;b 1");
    spoil(profile.nodes as unknown as Record<string, number[]>);
    expect(() => buildTree(profile)).toThrow(BrokenProfile);
  });
});
