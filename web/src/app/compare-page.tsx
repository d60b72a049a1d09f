/** Two selections: one picture that shows what changed, or both side by side, and a list. */
import { useCallback, useMemo, useState } from "preact/hooks";
import { BrokenProfile, buildSides, changes, findPath, largestChange, parseTerm, type Path, pathOf, searchTree, type Sides, tints } from "../layout/index.ts";
import { ApiError, absoluteRange, type Comparison, isRelative, type View } from "../state/index.ts";
import type { PageProps } from "./app.tsx";
import { BaseControls } from "./base-controls.tsx";
import { ChangeScale } from "./change-scale.tsx";
import { ChangeTable } from "./change-table.tsx";
import { ContextMenu, type MenuPlace, stackText, titleOf } from "./context-menu.tsx";
import { useChart, useMarks } from "./explore-page.tsx";
import { FlameView } from "./flame-view.tsx";
import { formatChange, formatMeasure, scaleOf } from "./measure.ts";
import { useKeys } from "./hooks.ts";
import { formatMargin, greyed, isSure, type Verdict, verdictsOf } from "./significance.ts";
import { Segments } from "./parts.tsx";
import { ErrorState, Notice } from "./states.tsx";
import { TimelineView } from "./timeline-view.tsx";
import { SearchBox, ShareButton } from "./toolbar.tsx";

const NO_COLOURS = new Map<string, never>();

export function ComparePage({ shell, search, onShare }: PageProps) {
  const { session, snapshot, theme } = shell;
  const { view, comparison, timeline } = snapshot;
  const { answer } = comparison;
  const chart = useChart(timeline, isRelative(view));
  const marks = useMarks(snapshot);
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
      <TimelineView
        slot={timeline}
        data={chart}
        marks={marks}
        groupBy={view.groupBy}
        labels={snapshot.labels.answer ?? []}
        chart={view.chart}
        theme={theme}
        onBrush={brush}
        onGroupBy={(groupBy) => session.navigate({ groupBy })}
        onChart={(form) => session.navigate({ chart: form })}
        onGroup={() => undefined}
      />
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
        <ShareButton onShare={onShare} />
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
          <Picture shell={shell} answer={answer} sides={sides} term={search.term} onTerm={(term) => search.setTerm(term, "push")} />
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

function useSides(answer: Comparison | null): { sides: Sides | null; broken: ApiError | null } {
  return useMemo(() => {
    if (!answer) return { sides: null, broken: null };
    try {
      return { sides: buildSides(answer), broken: null };
    } catch (error) {
      if (!(error instanceof BrokenProfile)) throw error;
      return { sides: null, broken: new ApiError(0, "broken_profile", "The server's comparison contradicts itself.", error.message) };
    }
  }, [answer]);
}

/** What is known of the function that a frame stands for, over all its places. */
function functionFacts(verdict: Verdict | undefined): (readonly [string, string])[] {
  if (!verdict || verdict.total.margin === null) return [];
  const words = isSure(verdict) ? (verdict.status === "composition" ? "because others changed" : "more than chance") : "may be chance";
  return [["Function", `${formatChange(verdict.total.change, "share", "")} ${formatMargin(verdict.total)}, ${words}`]];
}

interface PictureProps {
  readonly shell: PageProps["shell"];
  readonly answer: Comparison;
  readonly sides: Sides;
  readonly term: string;
  onTerm(term: string): void;
}

function Picture({ shell, answer, sides, term, onTerm }: PictureProps) {
  const { session, snapshot, theme } = shell;
  const { view } = snapshot;
  const [selected, setSelected] = useState<Path | null>(null);
  const [menu, setMenu] = useState<MenuPlace | null>(null);
  const closeMenu = useCallback(() => setMenu(null), []);
  const scale = useMemo(() => scaleOf(answer, view.measure), [answer, view.measure]);
  const { change, largest } = useMemo(() => {
    const all = changes(sides, scale);
    return { change: all, largest: largestChange(sides.both, all) };
  }, [sides, scale]);
  const { significance } = snapshot;
  const verdicts = useMemo(() => verdictsOf(significance.stale ? null : significance.answer, significance.error), [significance.answer, significance.stale, significance.error]);
  const tint = useMemo(() => greyed(sides.both, tints(change, largest), verdicts), [sides, change, largest, verdicts]);
  const matches = useMemo(() => {
    const parsed = parseTerm(term);
    return parsed.kind === "matcher" ? searchTree(sides.both, parsed.matches) : null;
  }, [sides, term]);
  const found = findPath(sides.both, view.zoom).node;
  const more = (node: number): (readonly [string, string])[] => [
    ["Base", formatMeasure(sides.base.total[node] * scale.base, view.measure, answer.unit)],
    ["New", formatMeasure(sides.new.total[node] * scale.new, view.measure, answer.unit)],
    ["Change", formatChange(change[node], view.measure, answer.unit)],
    ...functionFacts(verdicts.of.get(sides.both.names[sides.both.name[node]])),
  ];
  const graph = (id: string, label: string, tree: Sides["both"], side: "base" | "new") => (
    <FlameView
      id={id}
      label={label}
      tree={tree}
      unit={tree === sides.both ? "shares" : answer.unit}
      groupBy=""
      labelColours={NO_COLOURS}
      fromMs={answer[side].from_ms}
      untilMs={answer[side].until_ms}
      zoom={tree.total[found] > 0 ? found : 0}
      part={view.span}
      flip={view.flip}
      colourBy="change"
      change={tint}
      matches={matches}
      selectedPath={selected}
      theme={theme}
      more={more}
      onZoom={(node) => session.navigate({ zoom: pathOf(tree, node), span: null })}
      onSelect={(node) => setSelected(node < 0 ? null : pathOf(tree, node))}
      onPart={(span) => session.navigate({ span }, "replace")}
      onOpenLabel={() => undefined}
      onMenu={(node, x, y) => setMenu({ node, x, y })}
    />
  );
  return (
    <>
      <div class="pictures">
        <ChangeScale theme={theme} largest={formatChange(largest, view.measure, answer.unit)} verdicts={verdicts} />
        {view.form === "merged" ? (
          graph("flamegraph", "Both sides merged", sides.both, "new")
        ) : (
          <div class="side-by-side">
            <section class="half" aria-label="Base">
              <h2>Base</h2>
              {graph("flamegraph-base", "Base", sides.base, "base")}
            </section>
            <section class="half" aria-label="New">
              <h2>New</h2>
              {graph("flamegraph", "New", sides.new, "new")}
            </section>
          </div>
        )}
      </div>
      <ChangeTable verdicts={verdicts} answer={answer} scale={scale} measure={view.measure} search={term} onSearch={onTerm} />
      {menu && menu.node < sides.both.count && (
        <ContextMenu
          title={titleOf(sides.both, menu.node)}
          place={menu}
          items={[
            { text: "Zoom to this frame", run: () => session.navigate({ zoom: pathOf(sides.both, menu.node), span: null }) },
            { text: "Copy name", run: () => shell.copy(sides.both.names[sides.both.name[menu.node]], "Name") },
            { text: "Copy stack", run: () => shell.copy(stackText(sides.both, menu.node), "Stack") },
          ]}
          onClose={closeMenu}
        />
      )}
    </>
  );
}
