/** The functions of the selection, by self or total. A row searches for its function in the graph. */
import { useMemo, useRef } from "preact/hooks";
import { exactTerm, Kind, type Matcher, UNKNOWN_NAME } from "../layout/index.ts";
import { frameColour, type Theme } from "../render/index.ts";
import type { Slot, SortKey, Top, TopRow } from "../state/index.ts";
import { formatShare, formatValue } from "./format.ts";
import { Name } from "./parts.tsx";
import { Swatch } from "./timeline-view.tsx";

interface FunctionTableProps {
  readonly slot: Slot<Top>;
  readonly sort: SortKey;
  readonly search: string;
  readonly matches: Matcher | null;
  readonly theme: Theme;
  /** Kinds by module, as the flame graph knows them, so that colours agree. */
  readonly kinds: ReadonlyMap<string, number>;
  onSort(sort: SortKey): void;
  onSearch(term: string): void;
}

const MAX_ROWS = 250;

export function FunctionTable(props: FunctionTableProps) {
  const { answer, error } = props.slot;
  const rows = useMemo(() => (answer ? sorted(answer.rows, props.sort).slice(0, MAX_ROWS) : []), [answer, props.sort]);
  const body = useRef<HTMLTableSectionElement>(null);
  return (
    <section class={`functions ${props.slot.stale ? "stale" : ""}`} aria-label="Functions">
      <table>
        <thead>
          <tr>
            <Head label="Function" column="name" {...props} />
            <Head label="Self" column="self" {...props} />
            <Head label="Total" column="total" {...props} />
          </tr>
        </thead>
        <tbody ref={body} onKeyDown={(event) => moveFocus(event, body.current)}>
          {rows.map((row, i) => (
            <Row key={`${row.module}\u0001${row.name}`} row={row} answer={answer as Top} first={i === 0} {...props} />
          ))}
        </tbody>
      </table>
      {rows.length === 0 && <p class="muted table-note">{error ? error.message : answer ? "No functions in this range." : "Loading…"}</p>}
      {answer && answer.rows.length > rows.length && <p class="muted table-note">The first {rows.length} are shown.</p>}
    </section>
  );
}

function sorted(rows: readonly TopRow[], sort: SortKey): TopRow[] {
  switch (sort) {
    case "name":
      return rows.toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
    case "self":
      return rows.toSorted((a, b) => b.self - a.self || b.total - a.total);
    case "total":
      return rows.toSorted((a, b) => b.total - a.total || b.self - a.self);
  }
}

function Head(props: { label: string; column: SortKey; sort: SortKey; onSort(sort: SortKey): void }) {
  const on = props.column === props.sort;
  const order = props.column === "name" ? "ascending" : "descending";
  return (
    <th scope="col" class={props.column} aria-sort={on ? order : "none"}>
      <button type="button" onClick={() => props.onSort(props.column)}>
        {props.label}
        <span class="sort-mark" aria-hidden="true">
          {on ? (order === "ascending" ? "▲" : "▼") : ""}
        </span>
      </button>
    </th>
  );
}

interface RowProps extends FunctionTableProps {
  readonly row: TopRow;
  readonly answer: Top;
  readonly first: boolean;
}

function Row({ row, answer, first, search, matches, theme, kinds, onSearch }: RowProps) {
  const term = exactTerm(row.name);
  const chosen = search === term;
  const matched = matches !== null && matches(row.name);
  const kind = kinds.get(`${row.module}\u0001${row.name}`) ?? (row.module === "" ? Kind.Special : Kind.Native);
  return (
    <tr class={matched ? "matched" : ""} onClick={() => onSearch(chosen ? "" : term)}>
      <td class="name">
        <Swatch colour={frameColour(theme, kind, row.module, row.name)} />
        <button type="button" tabIndex={first ? 0 : -1} aria-pressed={chosen} title={row.name === "" ? UNKNOWN_NAME : row.name.slice(0, 400)}>
          <Name text={row.name} maxChars={200} />
          {row.module !== "" && (
            <span class="module">
              <Name text={row.module} maxChars={60} />
            </span>
          )}
        </button>
      </td>
      <Amount value={row.self} answer={answer} />
      <Amount value={row.total} answer={answer} />
    </tr>
  );
}

function Amount({ value, answer }: { value: number; answer: Top }) {
  const share = answer.total > 0 ? Math.min(1, value / answer.total) : 0;
  return (
    <td class="amount">
      <span class="bar" style={{ width: `${(share * 100).toFixed(2)}%` }} />
      <span class="share">{formatShare(value, answer.total)}</span>
      <span class="value">{formatValue(value, answer.unit)}</span>
    </td>
  );
}

/** One stop for the tab key; arrows move within. */
function moveFocus(event: KeyboardEvent, body: HTMLElement | null): void {
  if (!body || (event.key !== "ArrowDown" && event.key !== "ArrowUp")) return;
  const row = (event.target as HTMLElement).closest("tr");
  const next = event.key === "ArrowDown" ? row?.nextElementSibling : row?.previousElementSibling;
  next?.querySelector("button")?.focus();
  event.preventDefault();
}
