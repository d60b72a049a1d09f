/** Drawing on canvas, and the colours that everything shares. */
export * from "./colour.ts";
export * from "./flame.ts";
