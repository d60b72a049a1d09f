import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Kind } from "../src/layout/index.ts";
import { chartColour, chartSlots, contrast, frameColour, moduleHue, PALETTES, type Theme } from "../src/render/colour.ts";

const themes: Theme[] = ["light", "dark"];

describe.each(themes)("colours in the %s theme", (theme) => {
  const palette = PALETTES[theme];
  const frames = Object.values(Kind).filter((kind) => kind !== Kind.Label);

  it("leave every label readable (AA: 4.5)", () => {
    fc.assert(
      fc.property(fc.constantFrom(...frames), fc.string(), fc.string(), (kind, module, name) => {
        expect(contrast(frameColour(theme, kind, module, name), palette.text)).toBeGreaterThanOrEqual(4.5);
      }),
      { numRuns: 500 },
    );
    expect(contrast(palette.match, palette.matchText)).toBeGreaterThanOrEqual(4.5);
    expect(contrast(palette.background, palette.mutedText)).toBeGreaterThanOrEqual(4.5);
  });

  it("leave label boxes readable, whatever their group's colour", () => {
    for (let slot = 0; slot < 12; slot++) {
      expect(contrast(chartColour(theme, slot), palette.labelText)).toBeGreaterThanOrEqual(4.5);
    }
    expect(contrast(frameColour(theme, Kind.Label, "", "api"), palette.labelText)).toBeGreaterThanOrEqual(4.5);
  });

  it("set matches apart from every frame", () => {
    fc.assert(
      fc.property(fc.constantFrom(...Object.values(Kind)), fc.string(), (kind, module) => {
        const { r, g, b } = frameColour(theme, kind, module, "f");
        const far = Math.abs(r - palette.match.r) + Math.abs(g - palette.match.g) + Math.abs(b - palette.match.b);
        expect(far).toBeGreaterThan(90);
      }),
    );
  });

  it("show the kernel warm and what is no function grey", () => {
    const kernel = frameColour(theme, Kind.Kernel, "[kernel]", "schedule");
    expect(kernel.r).toBeGreaterThan(kernel.g);
    expect(kernel.g).toBeGreaterThan(kernel.b);
    for (const kind of [Kind.Special, Kind.Other]) {
      const { r, g, b } = frameColour(theme, kind, "", "x");
      expect(Math.max(r, g, b) - Math.min(r, g, b)).toBeLessThan(8);
    }
  });

  it("can be told from the chart's background", () => {
    for (let slot = 0; slot < 12; slot++) {
      expect(contrast(chartColour(theme, slot), palette.background)).toBeGreaterThanOrEqual(2.4);
    }
  });
});

describe("stability", () => {
  it("gives a module one hue, and modules never the kernel's", () => {
    fc.assert(
      fc.property(fc.string(), (module) => {
        expect(moduleHue(module)).toBe(moduleHue(module));
        expect(moduleHue(module)).toBeGreaterThanOrEqual(100);
        expect(moduleHue(module)).toBeLessThanOrEqual(345);
      }),
    );
  });

  it("gives up to twelve groups twelve colours, which the heavier keep when lighter ones come and go", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string(), { maxLength: 12 }), (groups) => {
        const slots = chartSlots(groups);
        expect(new Set(slots.values()).size).toBe(groups.length);
        const heavier = groups.slice(0, groups.length >> 1);
        for (const [group, slot] of chartSlots(heavier)) expect(slots.get(group)).toBe(slot);
      }),
    );
  });
});
