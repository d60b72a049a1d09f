import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { anyMatch, buildTree, exactTerm, isWithin, Kind, labelNodes, matchedWithin, type Matcher, parseTerm, searchTree, widestMatches } from "../src/layout/index.ts";
import { anyProfile, largeProfile, profileOf } from "./profiles.ts";

function matcher(term: string): Matcher {
  const parsed = parseTerm(term);
  if (parsed.kind !== "matcher") throw new Error(`${term} is no term`);
  return parsed.matches;
}

describe("parseTerm", () => {
  const cases: [term: string, name: string, matches: boolean][] = [
    ["alloc", "MyAllocator", true],
    ["  alloc ", "alloc", true],
    ["a.c", "abc", false],
    ["/a.c/", "abc", true],
    ["/^main$/", "domain", false],
    ["/MAIN/", "main", false],
    ["/MAIN/i", "main", true],
    ['"main"', "main", true],
    ['"main"', "domain", false],
    ["operator/", "operator/=", true],
    ["<script>", "<script>alert(1)</script>", true],
    ["دالة", "دالة_حساب", true],
  ];
  it.each(cases)("%s on %s: %s", (term, name, expected) => {
    expect(matcher(term)(name)).toBe(expected);
  });

  it("says when a regular expression is not one, and that nothing is searched for nothing", () => {
    expect(parseTerm("/(/").kind).toBe("wrong");
    expect(parseTerm("   ").kind).toBe("none");
  });

  it("finds any name by its exact term", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.string({ minLength: 1 }), (name, other) => {
        expect(matcher(exactTerm(name))(name)).toBe(true);
        expect(matcher(exactTerm(name))(other)).toBe(other === name);
      }),
    );
  });
});

describe("searchTree", () => {
  it("counts each sample once where a match calls a match", () => {
    const tree = buildTree(profileOf("f;f;f 3\nf;g 2\ng;f 4\nh 1"));
    const matches = searchTree(tree, (name) => name === "f");
    expect(matches.nodes).toBe(4);
    expect(matches.weight).toBe(9);
  });

  it("ignores the boxes of labels, which are no functions", () => {
    const columns = profileOf("api;api 3\napi;f 2");
    columns.nodes.kind[1] = Kind.Label;
    const tree = buildTree(columns);
    expect(searchTree(tree, (name) => name === "api")).toMatchObject({ nodes: 1, weight: 3 });
    expect(labelNodes(tree)).toEqual([1]);
  });

  it("takes no part of what was pruned for a match, so that a share is never too large", () => {
    const columns = profileOf("f;a 3\nf;(other) 2\n(other) 5");
    columns.names.forEach((name, i) => columns.nodes.name.forEach((of, node) => of === i && name === "(other)" && (columns.nodes.kind[node] = Kind.Other)));
    const tree = buildTree(columns);
    expect(searchTree(tree, (name) => name !== "f")).toMatchObject({ nodes: 1, weight: 3 });
  });

  it("never matches the root", () => {
    const tree = buildTree(profileOf("f 3"));
    expect(searchTree(tree, () => true)).toMatchObject({ nodes: 1, weight: 3 });
    expect(searchTree(tree, (name) => name === "all").nodes).toBe(0);
  });

  const random: fc.Arbitrary<Matcher> = fc.constantFrom("a", "b", "c").map((wanted) => (name: string) => name === wanted);

  it("equals the sum over samples that have a match on their stack", () => {
    fc.assert(
      fc.property(anyProfile, random, fc.nat(), (profile, wanted, pick) => {
        const tree = buildTree(profile);
        const matches = searchTree(tree, wanted);
        const root = pick % tree.count;
        let inAll = 0;
        let inRoot = 0;
        for (let node = 0; node < tree.count; node++) {
          let hit = false;
          for (let at = node; at !== 0; at = tree.parent[at]) hit ||= wanted(tree.names[tree.name[at]]);
          if (!hit) continue;
          inAll += tree.self[node];
          if (isWithin(tree, node, root)) inRoot += tree.self[node];
        }
        expect(matches.weight).toBe(inAll);
        expect(matchedWithin(tree, matches, root)).toBe(inRoot);
      }),
    );
  });

  it("knows whether a run of boxes holds a match", () => {
    fc.assert(
      fc.property(anyProfile, random, fc.nat(), fc.nat(), (profile, wanted, a, b) => {
        const tree = buildTree(profile);
        const matches = searchTree(tree, wanted);
        const [first, last] = [a % tree.count, b % tree.count].toSorted((x, y) => x - y);
        expect(anyMatch(matches, first, last)).toBe(matches.own.slice(first, last + 1).includes(1));
      }),
    );
  });

  it("lists matches by weight", () => {
    const tree = buildTree(profileOf("x;f 1\ny;f 5\nz;f 3"));
    const matches = searchTree(tree, (name) => name === "f");
    expect(widestMatches(tree, matches, 0, 2).map((node) => tree.total[node])).toEqual([5, 3]);
  });

  it("searches a million nodes in well under a second", () => {
    const tree = buildTree(largeProfile(1_000_000));
    const wanted = matcher("method_77");
    searchTree(tree, wanted);
    const started = performance.now();
    expect(searchTree(tree, wanted).nodes).toBeGreaterThan(100);
    expect(performance.now() - started).toBeLessThan(400);
  }, 60_000);
});
