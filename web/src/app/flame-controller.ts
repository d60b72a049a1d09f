/**
 * The flame graph's contact with the mouse, the finger, the keyboard and the screen. It owns the
 * canvases and what changes faster than components should render: hover, animation, scrolling. What is
 * looked at comes in through `show`; what the person wants goes out through `FlameEvents`.
 *
 * The canvas is as large as its viewport and sticks to it while the page behind scrolls, so a
 * profile a thousand rows deep costs no more memory than a shallow one.
 */
import { between, type Direction, neighbour, nodeAt, panSpan, relativeSpan, rowAt, rowTop, type Span, spanOf, toPx, toValue, type Tree, zoomSpan } from "../layout/index.ts";
import { createFlamePainter, createMarkPainter, type FlamePainter, type MarkPainter, ROW_HEIGHT_PX, rowsOf, type Scene } from "../render/index.ts";
import { type FlameEvents, type FlameInput, onlySelectionDiffers, targetSpan } from "./flame-input.ts";
import { listenToGestures } from "./gestures.ts";

const ZOOM_ANIMATION_MS = 140;
/** So long after its last event a gesture has come to rest. */
const REST_MS = 180;

export class FlameController {
  readonly #canvas: HTMLCanvasElement;
  readonly #overlay: HTMLCanvasElement;
  readonly #scroller: HTMLElement;
  readonly #events: FlameEvents;
  readonly #painter: FlamePainter;
  readonly #marks: MarkPainter;
  readonly #observer: ResizeObserver;
  readonly #abort = new AbortController();
  #input: FlameInput | null = null;
  #span: Span = { start: 0, end: 1 };
  /** Where gestures moved to, until the view knows of it. */
  #gesture: Span | null = null;
  #rest = 0;
  #moving = false;
  #animation: { readonly from: Span; readonly startedMs: number } | null = null;
  #hovered = -1;
  #pointer: { readonly x: number; readonly y: number } | null = null;
  #frame = 0;
  #marksFrame = 0;
  /** What is on the canvas now. */
  #scene: Scene | null = null;
  #width = 0;
  #height = 0;

  constructor(canvas: HTMLCanvasElement, overlay: HTMLCanvasElement, scroller: HTMLElement, events: FlameEvents) {
    this.#canvas = canvas;
    this.#overlay = overlay;
    this.#scroller = scroller;
    this.#events = events;
    this.#painter = createFlamePainter(canvas);
    this.#marks = createMarkPainter(overlay);
    this.#observer = new ResizeObserver(() => this.#measure());
    this.#observer.observe(scroller);
    const { signal } = this.#abort;
    scroller.addEventListener("scroll", () => this.#onScroll(), { signal, passive: true });
    canvas.addEventListener("pointermove", (event) => this.#onMove(event), { signal });
    canvas.addEventListener("pointerleave", () => this.#onLeave(), { signal });
    canvas.addEventListener("contextmenu", (event) => this.#onMenu(event), { signal });
    listenToGestures(canvas, signal, {
      span: () => ({ span: this.#span, whole: this.#input?.tree.total[0] ?? 1, widthPx: this.#width }),
      move: (span, scrollPx) => this.#moveTo(span, scrollPx),
    });
    canvas.addEventListener("click", (event) => this.#onClick(event), { signal });
    canvas.addEventListener("dblclick", (event) => this.#onDoubleClick(event), { signal });
    window.addEventListener("resize", () => this.#measure(), { signal });
    this.#measure();
  }

  dispose(): void {
    this.#abort.abort();
    this.#observer.disconnect();
    cancelAnimationFrame(this.#frame);
    cancelAnimationFrame(this.#marksFrame);
    window.clearTimeout(this.#rest);
  }

  /** Moves the view horizontally and scrolls it; the view is told when the gesture rests. */
  #moveTo(span: Span, scrollPx: number): void {
    if (!this.#input) return;
    if (scrollPx !== 0) this.#scroller.scrollTop += scrollPx;
    this.#animation = null;
    this.#moving = true;
    this.#gesture = span;
    this.#span = span;
    this.#schedule();
    window.clearTimeout(this.#rest);
    this.#rest = window.setTimeout(() => {
      this.#moving = false;
      this.#schedule();
      if (this.#input && this.#gesture) this.#events.onPart(relativeSpan(spanOf(this.#input.tree, this.#input.zoom), this.#gesture));
    }, REST_MS);
  }

  /** Zooms around the middle, or moves sideways by a part of the width: what keys do. */
  step(zoomFactor: number, widths: number): void {
    if (!this.#input) return;
    const whole = this.#input.tree.total[0];
    const middle = (this.#span.start + this.#span.end) / 2;
    const zoomed = zoomSpan(this.#span, middle, zoomFactor, whole);
    this.#moveTo(panSpan(zoomed, widths * (zoomed.end - zoomed.start), whole), 0);
  }

  /** Shows this from the next frame on; a change of zoom within one tree is animated. */
  show(input: FlameInput): void {
    const before = this.#input;
    this.#input = input;
    const moved = before?.tree !== input.tree || before.zoom !== input.zoom || before.part !== input.part;
    if (moved) this.#gesture = null;
    if (before?.tree === input.tree && before.zoom !== input.zoom && !prefersStillness()) {
      this.#animation = { from: this.#span, startedMs: performance.now() };
    } else if (before?.tree !== input.tree) {
      this.#animation = null;
    }
    if (!this.#animation) this.#span = this.#gesture ?? targetSpan(input);
    if (before?.flip !== input.flip) this.#showRoot(input);
    if (before?.tree !== input.tree) this.#rehover(input, true);
    if (before && before.tree === input.tree && before.zoom !== input.zoom) this.#revealRow(input.tree.row[input.zoom]);
    if (before?.selected !== input.selected && input.selected >= 0) this.#revealRow(input.tree.row[input.selected]);
    if (before && onlySelectionDiffers(before, input)) this.#scheduleMarks();
    else if (before && before.theme !== input.theme) this.#draw();
    else this.#schedule();
  }

  /** The node an arrow key leads to from the selection (or, without one, the zoomed node itself). */
  neighbourOf(selected: number, direction: Direction): number {
    const input = this.#input;
    if (!input) return -1;
    return selected < 0 ? input.zoom : neighbour(input.tree, selected, input.zoom, direction);
  }

  /** Middle of a node's visible part, in client coordinates, to place its card. */
  placeOf(tree: Tree, node: number): { x: number; y: number } {
    const bounds = this.#canvas.getBoundingClientRect();
    const own = spanOf(tree, node);
    const left = Math.max(0, toPx(this.#span, this.#width, own.start));
    const right = Math.min(this.#width, toPx(this.#span, this.#width, own.end));
    const y = this.#top(tree.row[node]) + ROW_HEIGHT_PX - this.#scroller.scrollTop;
    return { x: bounds.left + (left + right) / 2, y: bounds.top + y };
  }

  /** Upper edge of a row in the scrolled content. */
  #top(row: number): number {
    const { tree, flip } = this.#input ?? {};
    return tree ? rowTop(rowsOf({ tree, flip: flip ?? false, heightPx: this.#height }), row) : 0;
  }

  #showRoot(input: FlameInput): void {
    // The spacer gets its height from the component before this runs.
    this.#scroller.scrollTop = input.flip ? this.#scroller.scrollHeight : 0;
  }

  #measure(): void {
    this.#width = this.#scroller.clientWidth;
    this.#height = this.#scroller.clientHeight;
    for (const canvas of [this.#canvas, this.#overlay]) {
      canvas.style.width = `${this.#width}px`;
      canvas.style.height = `${this.#height}px`;
    }
    // Both stick to the same place: the second lies over the first.
    this.#overlay.style.marginTop = `-${this.#height}px`;
    // Drawing now and not in the next frame: a resized canvas is blank until it is drawn on.
    if (this.#input) this.#draw();
  }

  #schedule(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#draw());
  }

  #scheduleMarks(): void {
    cancelAnimationFrame(this.#marksFrame);
    this.#marksFrame = requestAnimationFrame(() => this.#drawMarks());
  }

  #drawMarks(): void {
    if (!this.#scene || !this.#input || this.#scene.tree !== this.#input.tree) return;
    this.#marks.draw(this.#scene, { hovered: this.#hovered, selected: this.#input.selected });
  }

  #draw(): void {
    const input = this.#input;
    if (!input || this.#width === 0 || this.#height === 0) return;
    this.#advance(input);
    // While a hand moves the picture nobody reads cards and summaries: a frame only paints.
    if (!this.#animation && !this.#moving) this.#rehover(input, false);
    this.#scene = {
      tree: input.tree,
      span: this.#span,
      zoom: input.zoom,
      matches: input.matches,
      theme: input.theme,
      labelColours: input.labelColours,
      colourBy: input.colourBy,
      change: input.change,
      flip: input.flip,
      widthPx: this.#width,
      heightPx: this.#height,
      scrollPx: this.#scroller.scrollTop,
      pixelRatio: window.devicePixelRatio || 1,
    };
    const drawn = this.#painter.draw(this.#scene);
    this.#drawMarks();
    if (this.#animation) this.#schedule();
    else if (!this.#moving) this.#events.onDrawn(drawn);
  }

  #advance(input: FlameInput): void {
    const target = targetSpan(input);
    if (!this.#animation) {
      this.#span = this.#gesture ?? target;
      return;
    }
    const progress = Math.min(1, (performance.now() - this.#animation.startedMs) / ZOOM_ANIMATION_MS);
    const eased = 1 - (1 - progress) ** 3;
    this.#span = between(this.#animation.from, target, eased);
    if (progress >= 1) this.#animation = null;
  }

  /** The picture may have moved below a mouse that rests; in a new tree the index means another frame. */
  #rehover(input: FlameInput, isNewTree: boolean): void {
    if (!this.#pointer) return;
    const node = this.#nodeUnder(input, this.#pointer.x, this.#pointer.y);
    if (node === this.#hovered && !isNewTree) return;
    this.#hovered = node;
    this.#events.onHover(node, this.#pointer.x, this.#pointer.y);
  }

  #nodeUnder(input: FlameInput, clientX: number, clientY: number): number {
    const bounds = this.#canvas.getBoundingClientRect();
    const x = clientX - bounds.left;
    const y = clientY - bounds.top;
    if (x < 0 || y < 0 || x >= this.#width || y >= this.#height) return -1;
    const rows = rowsOf({ tree: input.tree, flip: input.flip, heightPx: this.#height });
    return nodeAt(input.tree, rowAt(rows, y + this.#scroller.scrollTop), toValue(this.#span, this.#width, x));
  }

  #onMove(event: PointerEvent): void {
    if (!this.#input || event.pointerType === "touch") return;
    this.#pointer = { x: event.clientX, y: event.clientY };
    const node = this.#nodeUnder(this.#input, event.clientX, event.clientY);
    this.#canvas.style.cursor = node >= 0 ? "pointer" : "default";
    this.#events.onHover(node, event.clientX, event.clientY);
    if (node === this.#hovered) return;
    this.#hovered = node;
    this.#scheduleMarks();
  }

  #onLeave(): void {
    this.#pointer = null;
    if (this.#hovered < 0) return;
    this.#hovered = -1;
    this.#events.onHover(-1, 0, 0);
    this.#scheduleMarks();
  }

  #onScroll(): void {
    this.#schedule();
  }

  /** A mouse zooms at once. A finger cannot hover, so its first tap selects and its second zooms. */
  #onClick(event: MouseEvent): void {
    const input = this.#input;
    if (!input) return;
    const node = this.#nodeUnder(input, event.clientX, event.clientY);
    const isTouch = (event as PointerEvent).pointerType === "touch";
    if (node < 0) this.#events.onSelect(-1);
    else if (isTouch && input.selected !== node) this.#events.onSelect(node);
    else this.#events.onZoom(node);
  }

  #onDoubleClick(event: MouseEvent): void {
    const node = this.#input ? this.#nodeUnder(this.#input, event.clientX, event.clientY) : -1;
    if (node >= 0) this.#events.onOpen(node);
  }

  #onMenu(event: MouseEvent): void {
    const node = this.#input ? this.#nodeUnder(this.#input, event.clientX, event.clientY) : -1;
    if (node < 0) return;
    event.preventDefault();
    this.#events.onMenu(node, event.clientX, event.clientY);
  }

  #revealRow(row: number): void {
    const top = this.#top(row);
    const margin = 2 * ROW_HEIGHT_PX;
    const { scrollTop } = this.#scroller;
    if (top < scrollTop + margin) this.#scroller.scrollTop = top - margin;
    else if (top + ROW_HEIGHT_PX + margin > scrollTop + this.#height) {
      this.#scroller.scrollTop = top + ROW_HEIGHT_PX + margin - this.#height;
    }
  }
}

function prefersStillness(): boolean {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}
