/** What is worked out once per tree and theme: fills and fitted labels. */
import { displayName, fitLabel, hashText, Kind, type Tree } from "../layout/index.ts";
import { changeColour, frameColour, mix, PALETTES, pixel, type Rgb } from "./colour.ts";
import type { Scene } from "./scene.ts";
import type { TextRuler } from "./text.ts";

const MAX_CACHED_LABELS = 20_000;
/** How much of a muted box is its own colour. */
const MUTED = 0.38;
/** Steps of the scale of change. */
const CHANGE_STEPS = 64;

/** Fills as 32-bit pixels. */
export class FillCache {
  #scene: Scene | null = null;
  readonly #fills = new Map<number, number>();
  readonly #muted = new Map<number, number>();
  #groups: Int32Array | null = null;

  use(scene: Scene): void {
    const before = this.#scene;
    this.#scene = scene;
    if (before?.tree !== scene.tree) this.#groups = null;
    const same =
      before?.tree === scene.tree &&
      before.theme === scene.theme &&
      before.labelColours === scene.labelColours &&
      before.colourBy === scene.colourBy &&
      before.change === scene.change;
    if (same) return;
    this.#fills.clear();
    this.#muted.clear();
  }

  pixel(node: number, muted: boolean): number {
    const cache = muted ? this.#muted : this.#fills;
    const key = this.#key(node);
    let fill = cache.get(key);
    if (fill === undefined) {
      const { background } = PALETTES[(this.#scene as Scene).theme];
      const colour = this.#colour(node);
      fill = pixel(muted ? mix(background, colour, MUTED) : colour);
      cache.set(key, fill);
    }
    return fill;
  }

  #key(node: number): number {
    const { tree, colourBy, change } = this.#scene as Scene;
    if (colourBy === "change" && change) return changeStep(change[node]);
    const key = (tree.name[node] * tree.modules.length + tree.module[node]) * 8 + tree.kind[node];
    return colourBy === "group" ? key * 1024 + (this.#group(node) & 1023) : key;
  }

  #colour(node: number): Rgb {
    const { tree, theme, colourBy, change, labelColours } = this.#scene as Scene;
    if (colourBy === "change" && change) return changeColour(theme, Number.isNaN(change[node]) ? NaN : changeStep(change[node]) / CHANGE_STEPS);
    const name = tree.names[tree.name[node]];
    const own = frameColour(theme, tree.kind[node], tree.modules[tree.module[node]], name);
    if (tree.kind[node] === Kind.Label) return labelColours.get(name) ?? own;
    if (colourBy !== "group" || tree.kind[node] === Kind.Root) return own;
    const label = this.#group(node);
    const group = label < 0 ? undefined : labelColours.get(tree.names[tree.name[label]]);
    if (!group) return own;
    // Lighter or darker by function, so that neighbours can be told apart.
    const shade = 0.42 + 0.1 * (hashText(name) % 3);
    return mix(PALETTES[theme].background, group, shade);
  }

  /** The label box that a node lies below; -1 if none. */
  #group(node: number): number {
    const { tree } = this.#scene as Scene;
    if (!this.#groups) {
      this.#groups = new Int32Array(tree.count).fill(-1);
      for (let i = 1; i < tree.count; i++) this.#groups[i] = tree.kind[i] === Kind.Label ? i : this.#groups[tree.parent[i]];
    }
    return this.#groups[node];
  }
}

function changeStep(change: number): number {
  return Number.isNaN(change) ? CHANGE_STEPS * 2 : Math.round(Math.max(-1, Math.min(1, change)) * CHANGE_STEPS);
}

export interface Rulers {
  readonly plain: TextRuler;
  readonly bold: TextRuler;
}

/** Fitted labels per (name, whole pixels of width). */
export class LabelCache {
  #tree: Tree | null = null;
  readonly #rulers: Rulers;
  readonly #labels = new Map<number, string>();
  readonly #names = new Map<number, string>();
  readonly #hashes = new Map<number, number>();

  constructor(rulers: Rulers) {
    this.#rulers = rulers;
  }

  use(tree: Tree): void {
    if (tree === this.#tree) return;
    this.#tree = tree;
    this.#labels.clear();
    this.#names.clear();
    this.#hashes.clear();
  }

  nameHash(node: number): number {
    const tree = this.#tree as Tree;
    const name = tree.name[node];
    let hash = this.#hashes.get(name);
    if (hash === undefined) {
      hash = hashText(tree.names[name]);
      this.#hashes.set(name, hash);
    }
    return hash;
  }

  label(node: number, widthPx: number): string {
    const tree = this.#tree as Tree;
    const name = tree.name[node];
    const width = Math.min(Math.floor(widthPx), 8191);
    const isBold = tree.kind[node] === Kind.Label;
    const key = (name * 2 + (isBold ? 1 : 0)) * 8192 + width;
    let label = this.#labels.get(key);
    if (label === undefined) {
      if (this.#labels.size >= MAX_CACHED_LABELS) this.#labels.clear();
      const ruler = isBold ? this.#rulers.bold : this.#rulers.plain;
      label = fitLabel(this.#displayed(name), width, (text) => ruler.measure(text));
      this.#labels.set(key, label);
    }
    return label;
  }

  #displayed(name: number): string {
    let shown = this.#names.get(name);
    if (shown === undefined) {
      shown = displayName((this.#tree as Tree).names[name]);
      this.#names.set(name, shown);
    }
    return shown;
  }
}
