/**
 * The tree a picture is drawn from.
 *
 * The server sends parallel columns in which parents stand before children. `buildTree` checks them
 * (they come from outside) and renumbers the nodes in level order, which gives all other layout code
 * its speed: the nodes of one row are contiguous and sorted by position, so are the children of one
 * node, and every question about a place is a binary search. Everything is a typed array: a million
 * nodes take about 60 MB and no objects.
 *
 * Refuses: columns of unequal length, indexes outside their tables, a child before its parent.
 */

/** A profile as it arrives, see `GET /api/v1/flamegraph`. */
export interface ProfileColumns {
  readonly names: readonly string[];
  readonly modules: readonly string[];
  readonly files: readonly string[];
  readonly nodes: {
    readonly parent: ArrayLike<number>;
    readonly name: ArrayLike<number>;
    readonly module: ArrayLike<number>;
    readonly file: ArrayLike<number>;
    readonly line: ArrayLike<number>;
    readonly kind: ArrayLike<number>;
    readonly inlined: ArrayLike<number>;
    readonly self: ArrayLike<number>;
    readonly total: ArrayLike<number>;
  };
}

/** What a frame is; the numbers are those of the API. */
export const Kind = { Root: 0, Native: 1, Kernel: 2, Managed: 3, Special: 4, Other: 5, Label: 6 } as const;

/** Nodes in level order: node 0 is the root, rows are contiguous, siblings too. */
export interface Tree {
  readonly count: number;
  readonly names: readonly string[];
  readonly modules: readonly string[];
  readonly files: readonly string[];
  readonly parent: Int32Array;
  readonly name: Int32Array;
  readonly module: Int32Array;
  readonly file: Int32Array;
  readonly line: Int32Array;
  readonly kind: Uint8Array;
  readonly inlined: Uint8Array;
  readonly self: Float64Array;
  readonly total: Float64Array;
  /** Where a box begins, in the unit of values; the root begins at 0. */
  readonly start: Float64Array;
  readonly row: Int32Array;
  readonly firstChild: Int32Array;
  readonly childCount: Int32Array;
  /** Nodes of row r are `rowStart[r]` up to, not including, `rowStart[r + 1]`. */
  readonly rowStart: Int32Array;
  readonly rowCount: number;
  readonly maxSelf: number;
}

/** The boxes of a grouped profile, one per value of the label; they stand right below the root. */
export function labelNodes(tree: Tree): number[] {
  const end = tree.firstChild[0] + tree.childCount[0];
  const nodes: number[] = [];
  for (let node = tree.firstChild[0]; node < end; node++) if (tree.kind[node] === Kind.Label) nodes.push(node);
  return nodes;
}

export class BrokenProfile extends Error {
  override name = "BrokenProfile";
}

/** Checks the columns and lays them out. Throws `BrokenProfile` for columns that contradict themselves. */
export function buildTree(profile: ProfileColumns): Tree {
  const count = checkColumns(profile);
  const { nodes } = profile;
  const { order, firstChild, childCount } = levelOrder(nodes.parent, count);

  const newIndex = new Int32Array(count);
  for (let i = 0; i < count; i++) newIndex[order[i]] = i;

  const parent = new Int32Array(count);
  for (let i = 0; i < count; i++) parent[i] = newIndex[nodes.parent[order[i]]];

  const self = pick(new Float64Array(count), nodes.self, order);
  const total = pick(new Float64Array(count), nodes.total, order);
  const row = rowsOf(parent, count);
  return {
    count,
    names: profile.names,
    modules: profile.modules,
    files: profile.files,
    parent,
    name: pick(new Int32Array(count), nodes.name, order),
    module: pick(new Int32Array(count), nodes.module, order),
    file: pick(new Int32Array(count), nodes.file, order),
    line: pick(new Int32Array(count), nodes.line, order),
    kind: pick(new Uint8Array(count), nodes.kind, order),
    inlined: pick(new Uint8Array(count), nodes.inlined, order),
    self,
    total,
    start: startsOf(parent, total, count),
    row,
    firstChild,
    childCount,
    rowStart: rowStartsOf(row, count),
    rowCount: row[count - 1] + 1,
    maxSelf: self.reduce((a, b) => Math.max(a, b), 0),
  };
}

function checkColumns(profile: ProfileColumns): number {
  const { nodes } = profile;
  const count = nodes.parent.length;
  if (count === 0) throw new BrokenProfile("the profile has no root");
  for (const [column, values] of Object.entries(nodes)) {
    if (values.length !== count) {
      throw new BrokenProfile(`column ${column} has ${values.length} rows where parent has ${count}`);
    }
  }
  checkIndexes("name", nodes.name, profile.names.length);
  checkIndexes("module", nodes.module, profile.modules.length);
  checkIndexes("file", nodes.file, profile.files.length);
  if (nodes.parent[0] !== 0) throw new BrokenProfile("node 0 is not its own parent");
  for (let i = 1; i < count; i++) {
    const parent = nodes.parent[i];
    if (!(parent >= 0 && parent < i)) throw new BrokenProfile(`node ${i} stands before its parent`);
  }
  return count;
}

function checkIndexes(column: string, values: ArrayLike<number>, limit: number): void {
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (!(value >= 0 && value < limit)) {
      throw new BrokenProfile(`${column} ${value} of node ${i} is outside its table of ${limit}`);
    }
  }
}

/**
 * Level order by two counting passes and no queue of objects. Children are handed out in the order
 * of their parents, so each run of siblings stays in the order the server chose.
 */
function levelOrder(parent: ArrayLike<number>, count: number) {
  const childTotal = new Int32Array(count);
  for (let i = 1; i < count; i++) childTotal[parent[i]]++;
  const slot = new Int32Array(count + 1);
  for (let i = 0; i < count; i++) slot[i + 1] = slot[i] + childTotal[i];
  const children = new Int32Array(Math.max(0, count - 1));
  const cursor = slot.slice(0, count);
  for (let i = 1; i < count; i++) children[cursor[parent[i]]++] = i;

  const order = new Int32Array(count);
  const firstChild = new Int32Array(count);
  const childCount = new Int32Array(count);
  let filled = 1;
  for (let i = 0; i < count; i++) {
    const old = order[i];
    firstChild[i] = filled;
    childCount[i] = childTotal[old];
    for (let c = slot[old]; c < slot[old + 1]; c++) order[filled++] = children[c];
  }
  return { order, firstChild, childCount };
}

function pick<T extends Int32Array | Uint8Array | Float64Array>(
  into: T,
  from: ArrayLike<number>,
  order: Int32Array,
): T {
  for (let i = 0; i < order.length; i++) into[i] = from[order[i]];
  return into;
}

function rowsOf(parent: Int32Array, count: number): Int32Array {
  const row = new Int32Array(count);
  for (let i = 1; i < count; i++) row[i] = row[parent[i]] + 1;
  return row;
}

/** Children fill their parent from its left edge; what a parent does itself stays free at its right. */
function startsOf(parent: Int32Array, total: Float64Array, count: number): Float64Array {
  const start = new Float64Array(count);
  const next = new Float64Array(count);
  for (let i = 1; i < count; i++) {
    const p = parent[i];
    start[i] = next[p];
    next[p] += total[i];
    next[i] = start[i];
  }
  return start;
}

function rowStartsOf(row: Int32Array, count: number): Int32Array {
  const rows = row[count - 1] + 1;
  const rowStart = new Int32Array(rows + 1);
  for (let i = 1; i < count; i++) if (row[i] !== row[i - 1]) rowStart[row[i]] = i;
  rowStart[rows] = count;
  return rowStart;
}
