/**
 * Moving and zooming with wheel, mouse and fingers. A wheel scrolls; with Ctrl or Cmd, which is also
 * what a pinch on a touchpad sends, it zooms at the pointer; sideways it pans. A mouse drags the picture,
 * two fingers pinch it.
 */
import { panSpan, type Span, toValue, zoomSpan } from "../layout/index.ts";

interface Target {
  /** What is seen now, of how much, and how wide. */
  span(): { readonly span: Span; readonly whole: number; readonly widthPx: number };
  move(span: Span, scrollPx: number): void;
}

/** Shorter drags are clicks. */
const MIN_DRAG_PX = 4;
/** One notch of a wheel (some 100 px) zooms by about a quarter. */
const ZOOM_PER_PX = 0.0023;
const LINE_PX = 20;

export function listenToGestures(canvas: HTMLCanvasElement, signal: AbortSignal, target: Target): void {
  canvas.addEventListener("wheel", (event) => onWheel(canvas, event, target), { signal, passive: false });
  listenToDrags(canvas, signal, target);
  listenToPinches(canvas, signal, target);
}

function onWheel(canvas: HTMLCanvasElement, event: WheelEvent, target: Target): void {
  const scale = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE_PX : 1;
  const [dx, dy] = event.shiftKey ? [(event.deltaX || event.deltaY) * scale, 0] : [event.deltaX * scale, event.deltaY * scale];
  const { span, whole, widthPx } = target.span();
  if (event.ctrlKey || event.metaKey) {
    event.preventDefault();
    const at = toValue(span, widthPx, event.clientX - canvas.getBoundingClientRect().left);
    target.move(zoomSpan(span, at, Math.exp(dy * ZOOM_PER_PX), whole), 0);
  } else if (Math.abs(dx) > Math.abs(dy)) {
    event.preventDefault();
    target.move(panSpan(span, (dx / widthPx) * (span.end - span.start), whole), 0);
  }
}

function listenToDrags(canvas: HTMLCanvasElement, signal: AbortSignal, target: Target): void {
  let from: { x: number; y: number } | null = null;
  let dragging = false;
  const onDown = (event: PointerEvent) => {
    dragging = false;
    from = event.pointerType !== "touch" && event.button === 0 ? { x: event.clientX, y: event.clientY } : null;
  };
  const onMove = (event: PointerEvent) => {
    if (!from || (event.buttons & 1) === 0) return;
    const [dx, dy] = [event.clientX - from.x, event.clientY - from.y];
    if (!dragging && Math.hypot(dx, dy) < MIN_DRAG_PX) return;
    if (!dragging) canvas.setPointerCapture(event.pointerId);
    dragging = true;
    from = { x: event.clientX, y: event.clientY };
    const { span, whole, widthPx } = target.span();
    target.move(panSpan(span, (-dx / widthPx) * (span.end - span.start), whole), -dy);
  };
  const onClick = (event: MouseEvent) => {
    // The click at the end of a drag is none.
    if (dragging) event.stopImmediatePropagation();
    dragging = false;
  };
  canvas.addEventListener("pointerdown", onDown, { signal });
  canvas.addEventListener("pointermove", onMove, { signal });
  canvas.addEventListener("click", onClick, { signal, capture: true });
}

function listenToPinches(canvas: HTMLCanvasElement, signal: AbortSignal, target: Target): void {
  let before: { distance: number; middle: number } | null = null;
  const read = (touches: TouchList) => {
    const { left } = canvas.getBoundingClientRect();
    const [a, b] = [touches[0].clientX - left, touches[1].clientX - left];
    return { distance: Math.max(24, Math.abs(a - b)), middle: (a + b) / 2 };
  };
  const onMove = (event: TouchEvent) => {
    if (event.touches.length !== 2) return;
    event.preventDefault();
    const now = read(event.touches);
    if (before) {
      const { span, whole, widthPx } = target.span();
      const zoomed = zoomSpan(span, toValue(span, widthPx, before.middle), before.distance / now.distance, whole);
      const shift = ((before.middle - now.middle) / widthPx) * (zoomed.end - zoomed.start);
      target.move(panSpan(zoomed, shift, whole), 0);
    }
    before = now;
  };
  const onEnd = (event: TouchEvent) => {
    if (event.touches.length < 2) before = null;
  };
  canvas.addEventListener("touchmove", onMove, { signal, passive: false });
  canvas.addEventListener("touchend", onEnd, { signal });
  canvas.addEventListener("touchcancel", onEnd, { signal });
}
