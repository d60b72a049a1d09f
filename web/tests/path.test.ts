import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { buildTree, findPath, hashText, isWithin, joinHash, Kind, neighbour, nodeAt, pathOf } from "../src/layout/index.ts";
import { anyProfile, profileOf } from "./profiles.ts";

describe("paths", () => {
  it("lead back to the node they were taken from, twins included", () => {
    fc.assert(
      fc.property(anyProfile, (profile) => {
        const tree = buildTree(profile);
        for (let node = 0; node < tree.count; node++) {
          expect(findPath(tree, pathOf(tree, node))).toEqual({ node, complete: true });
        }
      }),
    );
  });

  it("find the same frames in another profile, wherever they moved", () => {
    const before = buildTree(profileOf("m;work;hash 5\nm;idle 1"));
    const after = buildTree(profileOf("a;new 9\nm;boot 7\nm;idle 100\nm;work;hash 2"));
    const path = pathOf(before, nodeAt(before, 3, 0));
    const found = findPath(after, path);
    expect(found.complete).toBe(true);
    expect(after.names[after.name[found.node]]).toBe("hash");
    expect(after.total[found.node]).toBe(2);
  });

  it("stop at the deepest ancestor that is left", () => {
    const before = buildTree(profileOf("m;work;hash 5"));
    const after = buildTree(profileOf("m;work;sort 5"));
    const found = findPath(after, pathOf(before, 3));
    expect(found.complete).toBe(false);
    expect(after.names[after.name[found.node]]).toBe("work");
  });

  it("rest on hashes that stay what they are: links and colours depend on them", () => {
    expect([hashText(""), hashText("main"), hashText("دالة"), joinHash(1, 2)]).toMatchInlineSnapshot(`
      [
        2872998923,
        3652742172,
        3598960924,
        2833796822,
      ]
    `);
  });
});

describe("neighbour", () => {
  const tree = buildTree(profileOf("a;x 1\na;y 3\nb;z 4"));
  const node = (name: string) => Array.from(tree.name).findIndex((n) => tree.names[n] === name);

  it("goes to callers, heaviest callees and neighbours", () => {
    expect(neighbour(tree, node("a"), 0, "down")).toBe(node("y"));
    expect(neighbour(tree, node("y"), 0, "up")).toBe(node("a"));
    expect(neighbour(tree, node("y"), 0, "right")).toBe(node("z"));
    expect(neighbour(tree, node("x"), 0, "left")).toBe(node("x"));
    expect(neighbour(tree, node("z"), 0, "down")).toBe(node("z"));
  });

  it("goes to a function rather than to the sum of what was pruned", () => {
    const columns = profileOf("f;(other) 9\nf;g 2\nh;(other) 3");
    columns.nodes.name.forEach((of, at) => columns.names[of] === "(other)" && (columns.nodes.kind[at] = Kind.Other));
    const pruned = buildTree(columns);
    const named = (name: string) => pruned.names.findIndex((other, i) => other === name && pruned.name.includes(i));
    const at = (name: string) => pruned.name.indexOf(named(name));
    expect(neighbour(pruned, at("f"), 0, "down")).toBe(at("g"));
    expect(pruned.kind[neighbour(pruned, at("h"), 0, "down")]).toBe(Kind.Other);
  });

  it("does not leave what is zoomed sideways, and goes down through it", () => {
    expect(neighbour(tree, node("y"), node("a"), "right")).toBe(node("y"));
    expect(neighbour(tree, 0, node("x"), "down")).toBe(node("a"));
    expect(neighbour(tree, node("a"), node("x"), "down")).toBe(node("x"));
  });

  it("stays inside the tree", () => {
    fc.assert(
      fc.property(anyProfile, fc.nat(), fc.nat(), fc.constantFrom("up", "down", "left", "right"), (profile, a, b, direction) => {
        const any = buildTree(profile);
        const from = a % any.count;
        const to = neighbour(any, from, b % any.count, direction);
        expect(to).toBeGreaterThanOrEqual(0);
        expect(to).toBeLessThan(any.count);
        if (direction === "down" && to !== from) expect(isWithin(any, to, from)).toBe(true);
      }),
    );
  });
});
