/** The Explore page: wires the session to its parts and turns keys into what they mean. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { labelNodes, type Path, pathOf, type Tree, widestMatches } from "../layout/index.ts";
import {
  absoluteRange,
  graphGroup,
  isRelative,
  parseSelector,
  presetRange,
  type Session,
  standardGraphGroup,
  viewToSearch,
  widened,
  formatSelector,
  withValue,
} from "../state/index.ts";
import { groupColours, type Rgb, type Theme } from "../render/index.ts";
import { LiveButton, QueryInput, RangeControls, Selection } from "./controls.tsx";
import { FlameView } from "./flame-view.tsx";
import { formatRange } from "./format.ts";
import { labelValue } from "./frame.ts";
import { FunctionTable } from "./function-table.tsx";
import { Help } from "./help.tsx";
import { Icon } from "./parts.tsx";
import { type Found, useProfile, useSearch, useZoom } from "./profile.ts";
import { chartData } from "./series.ts";
import { EmptyState, ErrorState, Notice, StatusBar } from "./states.tsx";
import { nextChoice, useTheme } from "./theme.ts";
import { seriesColours, TimelineView } from "./timeline-view.tsx";
import { ExportMenu, GraphGroup, PaneSwitch, SearchBox, ZoomNote } from "./toolbar.tsx";
import { copyText, useSnapshot } from "./use-session.ts";

const SEARCH_DELAY_MS = 120;
const TOAST_MS = 4_000;
const MAX_MATCH_STEPS = 1_000;

export function App({ session }: { session: Session }) {
  const snapshot = useSnapshot(session);
  const { view, flamegraph } = snapshot;
  const { choice, theme, setChoice } = useTheme();
  const [helpOpen, setHelpOpen] = useState(false);
  const [selectedPath, setSelectedPath] = useState<Path | null>(null);
  const [toast, showToast] = useToast();
  const searchField = useRef<HTMLInputElement>(null);

  const answer = flamegraph.answer;
  const profile = useProfile(answer);
  const tree = profile.tree;
  const zoom = useZoom(tree, view.zoom);
  const pruned = answer !== null && tree !== null && answer.nodes_before_pruning > tree.count;
  const [term, setTerm] = useSearchText(view.search, (search, how) => session.navigate({ search }, how));
  const found = useSearch(tree, term, zoom.node, pruned);
  const relative = isRelative(view);
  const selector = parseSelector(view.query);
  const failing = flamegraph.error?.passing === true;
  const graphBy = graphGroup(view);
  const { timeline } = snapshot;
  const chart = useMemo(() => {
    // An old chart beside the reason why there is no new one would pass for the new one.
    if (!timeline.answer || (timeline.stale && timeline.error)) return null;
    return chartData(timeline.answer, relative ? timeline.answeredAtMs : null);
  }, [timeline.answer, timeline.answeredAtMs, timeline.stale && timeline.error !== null, relative]);
  const chartColours = useMemo(() => (chart ? seriesColours(chart, theme) : null), [chart, theme]);
  const labelColours = useLabelColours(tree, view.groupBy === graphBy ? chartColours : null, theme);
  const shown = useMemo(() => (answer ? { fromMs: answer.from_ms, untilMs: answer.until_ms } : null), [answer]);

  const zoomTo = (node: number) => {
    if (tree) session.navigate({ zoom: pathOf(tree, node) });
    // With the keyboard one goes on from the frame one zoomed into; with the mouse nothing is selected.
    setSelectedPath(tree && selectedPath ? pathOf(tree, node) : null);
  };
  const reset = () => {
    if (view.zoom.length > 0 || selectedPath) {
      session.navigate({ zoom: [] });
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
    if (!tree || !selector) return;
    const value = labelValue(tree.names[tree.name[node]], graphBy);
    session.navigate({ query: formatSelector(withValue(selector, graphBy, value)), graphBy: null, zoom: [] });
  };
  const toggleLive = () => {
    if (relative) session.setPaused(!snapshot.paused);
    else {
      session.setPaused(false);
      session.navigate(presetRange("15m"));
    }
  };
  const share = async () => {
    const range = shown ? absoluteRange(shown.fromMs, shown.untilMs) : {};
    const link = `${location.origin}${location.pathname}${viewToSearch({ ...view, search: term, ...range })}`;
    const copied = await copyText(link);
    const what = shown ? ` It shows ${formatRange(shown.fromMs, shown.untilMs)}.` : "";
    showToast(copied ? `Link copied.${what}` : `Copy this link: ${link}`);
  };

  useKeys({
    "/": () => searchField.current?.select(),
    "?": () => setHelpOpen(true),
    Escape: reset,
    l: toggleLive,
    t: () => setChoice(nextChoice(choice)),
    c: () => void share(),
    n: () => selectMatch(1),
    N: () => selectMatch(-1),
    ArrowUp: enterGraph,
    ArrowDown: enterGraph,
    ArrowLeft: enterGraph,
    ArrowRight: enterGraph,
  });

  useEffect(() => {
    document.title = `${view.query} · Stoker`;
  }, [view.query]);

  const empty = answer !== null && answer.total === 0;
  const blocking = profile.error ?? (flamegraph.error && (!failing || !answer) ? flamegraph.error : null);
  return (
    <div class={`page pane-${view.pane}`}>
      <header class="top">
        <h1 class="brand">
          <img src="/favicon.svg" alt="" width="20" height="20" />
          <span>Stoker</span>
        </h1>
        <Selection snapshot={snapshot} onQuery={(query) => session.setQuery(query)} />
        <QueryInput query={view.query} error={flamegraph.error} onQuery={(query) => session.setQuery(query)} />
        <RangeControls
          view={view}
          shown={shown}
          onRange={(range) => session.navigate(range)}
          onWiden={() => shown && session.navigate(widened(shown.fromMs, shown.untilMs, Date.now()))}
        />
        <LiveButton
          relative={relative}
          paused={snapshot.paused}
          failing={flamegraph.error !== null}
          onToggle={toggleLive}
          onGoLive={toggleLive}
        />
        <span class="corner">
          <button
            type="button"
            class="icon-button"
            data-theme-choice={choice}
            aria-label={`Theme: ${choice}. Change it.`}
            title={`Theme: ${choice} (t)`}
            onClick={() => setChoice(nextChoice(choice))}
          >
            <Icon name={choice} />
          </button>
          <button type="button" class="icon-button" aria-label="Help and keys" title="Help and keys (?)" onClick={() => setHelpOpen(true)}>
            <Icon name="help" />
          </button>
        </span>
      </header>
      <TimelineView
        slot={timeline}
        data={chart}
        groupBy={view.groupBy}
        labels={snapshot.labels.answer ?? []}
        chart={view.chart}
        theme={theme}
        onBrush={(fromMs, untilMs) => session.navigate(absoluteRange(fromMs, untilMs))}
        onGroupBy={(groupBy) => session.navigate({ groupBy })}
        onChart={(chart) => session.navigate({ chart })}
        onGroup={(value) => selector && session.setQuery(formatSelector(withValue(selector, view.groupBy, value)))}
      />
      <div class="toolbar">
        <SearchBox
          field={searchField}
          text={term}
          message={found.message}
          share={found.share}
          frames={found.matches?.nodes ?? 0}
          onText={(text) => setTerm(text, "replace")}
          onNext={selectMatch}
          onLeave={focusGraph}
        />
        {tree && !empty && <ZoomNote tree={tree} zoom={zoom.node} lost={zoom.lost} onReset={() => zoomTo(0)} onOpenLabel={openLabel} />}
        <span class="grow" />
        <GraphGroup
          value={graphBy}
          labels={snapshot.labels.answer ?? []}
          onGroup={(label) => session.navigate({ graphBy: label === standardGraphGroup(view.query) ? null : label })}
        />
        <PaneSwitch pane={view.pane} onPane={(pane) => session.navigate({ pane })} />
        <button type="button" id="share" title="Copy a link to exactly this view (c)" onClick={() => void share()}>
          <Icon name="share" />
          <span>Copy link</span>
        </button>
        {answer && <ExportMenu query={answer.query} range={absoluteRange(answer.from_ms, answer.until_ms)} groupBy={graphBy} />}
      </div>
      <main class={`main ${flamegraph.stale && !blocking ? "stale" : ""}`} aria-busy={flamegraph.stale}>
        {blocking ? (
          <ErrorState error={blocking} onRetry={() => session.refresh()} onUngroup={graphBy === "" ? null : () => session.navigate({ graphBy: "" })} />
        ) : !answer ? (
          <Notice kind="loading" title="Loading…" />
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
                matches={found.matches}
                selectedPath={selectedPath}
                theme={theme}
                onZoom={zoomTo}
                onSelect={select}
                onOpenLabel={openLabel}
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
                onSearch={(text) => setTerm(text, "push")}
              />
            )}
          </>
        )}
      </main>
      {answer && tree && !blocking && (
        <StatusBar
          answer={answer}
          covered={chart?.covered ?? null}
          nodes={tree.count}
          allNodes={view.allNodes}
          answeredAtMs={flamegraph.answeredAtMs}
          failing={failing}
          onAllNodes={(allNodes) => session.navigate({ allNodes })}
        />
      )}
      <div class="toast" role="status" data-open={toast !== ""}>
        {toast}
      </div>
      <Help open={helpOpen} onClose={() => setHelpOpen(false)} />
    </div>
  );
}

/** Label boxes have the colours of the chart that shows the same groups, so that it is their legend. */
function useLabelColours(tree: Tree | null, chart: ReadonlyMap<string, Rgb> | null, theme: Theme): ReadonlyMap<string, Rgb> {
  const colours = useMemo(() => {
    if (chart || !tree) return chart ?? new Map<string, Rgb>();
    const heaviest = labelNodes(tree).toSorted((a, b) => tree.total[b] - tree.total[a]);
    return groupColours(theme, heaviest.map((node) => tree.names[tree.name[node]]));
  }, [tree, chart, theme]);
  // The same colours stay the same map: another one would redraw the picture.
  const stable = useRef(colours);
  if (JSON.stringify([...stable.current]) !== JSON.stringify([...colours])) stable.current = colours;
  return stable.current;
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

/** The search as typed, written into the view after a short rest; browsers limit changes of address. */
function useSearchText(
  search: string,
  write: (search: string, how: "push" | "replace") => void,
): [string, (text: string, how: "push" | "replace") => void] {
  const [text, setText] = useState(search);
  const timer = useRef(0);
  const written = useRef(search);
  useEffect(() => {
    // What came from here needs no echo: it could overwrite what was typed since.
    if (search !== written.current) setText(search);
    written.current = search;
  }, [search]);
  const change = (next: string, how: "push" | "replace") => {
    setText(next);
    window.clearTimeout(timer.current);
    const commit = (what: string, as: "push" | "replace") => {
      written.current = what;
      write(what, as);
    };
    if (how === "push") {
      // What was typed last belongs to the step before this one.
      commit(text, "replace");
      commit(next, "push");
    } else {
      timer.current = window.setTimeout(() => commit(next, "replace"), SEARCH_DELAY_MS);
    }
  };
  return [text, change];
}

function useToast(): [string, (text: string) => void] {
  const [text, setText] = useState("");
  const timer = useRef(0);
  const show = (next: string) => {
    setText(next);
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => setText(""), TOAST_MS);
  };
  return [text, show];
}

/** Single keys anywhere on the page, except where text is typed, a menu is open or a modifier is held. */
function useKeys(keys: Record<string, () => void>): void {
  const latest = useRef(keys);
  latest.current = keys;
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      const target = event.target as HTMLElement;
      if (target.closest("input, select, textarea, dialog")) return;
      if (event.key.startsWith("Arrow") && target.closest("table, .popover, button")) return;
      const run = latest.current[event.key];
      if (!run) return;
      event.preventDefault();
      run();
    };
    window.addEventListener("keydown", onKeyDown);
    return () => window.removeEventListener("keydown", onKeyDown);
  }, []);
}
