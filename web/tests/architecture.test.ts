/** Holds the directions of imports between the layers, and that nothing leaves for another host. */
import { describe, expect, it } from "vitest";

/** What a layer may import of ours beside itself, and of others'. */
const ALLOWED: Record<string, { layers: string[]; packages: string[] }> = {
  layout: { layers: [], packages: [] },
  render: { layers: ["layout"], packages: [] },
  state: { layers: [], packages: [] },
  app: { layers: ["layout", "render", "state"], packages: ["preact", "preact/hooks", "uplot", "uplot/dist/uPlot.min.css"] },
};

/** Every file below `src` with its text, by its path in there. */
const files = Object.entries(import.meta.glob<string>("../src/**/*", { query: "?raw", import: "default", eager: true })).map(
  ([path, text]) => [path.replace("../src/", ""), text] as const,
);
const sources = files.filter(([path]) => /\.tsx?$/.test(path));

function imports(text: string): string[] {
  const statement = /(?:^|\n)(?:(?:import|export)\s[^;"'`]*?\bfrom\s*|import\s*)"([^"]+)"/g;
  return [...text.matchAll(statement)].map((match) => match[1]);
}

/** `./x.ts` or `../layer/x.ts`, seen from a file directly below its layer's folder. */
function resolveFrom(layer: string, specifier: string): string {
  return specifier.startsWith("../") ? specifier.slice(3) : `${layer}/${specifier.slice(2)}`;
}

describe("layers", () => {
  it("are these and no others", () => {
    expect([...new Set(files.map(([path]) => path.split("/")[0]))].toSorted()).toEqual(Object.keys(ALLOWED).toSorted());
    expect(files.every(([path]) => path.split("/").length === 2)).toBe(true);
    expect(sources.length).toBeGreaterThan(20);
    expect(sources.flatMap(([, text]) => imports(text)).length).toBeGreaterThan(40);
  });

  it.each(sources)("%s imports only what its layer may", (path, text) => {
    const layer = path.split("/")[0];
    for (const specifier of imports(text)) {
      if (!specifier.startsWith(".")) {
        expect(ALLOWED[layer].packages).toContain(specifier);
        continue;
      }
      const [target, file] = resolveFrom(layer, specifier).split("/");
      if (target === layer) continue;
      expect(ALLOWED[layer].layers).toContain(target);
      expect(file, "another layer is entered by its front door").toBe("index.ts");
    }
  });

  it("keep the DOM out of layout and state", () => {
    for (const [, text] of sources.filter(([path]) => /^(layout|state)\//.test(path))) {
      expect(text).not.toMatch(/\b(document|window|location|history|localStorage)\.\w|HTMLElement/);
    }
  });
});

describe("hostile names and strict policies", () => {
  it.each(files)("%s writes no HTML, no inline code, no other host", (_, text) => {
    expect(text).not.toMatch(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|dangerouslySetInnerHTML|\beval\(|new Function|\bimport\(/);
    expect(text).not.toMatch(/https?:\/\/(?!HOST:|www\.w3\.org)/);
    expect(text).not.toMatch(/url\(|@import|@font-face/);
  });
});
