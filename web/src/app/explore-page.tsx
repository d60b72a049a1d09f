/** Timeline, flame graph and functions of one selection. */
import { useMemo, useState } from "preact/hooks";
import { Kind, type Path, pathOf, type Tree, widestMatches } from "../layout/index.ts";
import { absoluteRange, formatSelector, graphGroup, isRelative, parseSelector, presetRange, standardGraphGroup } from "../state/index.ts";
import type { PageProps } from "./app.tsx";
import { ContextMenu, type MenuItem, stackText, titleOf, useFrameMenu } from "./context-menu.tsx";
import { FlameView } from "./flame-view.tsx";
import { labelValue, originFacts } from "./frame.ts";
import { FunctionTable } from "./function-table.tsx";
import { narrowed } from "./header.tsx";
import { HeatmapView } from "./heatmap-view.tsx";
import { useKeys } from "./hooks.ts";
import { useLabelColours } from "./label-colours.ts";
import { ExportMenu } from "./export-menu.tsx";
import { PageTimeline, useChart } from "./page-timeline.tsx";
import { type Found, useProfile, useSearch, useZoom } from "./profile.ts";
import { ShareTools } from "./share.tsx";
import { SliceNote } from "./slice-note.tsx";
import { EmptySlice, EmptyState, ErrorState, Notice, StatusBar } from "./states.tsx";
import { seriesColours } from "./timeline-view.tsx";
import { GraphGroup, GraphLook, PaneSwitch, SearchBox, ZoomNote } from "./toolbar.tsx";

const MAX_MATCH_STEPS = 1_000;

export function ExplorePage({ shell, search, onShare }: PageProps) {
  const { session, snapshot, theme } = shell;
  const { view, flamegraph, timeline } = snapshot;
  const { term, setTerm } = search;
  const [selectedPath, setSelectedPath] = useState<Path | null>(null);

  const answer = flamegraph.answer;
  const profile = useProfile(answer);
  const tree = profile.tree;
  const zoom = useZoom(tree, view.zoom);
  const menu = useFrameMenu(tree);
  const pruned = answer !== null && tree !== null && answer.nodes_before_pruning > tree.count;
  const whole = pruned && !snapshot.search.stale && term === view.search ? snapshot.search.answer : null;
  const found = useSearch(tree, term, zoom.node, pruned, whole);
  const relative = isRelative(view);
  const selector = parseSelector(view.query);
  const failing = flamegraph.error?.passing === true;
  const graphBy = graphGroup(view);
  const chart = useChart(timeline, relative);
  const chartColours = useMemo(() => (chart ? seriesColours(chart, theme) : null), [chart, theme]);
  const labelColours = useLabelColours(tree, view.groupBy === graphBy ? chartColours : null, theme);

  const zoomTo = (node: number) => {
    if (!tree) return;
    // The sum of what was too small opens by what it hangs on: the server sends more of that.
    const target = tree.kind[node] === Kind.Other ? tree.parent[node] : node;
    session.navigate({ zoom: pathOf(tree, target), span: null });
    // With the keyboard one goes on from the frame one zoomed into; with the mouse nothing is selected.
    setSelectedPath(selectedPath ? pathOf(tree, target) : null);
  };
  const reset = () => {
    if (view.zoom.length > 0 || view.span || selectedPath) {
      session.navigate({ zoom: [], span: null });
      setSelectedPath(null);
    } else {
      setTerm("", "push");
    }
  };
  const select = (node: number) => setSelectedPath(tree && node >= 0 ? pathOf(tree, node) : null);
  const selectMatch = (step: 1 | -1) => {
    if (tree && found.matches) select(nextMatch(tree, found, zoom.node, selectedPath, step));
  };
  const enterGraph = () => {
    focusGraph();
    if (!selectedPath) select(zoom.node);
  };
  const openLabel = (node: number) => {
    if (!tree) return;
    const query = narrowed(view.query, graphBy, labelValue(tree.names[tree.name[node]], graphBy));
    if (query !== null) session.navigate({ query, graphBy: null, zoom: [], span: null });
  };
  const menuItems = (node: number): MenuItem[] => {
    if (!tree) return [];
    const name = tree.names[tree.name[node]];
    const items: MenuItem[] = [{ text: node === zoom.node ? "Zoom out to the caller" : "Zoom to this frame", key: "Enter", run: () => zoomTo(node === zoom.node ? tree.parent[node] : node) }];
    if (tree.kind[node] === Kind.Label) items.push({ text: "Filter: only this", run: () => openLabel(node) });
    else if (node !== 0 && tree.kind[node] !== Kind.Other) {
      items.push(
        { text: "Callers, callees, source lines", run: () => shell.openSandwich({ name, module: tree.modules[tree.module[node]] }) },
        { text: "Find this function everywhere", run: () => setTerm(`"${name}"`, "push") },
      );
    }
    const build = tree.kind[node] === Kind.Label ? undefined : answer?.builds?.[tree.module[node]]?.ids;
    if (build?.length === 1) items.push({ text: "Copy build id", run: () => shell.copy(build[0], "Build id") });
    items.push(
      { text: "Copy name", run: () => shell.copy(name, "Name") },
      { text: "Copy stack", run: () => shell.copy(stackText(tree, node), "Stack") },
    );
    return items;
  };

  useKeys({
    Escape: reset,
    n: () => selectMatch(1),
    N: () => selectMatch(-1),
    f: () => session.navigate({ flip: !view.flip }),
    ArrowUp: enterGraph,
    ArrowDown: enterGraph,
    ArrowLeft: enterGraph,
    ArrowRight: enterGraph,
  });

  const exportRange = { ...absoluteRange(answer?.from_ms ?? 0, answer?.until_ms ?? 0), ...(view.slice === null ? {} : { span: view.slice }) };
  const empty = answer !== null && answer.total === 0;
  const blocking = profile.error ?? (flamegraph.error && (!failing || !answer) ? flamegraph.error : null);
  return (
    <>
      {view.chart === "heatmap" ? (
        <HeatmapView
          slot={snapshot.heatmap}
          slice={view.slice}
          theme={theme}
          onChart={(form) => session.navigate({ chart: form })}
          onSlice={(slice, { from_ms, until_ms }) => session.navigate({ slice, ...absoluteRange(from_ms, until_ms) })}
        />
      ) : (
        <PageTimeline
          shell={shell}
          chart={chart}
          onGroup={(value) => {
            const query = narrowed(view.query, view.groupBy, value);
            if (query !== null) session.setQuery(query);
          }}
        />
      )}
      <div class="toolbar">
        <SearchBox
          field={search.field}
          text={term}
          message={found.message}
          share={found.share}
          frames={found.matches?.nodes ?? 0}
          onText={(text) => setTerm(text, "replace")}
          onNext={selectMatch}
          onLeave={focusGraph}
        />
        <SliceNote slice={view.slice} warnings={answer?.warnings ?? []} onReset={() => session.navigate({ slice: null })} />
        {tree && !empty && <ZoomNote tree={tree} zoom={zoom.node} part={view.span} lost={zoom.lost} onReset={() => zoomTo(0)} onOpenLabel={openLabel} />}
        <span class="grow" />
        <GraphLook flip={view.flip} colouring={view.colouring} grouped={graphBy !== ""} onLook={(look) => session.navigate(look)} />
        <GraphGroup
          value={graphBy}
          labels={snapshot.labels.answer ?? []}
          onGroup={(label) => session.navigate({ graphBy: label === standardGraphGroup(view.query) ? null : label })}
        />
        <PaneSwitch pane={view.pane} onPane={(pane) => session.navigate({ pane })} />
        <ShareTools shell={shell} term={search.term} onShare={onShare} />
        {answer && <ExportMenu api={session.api} query={answer.query} range={exportRange} groupBy={graphBy} />}
      </div>
      <main class={`main ${flamegraph.stale && !blocking ? "stale" : ""}`} aria-busy={flamegraph.stale}>
        {blocking ? (
          <ErrorState error={blocking} onRetry={() => session.refresh()} onUngroup={graphBy === "" ? null : () => session.navigate({ graphBy: "" })} />
        ) : !answer ? (
          <Notice kind="loading" title="Loading…" />
        ) : empty && view.slice !== null ? (
          <EmptySlice onReset={() => session.navigate({ slice: null })} />
        ) : empty || !tree ? (
          <EmptyState
            filtered={(selector?.matchers.length ?? 0) > 0}
            live={relative}
            onWiden={() => session.navigate(presetRange("24h"))}
            onUnfilter={() => selector && session.setQuery(formatSelector({ ...selector, matchers: [] }))}
          />
        ) : (
          <>
            {view.pane !== "table" && (
              <FlameView
                tree={tree}
                unit={answer.unit}
                groupBy={graphBy}
                labelColours={labelColours}
                fromMs={answer.from_ms}
                untilMs={answer.until_ms}
                zoom={zoom.node}
                part={view.span}
                flip={view.flip}
                asking={flamegraph.loading || snapshot.search.loading}
                colourBy={graphBy === "" ? "module" : view.colouring}
                matches={found.matches}
                selectedPath={selectedPath}
                theme={theme}
                origin={(node) => originFacts(answer, tree, node)}
                onZoom={zoomTo}
                onSelect={select}
                onOpenLabel={openLabel}
                onPart={(span) => session.navigate({ span }, "replace")}
                onMenu={menu.open}
              />
            )}
            {view.pane !== "graph" && (
              <FunctionTable
                slot={snapshot.top}
                sort={view.sort}
                search={term}
                matches={found.matcher}
                theme={theme}
                kinds={profile.kinds}
                onSort={(sort) => session.navigate({ sort })}
                onChoose={(text) => setTerm(text, "push")}
                onOpen={shell.openSandwich}
              />
            )}
          </>
        )}
      </main>
      {answer && tree && !blocking && (
        <StatusBar
          answer={answer}
          covered={chart?.covered ?? null}
          slice={view.slice}
          nodes={tree.count}
          allNodes={view.allNodes}
          answeredAtMs={flamegraph.answeredAtMs}
          failing={failing}
          onAllNodes={(allNodes) => session.navigate({ allNodes })}
        />
      )}
      {menu.at && tree && <ContextMenu title={titleOf(tree, menu.at.node)} place={menu.at} items={menuItems(menu.at.node)} onClose={menu.close} />}
    </>
  );
}

function focusGraph(): void {
  document.getElementById("flamegraph")?.focus();
}

/** Matches in order of weight, round and round from the selected one. */
function nextMatch(tree: Tree, found: Found, zoom: number, selected: Path | null, step: 1 | -1): number {
  if (!found.matches) return -1;
  const nodes = widestMatches(tree, found.matches, zoom, MAX_MATCH_STEPS);
  if (nodes.length === 0) return -1;
  const key = selected?.join();
  const at = nodes.findIndex((node) => pathOf(tree, node).join() === key);
  if (at < 0) return step > 0 ? nodes[0] : nodes[nodes.length - 1];
  return nodes[(at + step + nodes.length) % nodes.length];
}
