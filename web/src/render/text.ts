/**
 * Text on a canvas, measured without asking the canvas each time: the advance of every character is
 * measured once and summed. Kerning is ignored, which overstates widths by well under a pixel.
 */

export interface TextRuler {
  measure(text: string): number;
}

/** Characters remembered; beyond it the memory starts anew. */
const MAX_REMEMBERED = 4096;

export function createRuler(context: CanvasRenderingContext2D, font: string): TextRuler {
  const widths = new Map<string, number>();
  const widthOf = (char: string): number => {
    let width = widths.get(char);
    if (width === undefined) {
      if (widths.size >= MAX_REMEMBERED) widths.clear();
      context.save();
      context.font = font;
      width = context.measureText(char).width;
      context.restore();
      widths.set(char, width);
    }
    return width;
  };
  return {
    measure(text) {
      let width = 0;
      for (const char of text) width += widthOf(char);
      return width;
    },
  };
}
