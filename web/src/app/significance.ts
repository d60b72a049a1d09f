/** What a comparison says of chance, in a form that pictures and tables use. Pure. */
import { Kind, type Tree } from "../layout/index.ts";
import type { ApiError, Change, Significance } from "../state/index.ts";
import { formatChange } from "./measure.ts";

export interface Verdict {
  /** `changed`, `composition`, `unchanged`, `untested`. */
  readonly status: string;
  readonly self: Change;
  readonly total: Change;
}

export interface Verdicts {
  /** False where no error is known: then nothing is greyed, and the page says why. */
  readonly known: boolean;
  readonly of: ReadonlyMap<string, Verdict>;
  /** One sentence for people. */
  readonly sentence: string;
  readonly warnings: readonly string[];
}

const UNKNOWN = "Values only: whether a difference is more than chance is not known here.";

export function verdictsOf(answer: Significance | null, error: ApiError | null = null): Verdicts {
  // An older server has no such endpoint, which is no news.
  const reasons = error && error.code !== "unknown_endpoint" ? [error.message] : [];
  if (!answer || error) return { known: false, of: new Map(), sentence: UNKNOWN, warnings: reasons };
  const of = new Map<string, Verdict>();
  for (const { name, status, self_share: self, total_share: total } of answer.rows) {
    const before = of.get(name);
    // One name in two modules: what is sure is said.
    if (!before || (!isSure(before) && (self.is_significant || total.is_significant))) of.set(name, { status, self, total });
  }
  const warnings = answer.warnings.map((warning) => warning.message);
  return { known: answer.has_error_bars, of, sentence: answer.has_error_bars ? sentenceOf(answer) : UNKNOWN, warnings };
}

function sentenceOf({ method, tests, base, new: fresh, total_change: total }: Significance): string {
  const how: Record<string, string> = {
    permutation: `${method.deals.toLocaleString("en")} exchanges of replicates`,
    student_t: "clustered errors",
    placebo: `${method.days} days before`,
    few: "too few replicates to decide",
  };
  const parts = [`Grey is not more than chance: ${base.replicates} against ${fresh.replicates} replicates, ${tests.toLocaleString("en")} tests, ${how[method.kind] ?? method.kind}.`];
  if (total?.minimum_detectable) parts.push(`In the total a change of ${percent(total.minimum_detectable)} would be found 19 times of 20.`);
  return parts.join(" ");
}

function percent(part: number): string {
  return `${(part * 100).toFixed(part < 0.1 ? 2 : 1)} %`;
}

export function isSure(verdict: Verdict | undefined): boolean {
  return verdict !== undefined && (verdict.self.is_significant || verdict.total.is_significant);
}

/** `tints` with NaN (grey) for functions whose change may be chance; as it is where nothing is known. */
export function greyed(tree: Tree, tints: Float32Array, verdicts: Verdicts): Float32Array {
  if (!verdicts.known) return tints;
  const sure = tree.names.map((name) => isSure(verdicts.of.get(name)));
  return tints.map((tint, i) => (i === 0 || tree.kind[i] === Kind.Other || sure[tree.name[i]] ? tint : NaN));
}

/** `± 0.31 pp`, or nothing where no margin is known. */
export function formatMargin(change: Change | undefined): string {
  return change?.margin == null ? "" : formatChange(change.margin, "share", "").replace("+", "± ");
}
