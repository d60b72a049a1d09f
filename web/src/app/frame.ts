/** What can be said about one frame, for the hover card and for the summary that is read aloud. */
import { displayName, Kind, type Tree } from "../layout/index.ts";
import type { Flamegraph } from "../state/index.ts";
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
  /** Build and sampling, where the server says. */
  readonly origin: readonly (readonly [term: string, text: string])[];
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
export function frameFacts(tree: Tree, node: number, zoom: number, unit: string, groupBy: string, more: FrameFacts["more"] = [], origin: FrameFacts["origin"] = []): FrameFacts {
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
    origin,
    isLabel,
  };
}

/** The value that a label box stands for; empty for samples without the label. */
export function labelValue(name: string, groupBy: string): string {
  return name === `(no ${groupBy})` ? "" : name;
}

const SOURCE_WORDS: Record<string, string> = {
  "cpu-clock": "by the CPU clock",
  cycles: "by cycle counter",
  push: "in a pushed file",
};

const BUILD_CHARS = 20;

/** The build that a frame's module has, and how its samples were taken; nothing for what is no function. */
export function originFacts(answer: Pick<Flamegraph, "builds" | "sampling">, tree: Tree, node: number): FrameFacts["origin"] {
  const kind = tree.kind[node];
  if (kind !== Kind.Native && kind !== Kind.Kernel && kind !== Kind.Managed) return [];
  const facts: (readonly [string, string])[] = [];
  const build = answer.builds?.[tree.module[node]];
  if (build && build.count > 0) {
    const others = build.count > 1 ? ` or one of ${build.count - 1} others` : "";
    facts.push(["Build", `${build.ids[0].slice(0, BUILD_CHARS)}${build.ids[0].length > BUILD_CHARS ? "…" : ""}${others}`]);
  }
  const [most, ...others] = answer.sampling ?? [];
  if (most && most.source !== "") {
    const often = most.frequency_hz > 0 ? `, ${most.frequency_hz} Hz` : "";
    facts.push(["Sampled", `${SOURCE_WORDS[most.source] ?? displayName(most.source, 40)}${often}${others.length > 0 ? " and otherwise" : ""}`]);
  }
  return facts;
}

/** One sentence for those who hear the page. */
export function frameSentence(facts: FrameFacts): string {
  const parts = [`${facts.name}: total ${facts.total}, ${facts.totalShare}; self ${facts.self}, ${facts.selfShare}`];
  if (facts.module !== "") parts.push(`in ${facts.module}`);
  if (facts.place !== "") parts.push(facts.place);
  if (facts.inlined) parts.push("inlined");
  return parts.join("; ");
}
