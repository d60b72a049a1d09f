/** Two selections: one picture that shows what changed, or both side by side, and a list. */
import { useMemo, useState } from "preact/hooks";
import { parseTerm } from "../layout/index.ts";
import { absoluteRange, isRelative, type View } from "../state/index.ts";
import type { PageProps } from "./app.tsx";
import { BaseControls } from "./base-controls.tsx";
import { ComparisonPicture, useSides } from "./comparison-picture.tsx";
import { useKeys } from "./hooks.ts";
import { PageTimeline, useChart } from "./page-timeline.tsx";
import { Segments } from "./parts.tsx";
import { ShareTools } from "./share.tsx";
import { ErrorState, Notice } from "./states.tsx";
import { SearchBox } from "./toolbar.tsx";

export function ComparePage({ shell, search, onShare }: PageProps) {
  const { session, snapshot } = shell;
  const { view, comparison, timeline } = snapshot;
  const { answer } = comparison;
  const chart = useChart(timeline, isRelative(view));
  const [brushes, setBrushes] = useState<"new" | "base">("new");
  const { sides, broken } = useSides(answer);
  const parsed = useMemo(() => parseTerm(search.term), [search.term]);
  const blocking = broken ?? (comparison.error && (!comparison.error.passing || !answer) ? comparison.error : null);
  const brush = (fromMs: number, untilMs: number) => {
    const range = absoluteRange(fromMs, untilMs);
    session.navigate(brushes === "new" ? range : { base: { query: view.base?.query ?? view.query, ...range } });
  };
  useKeys({
    x: () => session.navigate(swapped(view)),
    Escape: () => (view.zoom.length > 0 || view.span ? session.navigate({ zoom: [], span: null }) : search.setTerm("", "push")),
  });
  return (
    <>
      <BaseControls view={view} comparison={answer} onBase={(base) => session.navigate({ base })} onSwap={() => session.navigate(swapped(view))} />
      <PageTimeline shell={shell} chart={chart} onBrush={brush} />
      <div class="toolbar">
        <SearchBox
          field={search.field}
          text={search.term}
          message={parsed.kind === "wrong" ? parsed.message : ""}
          share={null}
          frames={0}
          onText={(text) => search.setTerm(text, "replace")}
          onLeave={() => document.getElementById("flamegraph")?.focus()}
        />
        <span class="grow" />
        <Segments label="What a drag across the timeline sets" class="small" value={brushes} options={[["base", "Drag: base"], ["new", "Drag: new"]]} onChoose={(side) => setBrushes(side as "new" | "base")} />
        <Segments label="Measure" class="small" value={view.measure} options={[["share", "Share"], ["absolute", "Absolute"]]} onChoose={(measure) => session.navigate({ measure })} />
        <Segments label="Form" class="small" value={view.form} options={[["merged", "Merged"], ["side", "Side by side"]]} onChoose={(form) => session.navigate({ form, zoom: [], span: null })} />
        <ShareTools shell={shell} term={search.term} onShare={onShare} />
      </div>
      <main class={`main compare ${comparison.stale && !blocking ? "stale" : ""}`} aria-busy={comparison.stale}>
        {!view.base ? (
          <Notice kind="empty" title="Choose what to compare with.">
            <p>The selection above is the new side. Choose a base: an earlier time, another version, service or host.</p>
          </Notice>
        ) : blocking ? (
          <ErrorState error={blocking} onRetry={() => session.refresh()} onUngroup={null} />
        ) : !answer || !sides ? (
          <Notice kind="loading" title="Loading…" />
        ) : answer.base.total === 0 || answer.new.total === 0 ? (
          <Notice kind="empty" title={`There are no samples on the ${answer.base.total === 0 ? "base" : "new"} side.`}>
            <p>Choose another time or selector for it.</p>
          </Notice>
        ) : (
          <ComparisonPicture
            shell={shell}
            answer={answer}
            sides={sides}
            significance={snapshot.significance}
            place={view}
            onPlace={(place, how) => session.navigate(place, how)}
            term={search.term}
            onTerm={(term) => search.setTerm(term, "push")}
          />
        )}
      </main>
    </>
  );
}

/** Base becomes new and new becomes base. */
function swapped(view: View): Partial<View> {
  const { base, query, from, until } = view;
  return base ? { query: base.query, from: base.from, until: base.until, base: { query, from, until } } : {};
}
