/** What every page gets from the frame around it. */
import type { FunctionName, Session, Snapshot } from "../state/index.ts";
import type { Theme } from "../render/index.ts";

export interface Shell {
  readonly session: Session;
  readonly snapshot: Snapshot;
  readonly theme: Theme;
  toast(text: string): void;
  copy(text: string, what: string): void;
  /** Callers and callees of a function. */
  openSandwich(focus: FunctionName): void;
}
