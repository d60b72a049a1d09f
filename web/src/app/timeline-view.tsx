/** The timeline: rates by group over the range, with a brush to choose a part of it. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { displayName } from "../layout/index.ts";
import { css, groupColours, PALETTES, restColour, type Rgb, type Theme } from "../render/index.ts";
import type { Chart, Slot, Timeline } from "../state/index.ts";
import { digits, formatClock, rateUnit } from "./format.ts";
import { Legend } from "./legend.tsx";
import { Segments } from "./parts.tsx";
import { type ChartData, type Mark, type Series, stacked } from "./series.ts";
import { touchBrush } from "./touch-brush.ts";

interface TimelineViewProps {
  readonly slot: Slot<Timeline>;
  /** What the answer says; null while there is none that may be shown. */
  readonly data: ChartData | null;
  readonly marks?: readonly Mark[];
  readonly groupBy: string;
  readonly labels: readonly string[];
  readonly chart: Chart;
  readonly theme: Theme;
  /** Whether a heatmap can stand in its place. */
  readonly withHeatmap?: boolean;
  onBrush(fromMs: number, untilMs: number): void;
  onGroupBy(label: string): void;
  onChart(chart: Chart): void;
  /** The value of the grouped label that was clicked. */
  onGroup(value: string): void;
}

/** Forms of the chart where a heatmap can stand in the timeline's place. */
export const CHARTS: readonly (readonly [Chart, string])[] = [["stacked", "Stacked"], ["lines", "Lines"], ["heatmap", "Heatmap"]];

const HEIGHT_PX = 116;
/** Shorter drags are clicks. */
const MIN_BRUSH_PX = 5;

export function TimelineView(props: TimelineViewProps) {
  const { data } = props;
  const answer = data ? props.slot.answer : null;
  const colours = useMemo(() => (data ? coloursOf(data, props.theme) : []), [data, props.theme]);
  const [cursor, setCursor] = useState<number | null>(null);
  const labels = props.labels.includes(props.groupBy) || props.groupBy === "" ? props.labels : [props.groupBy, ...props.labels];
  const step = cursor !== null && data && cursor < data.edges.length - 1 ? cursor : null;
  return (
    <section class={`timeline panel ${props.slot.stale ? "stale" : ""}`} aria-label="Timeline">
      <div class="panel-head">
        <h2>{answer ? rateUnit(answer.unit) : "cores"}</h2>
        <label class="inline">
          <span>by</span>
          <select aria-label="Group the timeline by" value={props.groupBy} onChange={(e) => props.onGroupBy(e.currentTarget.value)}>
            {labels.map((label) => (
              <option key={label} value={label}>
                {label}
              </option>
            ))}
            <option value="">nothing</option>
          </select>
        </label>
        {(props.withHeatmap || (data && data.series.length > 1)) && (
          <Segments label="Form of the chart" class="small" value={props.chart} options={props.withHeatmap ? CHARTS : CHARTS.slice(0, 2)} onChoose={props.onChart} />
        )}
        <span class="muted cursor-time">{data && timeText(data, step)}</span>
        {answer && data && <Legend data={data} colours={colours} step={step} unit={answer.unit} onGroup={props.onGroup} />}
      </div>
      {props.marks && props.marks.length > 0 && <p class="unseen">{props.marks.map(markSentence).join(" ")}</p>}
      {answer && data && data.series.length > 0 ? (
        <Plot data={data} colours={colours} chart={props.chart} theme={props.theme} fromMs={answer.from_ms} untilMs={answer.until_ms} marks={props.marks ?? NO_MARKS} onBrush={props.onBrush} onCursor={setCursor} />
      ) : (
        <p class="timeline-empty muted">{props.slot.error && !answer ? props.slot.error.message : props.slot.loading && !answer ? "Loading…" : "No samples in this range yet."}</p>
      )}
    </section>
  );
}

const NO_MARKS: readonly Mark[] = [];

/** What the numbers of the legend are about. */
function timeText(data: ChartData, step: number | null): string {
  if (step !== null) return `${formatClock(data.edges[step] * 1000)}${step >= data.settledSteps ? ", still filling" : ""}`;
  return data.covered.isWhole ? "average" : `average since ${formatClock(data.covered.fromMs)}`;
}

function coloursOf(data: ChartData, theme: Theme): Rgb[] {
  const colours = seriesColours(data, theme);
  return data.series.map((series) => (series.isRest ? restColour(theme) : (colours.get(series.name) ?? restColour(theme))));
}

/** Colours by group, for others who show the same groups. */
export function seriesColours(data: ChartData, theme: Theme): Map<string, Rgb> {
  return groupColours(theme, data.series.filter((series) => !series.isRest).map((series) => series.name));
}

interface PlotProps {
  readonly data: ChartData;
  readonly colours: readonly Rgb[];
  readonly chart: Chart;
  readonly theme: Theme;
  readonly fromMs: number;
  readonly untilMs: number;
  readonly marks: readonly Mark[];
  onBrush(fromMs: number, untilMs: number): void;
  onCursor(step: number | null): void;
}

/** Remade when its form changes; a refresh of a live range only hands in new data, without a flicker. */
function Plot(props: PlotProps) {
  const { data, chart, theme, fromMs, untilMs } = props;
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const form = JSON.stringify([chart, theme, data.series.map((series) => series.name), props.colours]);

  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const made = new uPlot(options(element, latest), aligned(latest.current.data, latest.current.chart), element);
    plot.current = made;
    const observer = new ResizeObserver(() => {
      if (element.clientWidth > 0) made.setSize({ width: element.clientWidth, height: HEIGHT_PX });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [form]);

  useEffect(() => {
    plot.current?.setData(aligned(data, chart));
  }, [data, chart, fromMs, untilMs, props.marks]);

  return (
    <div
      class="plot"
      ref={host}
      role="img"
      aria-label="Chart of the timeline. Drag across it to choose a range; the time menu does the same by keyboard."
      data-steps={Math.max(0, data.edges.length - 1)}
      data-groups={data.series.length}
      data-marks={props.marks.length}
      data-unsettled={Math.max(0, data.edges.length - 1 - data.settledSteps)}
    />
  );
}

/** Stacked areas are painted from the outermost inwards, each over the one before. */
function aligned(data: ChartData, chart: Chart): uPlot.AlignedData {
  const heights = chart === "stacked" ? stacked(data.series) : data.series.map((series) => [...series.rates]);
  const closed = heights.map((rates) => [...rates, rates.at(-1) ?? 0]);
  return [[...data.edges], ...closed.toReversed()] as uPlot.AlignedData;
}

function options(element: HTMLElement, latest: { readonly current: PlotProps }): uPlot.Options {
  const { data, colours, chart, theme } = latest.current;
  const ink = theme === "light" ? "#5c6470" : "#97a0ae";
  const grid = { stroke: theme === "light" ? "rgb(20 24 31 / 0.10)" : "rgb(255 255 255 / 0.10)", width: 1 };
  const axis = { stroke: ink, grid, ticks: { show: false }, font: "11px system-ui, sans-serif" };
  const draw = (series: Series, i: number): uPlot.Series => ({
    label: series.name,
    stroke: css(colours[i]),
    width: chart === "stacked" ? 1 : 1.75,
    ...(chart === "stacked" ? { fill: css(colours[i], theme === "light" ? 1 : 0.9) } : {}),
    paths: (uPlot.paths.stepped as uPlot.Series.SteppedPathBuilderFactory)({ align: 1 }),
    points: { show: false },
  });
  return {
    width: Math.max(100, element.clientWidth),
    height: HEIGHT_PX,
    padding: [8, 28, 0, 0],
    drawOrder: ["series", "axes"] as unknown as uPlot.DrawOrderKey[],
    legend: { show: false },
    cursor: { drag: { x: true, y: false, setScale: false }, points: { show: false }, y: false },
    scales: {
      x: { time: true, range: () => [latest.current.fromMs / 1000, latest.current.untilMs / 1000] },
      y: { range: (_, __, max) => [0, max > 0 ? max * 1.08 : 1] },
    },
    axes: [{ ...axis, size: 26, space: 70, values: clockTicks }, { ...axis, size: 46, space: 26, values: (_, ticks) => ticks.map((tick) => digits(tick)) }],
    series: [{}, ...data.series.map(draw).toReversed()],
    hooks: {
      draw: [(u) => veilUnsettled(u, latest.current), (u) => drawMarks(u, latest.current)],
      setCursor: [(u) => latest.current.onCursor(stepUnder(u, latest.current.data))],
      setSelect: [(u) => brushed(u, latest.current)],
      ready: [(u) => touchBrush(u, (left, width) => u.setSelect({ left, width, top: 0, height: u.over.clientHeight }, true))],
    },
  };
}

function markSentence({ kind, text, atMs }: Mark): string {
  return `${kind === "version" ? `Version ${displayName(text, 60)} begins` : displayName(text, 200)} at ${formatClock(atMs)}.`;
}

/** A dashed line where a version begins, a whole one for a note, with its name as far as there is room. */
function drawMarks(u: uPlot, { marks, theme }: PlotProps): void {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.strokeStyle = css(PALETTES[theme].text, 0.75);
  ctx.fillStyle = css(PALETTES[theme].text);
  ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.textBaseline = "top";
  ctx.textAlign = "left";
  let free = 0;
  for (const { kind, text, atMs } of marks) {
    const x = u.valToPos(atMs / 1000, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.setLineDash(kind === "version" ? [4 * devicePixelRatio, 3 * devicePixelRatio] : []);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    if (x < free) continue;
    const label = displayName(text, 24);
    ctx.fillText(label, x + 3 * devicePixelRatio, bbox.top + 1);
    free = x + ctx.measureText(label).width + 8 * devicePixelRatio;
  }
  ctx.restore();
}

/** Lightens and hatches the steps that more samples may still arrive for. */
function veilUnsettled(u: uPlot, { data, theme }: PlotProps): void {
  const begin = data.edges[data.settledSteps];
  const end = data.edges.at(-1);
  if (begin === undefined || end === undefined || begin >= end) return;
  const { ctx, bbox } = u;
  const left = Math.max(bbox.left, u.valToPos(begin, "x", true));
  const right = Math.min(bbox.left + bbox.width, u.valToPos(end, "x", true));
  const bottom = bbox.top + bbox.height;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, bbox.top, right - left, bbox.height);
  ctx.clip();
  ctx.fillStyle = css(PALETTES[theme].background, 0.45);
  ctx.fillRect(left, bbox.top, right - left, bbox.height);
  ctx.beginPath();
  const gap = 5 * devicePixelRatio;
  for (let x = left - bbox.height; x < right; x += gap) {
    ctx.moveTo(x, bottom);
    ctx.lineTo(x + bbox.height, bbox.top);
  }
  ctx.strokeStyle = css(PALETTES[theme].background, 0.6);
  ctx.lineWidth = 1.5 * devicePixelRatio;
  ctx.stroke();
  ctx.restore();
}

/** Ticks in 24-hour clock; seconds only where ticks are that close, the date at midnight. */
function clockTicks(_: uPlot, ticks: number[], __: number, ___: number, incrementSeconds: number): string[] {
  return ticks.map((tick) => {
    const date = new Date(tick * 1000);
    if (date.getHours() === 0 && date.getMinutes() === 0 && date.getSeconds() === 0) {
      return date.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
    }
    return formatClock(tick * 1000).slice(0, incrementSeconds < 60 ? 8 : 5);
  });
}

function stepUnder(u: uPlot, data: ChartData): number | null {
  const left = u.cursor.left ?? -1;
  if (left < 0) return null;
  const time = u.posToVal(left, "x");
  for (let step = data.edges.length - 2; step >= 0; step--) if (data.edges[step] <= time) return step;
  return null;
}

function brushed(u: uPlot, props: PlotProps): void {
  const { left, width } = u.select;
  if (width === 0) return;
  const fromMs = u.posToVal(left, "x") * 1000;
  const untilMs = u.posToVal(left + width, "x") * 1000;
  u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  if (width >= MIN_BRUSH_PX) props.onBrush(Math.max(fromMs, props.fromMs), Math.min(untilMs, props.untilMs));
}
