/** What can be said about one frame, for the hover card and for the summary that is read aloud. */
import { displayName, Kind, type Tree } from "../layout/index.ts";
import { formatShare, formatValue } from "./format.ts";

export interface FrameFacts {
  readonly name: string;
  readonly self: string;
  readonly selfShare: string;
  readonly total: string;
  readonly totalShare: string;
  /** Share of the zoomed frame; null while nothing is zoomed. */
  readonly zoomShare: string | null;
  readonly place: string;
  readonly module: string;
  readonly kind: string;
  readonly inlined: boolean;
  readonly isOther: boolean;
  /** What else there is to say, as terms and texts. */
  readonly more: readonly (readonly [term: string, text: string])[];
  /** True for the box of a label's value, whose name is then `label = value`. */
  readonly isLabel: boolean;
}

const KIND_WORDS: Record<number, string> = {
  [Kind.Root]: "everything selected",
  [Kind.Native]: "native",
  [Kind.Kernel]: "kernel",
  [Kind.Managed]: "interpreted or JIT",
  [Kind.Special]: "not a function: where the stack could not be followed",
  [Kind.Other]: "not a function: the sum of boxes too small to send",
  [Kind.Label]: "everything with this label",
};

const MAX_CARD_CHARS = 1_000;

/** `groupBy`: the label whose values the label boxes stand for. */
export function frameFacts(tree: Tree, node: number, zoom: number, unit: string, groupBy: string, more: FrameFacts["more"] = []): FrameFacts {
  const whole = tree.total[0];
  const file = tree.files[tree.file[node]];
  const line = tree.line[node];
  const isLabel = tree.kind[node] === Kind.Label;
  const value = labelValue(tree.names[tree.name[node]], groupBy);
  return {
    name: isLabel
      ? displayName(value === "" ? `no ${groupBy}` : `${groupBy} = ${value}`, MAX_CARD_CHARS)
      : displayName(tree.names[tree.name[node]], MAX_CARD_CHARS),
    self: formatValue(tree.self[node], unit),
    selfShare: formatShare(tree.self[node], whole),
    total: formatValue(tree.total[node], unit),
    totalShare: formatShare(tree.total[node], whole),
    zoomShare: zoom === 0 ? null : formatShare(tree.total[node], tree.total[zoom]),
    place: file === "" ? "" : displayName(line > 0 ? `${file}:${line}` : file, MAX_CARD_CHARS),
    module: tree.modules[tree.module[node]] === "" ? "" : displayName(tree.modules[tree.module[node]]),
    kind: KIND_WORDS[tree.kind[node]] ?? "unknown kind",
    inlined: tree.inlined[node] !== 0,
    isOther: tree.kind[node] === Kind.Other,
    more,
    isLabel,
  };
}

/** The value that a label box stands for; empty for samples without the label. */
export function labelValue(name: string, groupBy: string): string {
  return name === `(no ${groupBy})` ? "" : name;
}

/** One sentence for those who hear the page. */
export function frameSentence(facts: FrameFacts): string {
  const parts = [`${facts.name}: total ${facts.total}, ${facts.totalShare}; self ${facts.self}, ${facts.selfShare}`];
  if (facts.module !== "") parts.push(`in ${facts.module}`);
  if (facts.place !== "") parts.push(facts.place);
  if (facts.inlined) parts.push("inlined");
  return parts.join("; ");
}
