/** What a flame graph is told to show, and what it tells of what the person does. */
import { absoluteSpan, type Matches, type Span, spanOf, type Tree } from "../layout/index.ts";
import type { ColourBy, Drawn, Rgb, Theme } from "../render/index.ts";

export interface FlameInput {
  readonly tree: Tree;
  readonly zoom: number;
  readonly matches: Matches | null;
  readonly selected: number;
  readonly theme: Theme;
  readonly labelColours: ReadonlyMap<string, Rgb>;
  readonly colourBy: ColourBy;
  readonly change: Float32Array | null;
  readonly flip: boolean;
  /** The part of the zoomed frame that fills the width; null for all of it. */
  readonly part: readonly [number, number] | null;
}

export interface FlameEvents {
  onHover(node: number, clientX: number, clientY: number): void;
  onSelect(node: number): void;
  onZoom(node: number): void;
  onOpen(node: number): void;
  /** A menu is asked for, at a place on the page. */
  onMenu(node: number, clientX: number, clientY: number): void;
  /** A gesture came to rest: this part of the zoomed frame fills the width now. */
  onPart(part: readonly [number, number] | null): void;
  onDrawn(drawn: Drawn): void;
}

export function onlySelectionDiffers(a: FlameInput, b: FlameInput): boolean {
  const keys = Object.keys(b) as (keyof FlameInput)[];
  return keys.every((key) => key === "selected" || a[key] === b[key]);
}

/** What fills the width once everything has come to rest. */
export function targetSpan(input: FlameInput): Span {
  return absoluteSpan(spanOf(input.tree, input.zoom), input.part, input.tree.total[0]);
}
