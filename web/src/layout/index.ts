/** Pure layout: a profile's tree, what of it is visible, where things are, what matches. No DOM. */
export * from "./boxes.ts";
export * from "./compare.ts";
export * from "./functions.ts";
export * from "./hash.ts";
export * from "./heatmap.ts";
export * from "./label.ts";
export * from "./path.ts";
export * from "./search.ts";
export * from "./tree.ts";
export * from "./view.ts";
