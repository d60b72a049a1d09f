/** The heatmap: when samples were taken, second by second and within the second, with selection. */
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { cellAt, type CellRange, cellsOf, cellStartUs, type HeatGrid, moved, rowSums, samplesIn, sliceOf } from "../layout/index.ts";
import { css, heatArea, heatColour, paintHeatmap, type Theme } from "../render/index.ts";
import type { Chart, Heatmap, Slot } from "../state/index.ts";
import { formatClock, formatCount, formatMs } from "./format.ts";
import { CHARTS } from "./timeline-view.tsx";
import { Segments } from "./parts.tsx";

interface HeatmapViewProps {
  readonly slot: Slot<Heatmap>;
  readonly slice: string | null;
  readonly theme: Theme;
  onChart(chart: Chart): void;
  /** A stretch of time was selected, in the range of the answer; null: none any more. */
  onSlice(slice: string | null, answer: Heatmap): void;
}

const HEIGHT_PX = 176;
const SCALE_STEPS = [0.05, 0.25, 0.5, 0.75, 1];

export function HeatmapView(props: HeatmapViewProps) {
  const { slot, theme } = props;
  const { answer } = slot;
  const [under, setUnder] = useState<CellRange | null>(null);
  const shown = under ?? (answer && props.slice ? cellsOf(answer, props.slice) : null);
  return (
    <section class={`timeline heatmap panel ${slot.stale ? "stale" : ""}`} aria-label="Heatmap">
      <div class="panel-head">
        <h2>samples</h2>
        <Segments label="Form of the chart" class="small" value="heatmap" options={CHARTS} onChoose={props.onChart} />
        {answer && answer.with_time > 0 && (
          <span class="heat-scale muted" title="Samples of a cell">
            <span>1</span>
            {SCALE_STEPS.map((part) => (
              <i key={part} style={{ background: css(heatColour(theme, part)) }} />
            ))}
            <span>{formatCount(answer.max)}</span>
          </span>
        )}
        <span class="muted cursor-time">{answer && shown ? cellsText(answer, shown) : answer && cellsNote(answer)}</span>
        {answer && answer.with_time > 0 && answer.without_time > 0 && (
          <span class="warn" title="Their agents run without --detailed, or sent more than it keeps">
            {formatCount(answer.without_time)} of {formatCount(answer.with_time + answer.without_time)} samples have no moment and are not shown
          </span>
        )}
      </div>
      {answer && answer.with_time > 0 ? <Grid {...props} answer={answer} onUnder={setUnder} /> : <Nothing slot={slot} />}
    </section>
  );
}

function Nothing({ slot }: { slot: Slot<Heatmap> }) {
  const { answer, error } = slot;
  if (!answer) return <p class="timeline-empty muted">{error ? error.message : "Loading…"}</p>;
  return (
    <p class="timeline-empty muted" data-state="empty">
      <span>
        {answer.without_time > 0 ? `None of the ${formatCount(answer.without_time)} samples in this range says when it was taken. ` : "No samples in this range yet. "}
        A heatmap needs samples one by one: <code>stoker up --detailed</code> keeps them on this machine, <code>stoker-agent --detailed</code> on others.
      </span>
    </p>
  );
}

interface GridProps extends HeatmapViewProps {
  readonly answer: Heatmap;
  onUnder(cells: CellRange | null): void;
}

function Grid(props: GridProps) {
  const { answer, slice, theme } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const [cursor, setCursor] = useState<number | null>(null);
  /** Where a selection began: by drag, or by Shift and an arrow. */
  const anchor = useRef<number | null>(null);
  const [dragged, setDragged] = useState<CellRange | null>(null);
  const selected = dragged ?? (slice === null ? null : cellsOf(answer, slice));

  useLayoutEffect(() => {
    const element = canvas.current?.parentElement;
    if (!element) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    setWidth(element.clientWidth);
    return () => observer.disconnect();
  }, []);

  useLayoutEffect(() => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (!element || !context || width === 0) return;
    const scale = devicePixelRatio;
    element.width = Math.round(width * scale);
    element.height = Math.round(HEIGHT_PX * scale);
    context.setTransform(scale, 0, 0, scale, 0, 0);
    paintHeatmap(context, width, HEIGHT_PX, scale, { grid: answer, selected, cursor, theme, clock: formatClock });
  }, [answer, width, theme, cursor, selected?.first, selected?.last]);

  const cellUnder = (event: PointerEvent): number => {
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    return cellAt(answer, heatArea(width, HEIGHT_PX), event.clientX - box.left, event.clientY - box.top);
  };
  const select = (range: CellRange | null) => props.onSlice(range && sliceOf(answer, range), answer);
  const show = (cells: CellRange | null) => props.onUnder(cells);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape" && (slice !== null || cursor !== null)) {
      setCursor(null);
      anchor.current = null;
      show(null);
      if (slice !== null) select(null);
    } else if (event.key === "Enter" && cursor !== null) {
      select(between(anchor.current ?? cursor, cursor));
    } else if (event.key.startsWith("Arrow")) {
      const at = cursor ?? selected?.first ?? fullest(answer);
      const next = cursor === null ? at : moved(answer, at, event.key);
      if (!event.shiftKey) anchor.current = null;
      else anchor.current ??= at;
      setCursor(next);
      const range = between(anchor.current ?? next, next);
      setDragged(event.shiftKey ? range : null);
      show(range);
    } else return;
    if (event.key === "Enter" || event.key === "Escape") setDragged(null);
    event.preventDefault();
  };

  return (
    <>
      <div
        class="heat"
        role="application"
        tabIndex={0}
        aria-label={`Heatmap of ${formatCount(answer.with_time)} samples. Arrow keys move from cell to cell, with Shift they select, Enter shows only what is selected, Escape everything.`}
        aria-describedby="heat-cell"
        data-columns={answer.columns}
        data-rows={answer.rows}
        data-with-time={answer.with_time}
        data-selected={selected ? `${selected.first}-${selected.last}` : ""}
        data-max={answer.max}
        onKeyDown={onKeyDown}
        onBlur={() => setCursor(null)}
      >
        <canvas
          ref={canvas}
          aria-hidden="true"
          onPointerDown={(event) => {
            if (event.button !== 0) return;
            event.currentTarget.setPointerCapture(event.pointerId);
            anchor.current = cellUnder(event);
            setDragged(between(anchor.current, anchor.current));
          }}
          onPointerMove={(event) => {
            const cell = cellUnder(event);
            const range = dragged && anchor.current !== null ? between(anchor.current, cell) : between(cell, cell);
            if (dragged) setDragged(range);
            show(range);
          }}
          onPointerUp={() => {
            if (dragged) select(dragged);
            anchor.current = null;
            setDragged(null);
          }}
          onPointerCancel={() => {
            anchor.current = null;
            setDragged(null);
          }}
          onPointerLeave={() => !dragged && show(null)}
        />
      </div>
      <output id="heat-cell" class="unseen">
        {cursor === null ? "" : cellsText(answer, between(anchor.current ?? cursor, cursor))}
      </output>
      <RowTable answer={answer} />
    </>
  );
}

/** The picture in numbers, for those who cannot see it: what happens at which part of the seconds. */
function RowTable({ answer }: { answer: Heatmap }) {
  const sums = useMemo(() => rowSums(answer), [answer]);
  const rowMs = answer.column_ms / answer.rows;
  return (
    <div class="unseen">
      <table>
        <caption>Samples by the moment within each {formatMs(answer.column_ms)}, over all of the range</caption>
        <thead>
          <tr>
            <th scope="col">From</th>
            <th scope="col">Samples</th>
          </tr>
        </thead>
        <tbody>
          {sums.map((sum, row) => (
            <tr key={row}>
              <th scope="row">{formatMs(row * rowMs)}</th>
              <td>{formatCount(sum)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function between(a: number, b: number): CellRange {
  return { first: Math.min(a, b), last: Math.max(a, b) };
}

function fullest(grid: HeatGrid): number {
  return Math.max(0, grid.counts.indexOf(grid.max));
}

function cellsNote(answer: Heatmap): string {
  return `a column is ${formatMs(answer.column_ms)}, a cell ${formatMs(answer.column_ms / answer.rows)}`;
}

/** `14:03:10.240, 20 ms: 5 samples`. */
function cellsText(grid: HeatGrid, range: CellRange): string {
  const [fromUs, untilUs] = [cellStartUs(grid, range.first), cellStartUs(grid, range.last + 1)];
  const samples = samplesIn(grid, range);
  return `${momentText(fromUs)}, ${formatMs((untilUs - fromUs) / 1000)}: ${formatCount(samples)} ${samples === 1 ? "sample" : "samples"}`;
}

/** `14:03:10.240`, local time. */
export function momentText(us: number): string {
  const ms = Math.floor(us / 1000);
  return `${formatClock(ms)}.${String(ms % 1000).padStart(3, "0")}`;
}
