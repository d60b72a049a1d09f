/** A function at its source: what each line costs, and which builds and symbols say so. */
import { useMemo, useState } from "preact/hooks";
import { displayName } from "../layout/index.ts";
import type { FunctionBuild, Sandwich, SourceLine } from "../state/index.ts";
import { formatCount, formatShare } from "./format.ts";
import { AmountCell } from "./parts.tsx";

const MAX_ROWS = 300;
const BUILD_CHARS = 16;

/** What named a function, in words; the keys are the API's. */
const NAMED_BY: Record<string, string> = {
  perf_map: "named by its runtime",
  symbol_table: "named by a symbol table",
  pushed_symbol_table: "named by a symbol table that was pushed",
  debug_info: "named by debug information",
  pushed_debug_info: "named by debug information that was pushed",
};

export function SourceLines({ answer }: { answer: Sandwich }) {
  const [byPlace, setByPlace] = useState(false);
  const rows = useMemo(() => ordered(answer.lines ?? [], byPlace).slice(0, MAX_ROWS), [answer, byPlace]);
  const known = rows.some((row) => row.line > 0 || row.file !== "");
  const files = new Set(rows.map((row) => row.file));
  const one = files.size === 1 ? (rows[0]?.file ?? "") : null;
  return (
    <section class="functions lines" aria-label="Source lines">
      <h2>
        Source lines
        {one !== null && one !== "" && (
          <span class="muted">
            {" "}
            of <bdi title={one}>{shortened(one)}</bdi>
          </span>
        )}
      </h2>
      <Builds builds={answer.builds ?? []} whole={answer.total} />
      {known ? (
        <table>
          <thead>
            <tr>
              <th scope="col" class="name" aria-sort={byPlace ? "ascending" : "none"}>
                <button type="button" onClick={() => setByPlace(true)}>
                  Line <span class="sort-mark">{byPlace ? "▲" : ""}</span>
                </button>
              </th>
              <th scope="col" class="self" aria-sort={byPlace ? "none" : "descending"}>
                <button type="button" onClick={() => setByPlace(false)}>
                  Self <span class="sort-mark">{byPlace ? "" : "▼"}</span>
                </button>
              </th>
              <th scope="col" class="total">
                Total
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={`${row.file}\u0001${row.line}`} data-line={row.line}>
                <td class="name" title={row.file === "" ? undefined : displayName(`${row.file}:${row.line}`, 400)}>
                  <bdi>{placeOf(row, one !== null)}</bdi>
                </td>
                <AmountCell value={row.self} of={answer} />
                <AmountCell value={row.total} of={answer} />
              </tr>
            ))}
          </tbody>
        </table>
      ) : (
        <p class="muted table-note">
          No line is known of this function. Lines come from debug information: <code>stoker symbols push FILE</code> gives it to the server, for samples stored before too.
        </p>
      )}
      {answer.lines_total > rows.length && <p class="muted table-note">The first {rows.length} of {formatCount(answer.lines_total)}.</p>}
    </section>
  );
}

function Builds({ builds, whole }: { builds: readonly FunctionBuild[]; whole: number }) {
  if (builds.length === 0) return null;
  return (
    <ul class="builds muted">
      {builds.slice(0, 5).map((build) => (
        <li key={`${build.build_id} ${build.named_by}`}>
          {build.build_id === "" ? "no build id" : <>build <bdi title={build.build_id}>{shortBuild(build.build_id)}</bdi></>}
          {builds.length > 1 && `, ${formatShare(build.total, whole)}`}: {NAMED_BY[build.named_by] ?? "not named"}, {formatCount(build.addresses)} {build.addresses === 1 ? "place" : "places"}
        </li>
      ))}
      {builds.length > 5 && <li>{builds.length - 5} more</li>}
    </ul>
  );
}

/** The start of a build id, which is what people tell builds apart by. */
export function shortBuild(id: string): string {
  return id.length <= BUILD_CHARS + 4 ? id : `${id.slice(0, BUILD_CHARS)}…`;
}

function ordered(lines: readonly SourceLine[], byPlace: boolean): SourceLine[] {
  if (!byPlace) return [...lines];
  return lines.toSorted((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line));
}

function placeOf(row: SourceLine, oneFile: boolean): string {
  if (row.line === 0 && row.file === "") return "line not known";
  const line = row.line === 0 ? "line not known" : String(row.line);
  return oneFile ? line : displayName(`${shortened(row.file)}:${line}`, 120);
}

/** The last parts of a path. */
function shortened(file: string): string {
  const parts = file.split("/");
  return displayName(parts.length > 3 ? `…/${parts.slice(-2).join("/")}` : file, 100);
}
