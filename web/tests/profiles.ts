/** Profiles for tests: made from stacks written as text, and arbitrary ones for properties. */
import fc from "fast-check";
import { Kind, type ProfileColumns } from "../src/layout/index.ts";

export interface Columns extends ProfileColumns {
  readonly nodes: { readonly [K in keyof ProfileColumns["nodes"]]: number[] };
}

function emptyColumns(): Columns {
  return {
    names: ["all"],
    modules: [""],
    files: [""],
    nodes: { parent: [0], name: [0], module: [0], file: [0], line: [0], kind: [Kind.Root], inlined: [0], self: [0], total: [0] },
  };
}

interface NodeFacts {
  readonly parent: number;
  readonly name: number;
  readonly module: number;
  readonly self: number;
}

function pushNode(columns: Columns, facts: NodeFacts): number {
  const { nodes } = columns;
  nodes.parent.push(facts.parent);
  nodes.name.push(facts.name);
  nodes.module.push(facts.module);
  nodes.file.push(0);
  nodes.line.push(0);
  nodes.kind.push(Kind.Native);
  nodes.inlined.push(0);
  nodes.total.push(0);
  return nodes.self.push(facts.self) - 1;
}

function sumTotals(columns: Columns): Columns {
  const { parent, self, total } = columns.nodes;
  for (let i = parent.length - 1; i >= 0; i--) {
    total[i] += self[i];
    if (i > 0) total[parent[i]] += total[i];
  }
  return columns;
}

/** `main;compute 3` per line, as in collapsed stacks. Nodes appear in the order of the lines. */
export function profileOf(collapsed: string): Columns {
  const columns = emptyColumns();
  const names = columns.names as string[];
  const byPath = new Map<string, number>();
  for (const line of collapsed.trim().split("\n")) {
    const [, stack, value] = /^\s*(.*) (\d+)$/.exec(line) as RegExpExecArray;
    let at = 0;
    let path = "";
    for (const frame of stack.split(";")) {
      path += `;${frame}`;
      if (!names.includes(frame)) names.push(frame);
      const next = byPath.get(path) ?? pushNode(columns, { parent: at, name: names.indexOf(frame), module: 0, self: 0 });
      byPath.set(path, next);
      at = next;
    }
    columns.nodes.self[at] += Number(value);
  }
  return sumTotals(columns);
}

/** Any tree whose parents stand before their children, in any such order, twins among siblings included. */
export const anyProfile: fc.Arbitrary<Columns> = fc
  .array(fc.record({ up: fc.nat(), name: fc.nat({ max: 5 }), module: fc.nat({ max: 2 }), self: fc.nat({ max: 1000 }) }), {
    minLength: 1,
    maxLength: 120,
  })
  .map((drafts) => {
    const columns = emptyColumns();
    (columns.names as string[]).push("a", "b", "c", "d", "e");
    (columns.modules as string[]).push("m", "n");
    drafts.forEach(({ up, name, module, self }, i) => pushNode(columns, { parent: up % (i + 1), name, module, self }));
    columns.nodes.self[columns.nodes.self.length - 1]++;
    return sumTotals(columns);
  });

/** A wide and deep profile of `count` nodes, repeatable. */
export function largeProfile(count: number): Columns {
  const columns = emptyColumns();
  const names = columns.names as string[];
  for (let i = 1; i <= 20_000; i++) names.push(`ns${i % 97}::Type${i % 911}::method_${i}`);
  let state = 1;
  const random = () => (state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0) / 2 ** 32;
  for (let i = 1; i < count; i++) {
    const parent = i < 40 ? i - 1 : Math.floor(i * (0.4 + 0.6 * random()));
    pushNode(columns, { parent, name: 1 + Math.floor(random() * 20_000), module: 0, self: 1 + Math.floor(random() ** 4 * 1000) });
  }
  return sumTotals(columns);
}
