import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { displayName, fitLabel, MAX_LABEL_CHARS, UNKNOWN_NAME, withoutArguments } from "../src/layout/index.ts";

const sevenPx = (text: string) => Array.from(text).length * 7;

describe("displayName", () => {
  const cases: [what: string, name: string, shown: string][] = [
    ["nothing", "", UNKNOWN_NAME],
    ["spaces", "  ", UNKNOWN_NAME],
    ["HTML as it is", "<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"],
    ["an override of direction", "abc\u202egpj.exe", "abc\ufffdgpj.exe"],
    ["line breaks and control characters", "a\nb\u0000c", "a\ufffdb\ufffdc"],
    ["right-to-left text as it is", "דالة", "דالة"],
    ["emoji", "😀", "😀"],
    ["half an emoji", "a\ud83d", "a\ufffd"],
  ];
  it.each(cases)("shows %s", (_, name, shown) => {
    expect(displayName(name)).toBe(shown);
  });

  it("is never empty, never long and never holds anything invisible", () => {
    const nasty = fc.string({ unit: fc.constantFrom("a", "\u202e", "\u2066", "\u0000", "😀", "\ud83d", "<", " "), maxLength: 2000 });
    fc.assert(
      fc.property(fc.oneof(nasty, fc.string({ unit: "binary", maxLength: 1000 })), (name) => {
        const shown = displayName(name);
        expect(shown.length).toBeGreaterThan(0);
        expect(shown.length).toBeLessThanOrEqual(MAX_LABEL_CHARS);
        expect(/[\u0000-\u001f\u202a-\u202e\u2066-\u2069]/.test(shown)).toBe(false);
      }),
    );
  });
});

describe("fitLabel", () => {
  const name = "core::iter::adapters::map::Map<I, F>::fold";
  const cases: [widthChars: number, label: string][] = [
    [100, name],
    [37, "core::iter::adapters::map::Map::fold"],
    [34, "…iter::adapters::map::Map::fold"],
    [12, "…Map::fold"],
    [5, "…fold"],
    [4, "fol…"],
    [2, ""],
  ];
  it.each(cases)("in %d characters: %s", (widthChars, label) => {
    expect(fitLabel(name, widthChars * 7, sevenPx)).toBe(label);
  });

  it("always fits", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom("a", "::", "<", ">", "(", ")", ".", "/", " ", "😀"), maxLength: 60 }), fc.nat({ max: 300 }), (text, widthPx) => {
        expect(sevenPx(fitLabel(displayName(text), widthPx, sevenPx))).toBeLessThanOrEqual(widthPx);
      }),
    );
  });

  it("takes ten thousand characters in its stride", () => {
    const started = performance.now();
    expect(sevenPx(fitLabel(displayName("a::".repeat(3334)), 200, sevenPx))).toBeLessThanOrEqual(200);
    expect(performance.now() - started).toBeLessThan(200);
  });
});

describe("withoutArguments", () => {
  const cases: [name: string, plain: string][] = [
    ["Vec<T>::push", "Vec::push"],
    ["std::map<int, std::pair<a, b>>::find(int const&) const", "std::map::find"],
    ["poll<core::pin::Pin<alloc::boxed::Box<dyn Fn() -> u8>>>", "poll"],
    ["main.(*Server).Handle", "main.(*Server).Handle"],
    ["<Vec<T> as Drop>::drop", "<Vec<T> as Drop>::drop"],
    ["operator<<", "operator<<"],
    ["broken<", "broken<"],
    ["[unknown]", "[unknown]"],
  ];
  it.each(cases)("%s: %s", (name, plain) => {
    expect(withoutArguments(name)).toBe(plain);
  });
});
