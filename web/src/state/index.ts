/** What is looked at, what the server said, and links. No DOM of its own, no drawing. */
export * from "./api.ts";
export * from "./latest.ts";
export { capacityStep, exactRange, showsHeatmap, VERSION_LABEL, withoutService } from "./questions.ts";
export * from "./selector.ts";
export * from "./session.ts";
export { isPruned, type Slot, type Slots, type Snapshot } from "./slots.ts";
export { shownRange } from "./still.ts";
export * from "./time.ts";
export * from "./view.ts";
