/** The timeline above a page: the selection over time, where a drag chooses another range. */
import { useMemo } from "preact/hooks";
import { type Annotation, absoluteRange, type Slot, type Snapshot, type Timeline } from "../state/index.ts";
import type { PageProps } from "./app.tsx";
import { type ChartData, chartData, type Mark, marksOf } from "./series.ts";
import { TimelineView } from "./timeline-view.tsx";

interface PageTimelineProps {
  readonly shell: PageProps["shell"];
  readonly chart: ChartData | null;
  /** What a drag does; without it, it selects. */
  readonly onBrush?: (fromMs: number, untilMs: number) => void;
  /** What a click on a value of the grouped label does; without it, nothing. */
  readonly onGroup?: (value: string) => void;
}

export function PageTimeline({ shell, chart, onBrush, onGroup }: PageTimelineProps) {
  const { session, snapshot, theme } = shell;
  const { view } = snapshot;
  const marks = useMarks(snapshot);
  return (
    <TimelineView
      slot={snapshot.timeline}
      data={chart}
      marks={marks}
      groupBy={view.groupBy}
      labels={snapshot.labels.answer ?? []}
      chart={view.chart === "heatmap" ? "stacked" : view.chart}
      withHeatmap={view.page === "explore"}
      theme={theme}
      onBrush={onBrush ?? ((fromMs, untilMs) => session.navigate(absoluteRange(fromMs, untilMs)))}
      onGroupBy={(groupBy) => session.navigate({ groupBy })}
      onChart={(form) => session.navigate({ chart: form })}
      onGroup={onGroup ?? (() => undefined)}
    />
  );
}

/** What the timeline's answer says, as a chart. */
export function useChart(timeline: Slot<Timeline>, relative: boolean): ChartData | null {
  return useMemo(() => {
    // An old chart beside the reason why there is no new one would pass for the new one.
    if (!timeline.answer || (timeline.stale && timeline.error)) return null;
    return chartData(timeline.answer, relative ? timeline.answeredAtMs : null);
  }, [timeline.answer, timeline.answeredAtMs, timeline.stale && timeline.error !== null, relative]);
}

const NO_NOTES: readonly Annotation[] = [];

/** Versions that begin within what is shown, and notes about it. */
function useMarks({ versions, annotations }: Snapshot): readonly Mark[] {
  const known = versions.stale ? null : versions.answer;
  const notes = (annotations.stale ? null : annotations.answer) ?? NO_NOTES;
  return useMemo(() => marksOf(known, notes), [known, notes]);
}
