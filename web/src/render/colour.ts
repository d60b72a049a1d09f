/**
 * Which colour a frame has. The hue comes from a hash of the module's name and from nothing else,
 * so a module keeps its colour between views, hosts and days. Kernel frames own the warm hues, which
 * no module gets; frames that are no functions are grey. Lightness differs a little by function so
 * that neighbours of one module can be told apart. Colours are computed in OKLCH, where equal
 * lightness looks equally light, so one text colour is readable on all of them (tested: AA).
 */
import { hashText, Kind } from "../layout/index.ts";

export type Theme = "light" | "dark";

export interface Rgb {
  readonly r: number;
  readonly g: number;
  readonly b: number;
}

/** Colours of the picture that do not depend on a frame. */
export interface Palette {
  readonly background: Rgb;
  readonly text: Rgb;
  readonly mutedText: Rgb;
  readonly match: Rgb;
  readonly matchText: Rgb;
  readonly outline: Rgb;
  /** On the colours of charts, which label boxes share. */
  readonly labelText: Rgb;
}

export const PALETTES: Record<Theme, Palette> = {
  light: {
    background: rgb(0xff, 0xff, 0xff),
    text: rgb(0x14, 0x18, 0x1f),
    mutedText: rgb(0x5c, 0x64, 0x70),
    match: oklch(0.56, 0.23, 330),
    matchText: rgb(0xff, 0xff, 0xff),
    outline: rgb(0x0b, 0x0d, 0x12),
    labelText: rgb(0x05, 0x07, 0x0a),
  },
  dark: {
    background: rgb(0x12, 0x15, 0x1b),
    text: rgb(0xf2, 0xf4, 0xf8),
    mutedText: rgb(0x97, 0xa0, 0xae),
    match: oklch(0.78, 0.19, 335),
    matchText: rgb(0x14, 0x08, 0x12),
    outline: rgb(0xff, 0xff, 0xff),
    labelText: rgb(0x05, 0x07, 0x0a),
  },
};

/** Hues in degrees: modules share 100..338, the kernel has 42, so red and orange mean kernel. */
const MODULE_HUES = 18;
const MODULE_HUE_FIRST = 100;
const MODULE_HUE_STEP = 14;
const KERNEL_HUE = 42;

interface Tone {
  readonly lightness: number;
  readonly chroma: number;
  readonly lightnessStep: number;
  readonly grey: number;
}

const TONES: Record<Theme, Tone> = {
  light: { lightness: 0.8, chroma: 0.1, lightnessStep: 0.022, grey: 0.87 },
  dark: { lightness: 0.43, chroma: 0.085, lightnessStep: 0.022, grey: 0.34 },
};

/** The fill of a frame. */
export function frameColour(theme: Theme, kind: number, module: string, name: string): Rgb {
  const tone = TONES[theme];
  const shade = (hashText(name) % 3) - 1;
  const lightness = tone.lightness + shade * tone.lightnessStep;
  switch (kind) {
    case Kind.Root:
      return oklch(tone.grey + (theme === "light" ? 0.05 : -0.05), 0.008, 260);
    case Kind.Label:
      return restColour(theme);
    case Kind.Special:
    case Kind.Other:
      return oklch(tone.grey, 0.006, 260);
    case Kind.Kernel:
      return oklch(lightness, tone.chroma * 1.12, KERNEL_HUE);
    default:
      if (module === "") return oklch(lightness, 0.025, 255);
      return oklch(lightness, tone.chroma, moduleHue(module));
  }
}

/** Hue of a module in degrees. */
export function moduleHue(module: string): number {
  return MODULE_HUE_FIRST + (hashText(module) % MODULE_HUES) * MODULE_HUE_STEP;
}

/** Colours of lines and areas in charts: distinct for up to twelve groups at once. */
const CHART_HUES = [255, 150, 65, 300, 195, 25, 110, 340, 225, 85, 275, 5];

export function chartColour(theme: Theme, slot: number): Rgb {
  const hue = CHART_HUES[slot % CHART_HUES.length];
  return theme === "light" ? oklch(0.66, 0.13, hue) : oklch(0.66, 0.12, hue);
}

/** Of groups that a chart has no colour left for, or sums. */
export function restColour(theme: Theme): Rgb {
  return theme === "light" ? { r: 176, g: 182, b: 192 } : { r: 126, g: 133, b: 145 };
}

/** Groups that get a colour of their own; one colour stays free for their neighbour. */
export const MAX_COLOURED_GROUPS = CHART_HUES.length - 1;

/** Colours by name for groups in order of weight; what is not in it has the colour of the rest. */
export function groupColours(theme: Theme, names: readonly string[]): Map<string, Rgb> {
  const slots = chartSlots(names.slice(0, MAX_COLOURED_GROUPS));
  return new Map([...slots].map(([name, slot]) => [name, chartColour(theme, slot)]));
}

/** How far apart in degrees the hues of two groups should be, as long as there are hues left. */
const HUES_APART = [60, 35, 0];

/**
 * A chart slot per name: the one its hash asks for, or the next one that looks unlike all that are
 * taken. Names come in order of weight, so that the heavy ones keep their colour while light ones come
 * and go.
 */
export function chartSlots(names: readonly string[]): Map<string, number> {
  const slots = new Map<string, number>();
  const taken = new Set<number>();
  for (const name of names) {
    const slot = freeSlot(hashText(name) % CHART_HUES.length, taken);
    taken.add(slot);
    slots.set(name, slot);
  }
  return slots;
}

function freeSlot(wanted: number, taken: ReadonlySet<number>): number {
  for (const apart of HUES_APART) {
    for (let i = 0; i < CHART_HUES.length; i++) {
      const slot = (wanted + i) % CHART_HUES.length;
      if (!taken.has(slot) && [...taken].every((other) => hueDistance(slot, other) >= apart)) return slot;
    }
  }
  return wanted;
}

function hueDistance(a: number, b: number): number {
  const distance = Math.abs(CHART_HUES[a] - CHART_HUES[b]);
  return Math.min(distance, 360 - distance);
}

export function css(colour: Rgb, alpha = 1): string {
  return alpha === 1
    ? `rgb(${colour.r} ${colour.g} ${colour.b})`
    : `rgb(${colour.r} ${colour.g} ${colour.b} / ${alpha})`;
}

/** Between two colours in sRGB: `part` 1 is all of `b`. */
export function mix(a: Rgb, b: Rgb, part: number): Rgb {
  const channel = (x: number, y: number) => Math.round(x + (y - x) * part);
  return rgb(channel(a.r, b.r), channel(a.g, b.g), channel(a.b, b.b));
}

/** As one number, the way image data hold it on little-endian machines, which all browsers run on. */
export function pixel(colour: Rgb): number {
  return ((255 << 24) | (colour.b << 16) | (colour.g << 8) | colour.r) >>> 0;
}

const LESS_HUE = 250;
const MORE_HUE = 55;

/**
 * How much something changed, from -1 (less: blue) over 0 to 1 (more: orange); grey for NaN, what did
 * not change for sure. Blue and orange are told apart by all common kinds of colour vision.
 */
export function changeColour(theme: Theme, change: number): Rgb {
  const { grey } = TONES[theme];
  if (Number.isNaN(change)) return oklch(grey, 0.004, 260);
  const size = Math.min(1, Math.abs(change));
  const hue = change < 0 ? LESS_HUE : MORE_HUE;
  return theme === "light" ? oklch(0.93 - 0.21 * size, 0.02 + 0.13 * size, hue) : oklch(0.33 + 0.14 * size, 0.015 + 0.115 * size, hue);
}

/** Contrast ratio of two colours, 1 to 21 (WCAG 2.2, "contrast ratio"). */
export function contrast(a: Rgb, b: Rgb): number {
  const [low, high] = [luminance(a), luminance(b)].toSorted((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
}

function luminance(colour: Rgb): number {
  const linear = (channel: number) => {
    const c = channel / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * linear(colour.r) + 0.7152 * linear(colour.g) + 0.0722 * linear(colour.b);
}

function rgb(r: number, g: number, b: number): Rgb {
  return { r, g, b };
}

/** OKLCH to sRGB, clipped to the gamut. Matrices: Björn Ottosson, "A perceptual color space" (2020). */
export function oklch(lightness: number, chroma: number, hueDegrees: number): Rgb {
  const hue = (hueDegrees * Math.PI) / 180;
  const a = chroma * Math.cos(hue);
  const b = chroma * Math.sin(hue);
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return {
    r: encode(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
    g: encode(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
    b: encode(-0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s),
  };
}

function encode(linear: number): number {
  const c = Math.min(1, Math.max(0, linear));
  const encoded = c <= 0.0031308 ? 12.92 * c : 1.055 * c ** (1 / 2.4) - 0.055;
  return Math.round(encoded * 255);
}

/**
 * How many samples a cell of a heatmap has, from 0 (none) to 1. Lightness alone says it, always the same
 * way, so that it reads without colours too; the hue runs along from blue to yellow or back.
 */
export function heatColour(theme: Theme, part: number): Rgb {
  if (part <= 0) return PALETTES[theme].background;
  const at = Math.min(1, part);
  return theme === "light" ? oklch(0.9 - 0.58 * at, 0.05 + 0.1 * Math.sin(Math.PI * at), 100 + 165 * at) : oklch(0.3 + 0.6 * at, 0.06 + 0.09 * Math.sin(Math.PI * at), 265 - 165 * at);
}
