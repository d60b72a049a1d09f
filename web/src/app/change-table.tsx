/** Functions of a comparison in order of their change. */
import { useMemo, useState } from "preact/hooks";
import { exactTerm, type Scale } from "../layout/index.ts";
import type { Change, ChangedFunction, Comparison, Measure } from "../state/index.ts";
import { formatChange, formatMeasure } from "./measure.ts";
import { Name } from "./parts.tsx";
import { formatMargin, type Verdicts } from "./significance.ts";

const MAX_ROWS = 300;

interface ChangeTableProps {
  readonly verdicts: Verdicts;
  readonly answer: Comparison;
  readonly scale: Scale;
  readonly measure: Measure;
  readonly search: string;
  onSearch(term: string): void;
}

export function ChangeTable({ verdicts, answer, scale, measure, search, onSearch }: ChangeTableProps) {
  const [by, setBy] = useState<"self" | "total">("self");
  const rows = useMemo(() => {
    const delta = (row: ChangedFunction) => changeOf(row, by, scale);
    return answer.functions.toSorted((a, b) => Math.abs(delta(b)) - Math.abs(delta(a))).slice(0, MAX_ROWS);
  }, [answer, scale, by]);
  const amount = (value: number) => formatMeasure(value, measure, answer.unit);
  return (
    <section class="functions changes" aria-label="Changed functions">
      <table>
        <thead>
          <tr>
            <th scope="col">Function</th>
            <th scope="col" class="number">Base {by}</th>
            <th scope="col" class="number">New {by}</th>
            <th scope="col" class="number" aria-sort="descending">
              <button type="button" title="Change between self and total" onClick={() => setBy(by === "self" ? "total" : "self")}>
                Change of {by}
              </button>
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => {
            const term = exactTerm(row.name);
            const change = changeOf(row, by, scale);
            const verdict = verdicts.of.get(row.name);
            const unsure = verdicts.known && verdict?.[by].is_significant !== true;
            const margin = measure === "share" ? formatMargin(verdict?.[by]) : "";
            return (
              <tr key={`${row.module}\u0001${row.name}`} class={`${search === term ? "matched" : ""} ${unsure ? "unsure" : ""}`} data-sure={verdicts.known ? !unsure : undefined} onClick={() => onSearch(search === term ? "" : term)}>
                <td class="name">
                  <button type="button" aria-pressed={search === term} title={row.name.slice(0, 400)}>
                    <Name text={row.name} maxChars={200} />
                    {row.module !== "" && (
                      <span class="module">
                        <Name text={row.module} maxChars={60} />
                      </span>
                    )}
                  </button>
                </td>
                <td class="amount">{amount((by === "self" ? row.base_self : row.base_total) * scale.base)}</td>
                <td class="amount">{amount((by === "self" ? row.new_self : row.new_total) * scale.new)}</td>
                <td class="amount" title={detectable(verdict?.[by])}>
                  {formatChange(change, measure, answer.unit)}
                  {margin !== "" && <span class="margin"> {margin}</span>}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {answer.functions_total > rows.length && <p class="muted table-note">The {rows.length} with the largest change of {answer.functions_total.toLocaleString("en")}.</p>}
    </section>
  );
}

function detectable(change: Change | undefined): string | undefined {
  const least = change?.minimum_detectable;
  return least == null ? undefined : `A change of ${formatChange(least, "share", "").slice(1)} would be found 19 times of 20.`;
}

function changeOf(row: ChangedFunction, by: "self" | "total", scale: Scale): number {
  return by === "self" ? row.new_self * scale.new - row.base_self * scale.base : row.new_total * scale.new - row.base_total * scale.base;
}
