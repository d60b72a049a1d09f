/** uPlot listens to the mouse only; this lets a finger drag a selection across the chart as well. */
import type uPlot from "uplot";

export function touchBrush(u: uPlot, onEnd: (leftPx: number, widthPx: number) => void): void {
  const { over } = u;
  let startPx: number | null = null;
  let endPx = 0;
  const at = (event: PointerEvent) => {
    const bounds = over.getBoundingClientRect();
    return Math.min(Math.max(0, event.clientX - bounds.left), bounds.width);
  };
  const finish = (event: PointerEvent, chosen: boolean) => {
    if (event.pointerType !== "touch" || startPx === null) return;
    const left = Math.min(startPx, endPx);
    const width = Math.abs(endPx - startPx);
    startPx = null;
    if (chosen) onEnd(left, width);
    else u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  };
  over.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "touch") return;
    startPx = endPx = at(event);
    over.setPointerCapture(event.pointerId);
  });
  over.addEventListener("pointermove", (event) => {
    if (event.pointerType !== "touch" || startPx === null) return;
    endPx = at(event);
    u.setSelect({ left: Math.min(startPx, endPx), width: Math.abs(endPx - startPx), top: 0, height: over.clientHeight }, false);
  });
  over.addEventListener("pointerup", (event) => finish(event, true));
  over.addEventListener("pointercancel", (event) => finish(event, false));
}
