/**
 * What follows the mouse (the outlines of the hovered and the selected box) is drawn onto a canvas of
 * its own above the picture, so that a moving mouse costs two rectangles and not a picture.
 */
import { css, PALETTES } from "./colour.ts";
import { type Box, fitCanvas, placeNode, type Scene } from "./scene.ts";

/** -1 for none. */
export interface Marks {
  readonly hovered: number;
  readonly selected: number;
}

export interface MarkPainter {
  draw(scene: Scene, marks: Marks): void;
}

/** Wipes only what it painted before. */
export function createMarkPainter(canvas: HTMLCanvasElement): MarkPainter {
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser offers no 2D canvas");
  let painted: Box[] = [];
  return {
    draw(scene, { hovered, selected }) {
      fitCanvas(canvas, scene);
      context.setTransform(scene.pixelRatio, 0, 0, scene.pixelRatio, 0, 0);
      for (const box of painted) context.clearRect(box.x - 2, box.y - 2, box.width + 4, box.height + 4);
      painted = [];
      const mark = (node: number, lineWidth: number) => {
        const box = placeNode(scene, node);
        if (!box) return;
        painted.push(box);
        context.strokeStyle = css(PALETTES[scene.theme].outline);
        context.lineWidth = lineWidth;
        const inset = lineWidth / 2;
        context.strokeRect(box.x + inset, box.y + inset, Math.max(1, box.width - lineWidth), box.height - lineWidth);
      };
      mark(selected, 2);
      if (hovered !== selected) mark(hovered, 1);
    },
  };
}
