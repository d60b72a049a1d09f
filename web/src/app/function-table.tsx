/** Functions with self and total value. Only the rows that can be seen are in the page. */
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { exactTerm, Kind, type Matcher, UNKNOWN_NAME } from "../layout/index.ts";
import { frameColour, type Theme } from "../render/index.ts";
import type { FunctionName, Slot, SortKey, Top, TopRow } from "../state/index.ts";
import { AmountCell, Name, Swatch } from "./parts.tsx";

interface FunctionTableProps {
  readonly slot: Slot<Top>;
  readonly sort: SortKey;
  readonly search: string;
  readonly matches: Matcher | null;
  readonly theme: Theme;
  /** Kinds by module, as the flame graph knows them, so that colours agree. */
  readonly kinds: ReadonlyMap<string, number>;
  /** True: functions that do not match the search are left out. */
  readonly filter?: boolean;
  onSort(sort: SortKey): void;
  /** A row was chosen: the term that finds its function, or an empty one if it was chosen before. */
  onChoose(term: string): void;
  /** A row was opened. */
  onOpen?(focus: FunctionName): void;
}

export const ROW_PX = 25;
const HEAD_PX = 27;
/** Rows above and below what can be seen, for quick scrolling. */
const SPARE_ROWS = 12;
const NO_ROWS: readonly TopRow[] = [];

export function FunctionTable(props: FunctionTableProps) {
  const { answer, error } = props.slot;
  const { matches, filter } = props;
  const all = answer?.rows ?? NO_ROWS;
  const rows = useMemo(() => {
    const kept = filter && matches ? all.filter((row) => matches(row.name)) : all;
    return sorted(kept, props.sort);
  }, [all, props.sort, filter, filter ? matches : null]);
  const scroller = useRef<HTMLElement>(null);
  const [first, last, reveal] = useVisibleRows(scroller, rows.length);
  const shown = rows.slice(first, last);
  const focusOn = useRef(-1);
  const walk = (index: number) => {
    focusOn.current = index;
    reveal(index);
    focusRow(scroller.current, index);
  };
  // The row that the keyboard went to may be in the page only now.
  useLayoutEffect(() => {
    if (focusOn.current >= 0 && focusRow(scroller.current, focusOn.current)) focusOn.current = -1;
  });
  return (
    <section class={`functions ${props.slot.stale ? "stale" : ""}`} aria-label="Functions" ref={scroller} data-rows={rows.length}>
      <table aria-rowcount={rows.length + 1}>
        <thead>
          <tr aria-rowindex={1}>
            <Head label="Function" column="name" {...props} />
            <Head label="Self" column="self" {...props} />
            <Head label="Total" column="total" {...props} />
          </tr>
        </thead>
        <tbody onKeyDown={(event) => onKeyDown(event, rows, walk, props.onOpen)}>
          <Space rows={first} />
          {shown.map((row, i) => (
            <Row key={`${row.module}\u0001${row.name}`} row={row} index={first + i} answer={answer as Top} first={i === 0} {...props} />
          ))}
          <Space rows={rows.length - last} />
        </tbody>
      </table>
      {rows.length === 0 && <p class="muted table-note">{error ? error.message : !answer ? "Loading…" : all.length > 0 ? "No function matches." : "No functions in this range."}</p>}
    </section>
  );
}

/** Which rows lie in the window of a scroller, from a first up to, not including, a last. */
function useVisibleRows(scroller: { readonly current: HTMLElement | null }, count: number): [first: number, last: number, reveal: (index: number) => void] {
  const [range, setRange] = useState<[number, number]>([0, 80]);
  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const measure = () => {
      // On narrow screens the page scrolls and the table is as high as its rows.
      const isOwn = element.scrollHeight > element.clientHeight + 1;
      const top = isOwn ? element.scrollTop : Math.max(0, -element.getBoundingClientRect().top);
      const height = isOwn ? element.clientHeight : innerHeight;
      const from = Math.max(0, Math.floor((top - HEAD_PX) / ROW_PX) - SPARE_ROWS);
      const until = Math.ceil((top + height) / ROW_PX) + SPARE_ROWS;
      setRange((before) => (before[0] === from && before[1] === until ? before : [from, until]));
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    const options = { passive: true, capture: true };
    window.addEventListener("scroll", measure, options);
    return () => {
      observer.disconnect();
      window.removeEventListener("scroll", measure, options);
    };
  }, [count]);
  const first = Math.min(range[0], Math.max(0, count - 1));
  const reveal = (index: number) => {
    const element = scroller.current;
    if (!element) return;
    const top = index * ROW_PX;
    const bottom = top + ROW_PX + HEAD_PX;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (bottom > element.scrollTop + element.clientHeight) element.scrollTop = bottom - element.clientHeight;
    setRange((before) => (index >= before[0] && index < before[1] ? before : [Math.max(0, index - 3 * SPARE_ROWS), index + 3 * SPARE_ROWS]));
  };
  return [first, Math.min(count, Math.max(range[1], first + 1)), reveal];
}

/** Stands for rows that cannot be seen. */
function Space({ rows }: { rows: number }) {
  return rows > 0 ? (
    <tr class="space" aria-hidden="true" style={{ height: `${rows * ROW_PX}px` }}>
      <td colSpan={3} />
    </tr>
  ) : null;
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
  readonly index: number;
  readonly answer: Top;
  readonly first: boolean;
}

function Row({ row, index, answer, first, search, matches, theme, kinds, onChoose, onOpen }: RowProps) {
  const term = exactTerm(row.name);
  const chosen = search === term;
  const matched = matches !== null && matches(row.name);
  const kind = kinds.get(`${row.module}\u0001${row.name}`) ?? kindOf(row.module);
  return (
    <tr class={matched ? "matched" : ""} aria-rowindex={index + 2} data-index={index} onClick={() => onChoose(chosen ? "" : term)} onDblClick={() => onOpen?.(row)}>
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
      <AmountCell value={row.self} of={answer} />
      <AmountCell value={row.total} of={answer} />
    </tr>
  );
}

/** Of a function that no flame graph shows. */
function kindOf(module: string): number {
  return module === "" ? Kind.Special : module === "[kernel]" ? Kind.Kernel : Kind.Native;
}

/** One stop for the tab key; arrows move within, `s` opens callers and callees. */
function onKeyDown(event: KeyboardEvent, rows: readonly TopRow[], walk: (index: number) => void, onOpen?: (focus: FunctionName) => void): void {
  const row = (event.target as HTMLElement).closest("tr");
  const index = Number(row?.dataset.index ?? -1);
  if (index < 0) return;
  if (event.key === "s" && onOpen) onOpen(rows[index]);
  else {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 20, PageUp: -20 }[event.key];
    if (!step) return;
    walk(Math.min(rows.length - 1, Math.max(0, index + step)));
  }
  event.preventDefault();
  event.stopPropagation();
}

/** Focuses a row; false if it is not in the page yet. */
function focusRow(scroller: HTMLElement | null, index: number): boolean {
  const button = scroller?.querySelector<HTMLElement>(`tr[data-index="${index}"] button`);
  button?.focus({ preventScroll: true });
  return button !== null && button !== undefined;
}
