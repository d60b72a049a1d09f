/** Drawing on canvas, and the colours that everything shares. */
export * from "./colour.ts";
export * from "./flame.ts";
export * from "./heatmap.ts";
export * from "./marks.ts";
export * from "./scene.ts";
export * from "./strips.ts";
