/** One function in the middle: what calls it above, what it calls below, over all its positions. */
import { useMemo, useState } from "preact/hooks";
import { buildTree, displayName, findPath, Kind, parseTerm, type Path, pathOf, searchTree, type Tree } from "../layout/index.ts";
import type { Columns, Sandwich } from "../state/index.ts";
import type { PageProps } from "./app.tsx";
import { ContextMenu, stackText, titleOf, useFrameMenu } from "./context-menu.tsx";
import { FlameView } from "./flame-view.tsx";
import { formatShare, formatValue } from "./format.ts";
import { useKeys } from "./hooks.ts";
import { Icon, Name } from "./parts.tsx";
import { SourceLines } from "./source-lines.tsx";
import { ShareTools } from "./share.tsx";
import { ErrorState, Notice } from "./states.tsx";
import { SearchBox } from "./toolbar.tsx";

const NO_COLOURS = new Map<string, never>();

export function SandwichPage({ shell, search, onShare }: PageProps) {
  const { session, snapshot } = shell;
  const { sandwich, view } = snapshot;
  const { answer } = sandwich;
  const back = () => session.navigate({ page: "explore" });
  const [resets, setResets] = useState(0);
  useKeys({ Escape: () => setResets(resets + 1), Backspace: back });
  const parsed = useMemo(() => parseTerm(search.term), [search.term]);
  const blocking = sandwich.error && (!sandwich.error.passing || !answer) ? sandwich.error : null;
  return (
    <>
      <div class="toolbar">
        <button type="button" onClick={back} title="Back to the flame graph (Backspace)">
          <Icon name="close" />
          <span>Whole graph</span>
        </button>
        {answer && <Middle answer={answer} />}
        <span class="grow" />
        <SearchBox
          field={search.field}
          text={search.term}
          message={parsed.kind === "wrong" ? parsed.message : ""}
          share={null}
          frames={0}
          onText={(text) => search.setTerm(text, "replace")}
          onLeave={() => document.getElementById("callees")?.focus()}
        />
        <ShareTools shell={shell} term={search.term} onShare={onShare} />
      </div>
      <main class={`main sandwich ${sandwich.stale && !blocking ? "stale" : ""}`} aria-busy={sandwich.stale}>
        {blocking ? (
          <ErrorState error={blocking} onRetry={() => session.refresh()} onUngroup={null} />
        ) : !view.focus ? (
          <Notice kind="empty" title="No function is chosen.">
            <p>Choose one on the Functions page, or "Callers, callees, source lines" in the menu of a frame.</p>
          </Notice>
        ) : !answer ? (
          <Notice kind="loading" title="Loading…" />
        ) : answer.total === 0 ? (
          <Notice kind="empty" title="This function has no samples in this range.">
            <p>
              <bdi>{displayName(view.focus.name, 200)}</bdi>
            </p>
          </Notice>
        ) : (
          <>
            <div class="halves">
              <Half key="callers" id="callers" title="Callers" columns={answer.callers} answer={answer} flip shell={shell} term={search.term} resets={resets} />
              <Half key="callees" id="callees" title="Callees" columns={answer.callees} answer={answer} flip={false} shell={shell} term={search.term} resets={resets} />
            </div>
            <SourceLines answer={answer} />
          </>
        )}
      </main>
    </>
  );
}

function Middle({ answer }: { answer: Sandwich }) {
  return (
    <span class="zoom-name middle">
      <Name text={answer.name} maxChars={120} />
      {answer.module !== "" && (
        <span class="muted">
          <Name text={answer.module} maxChars={60} />
        </span>
      )}
      <span class="share">
        {formatValue(answer.total, answer.unit)}, {formatShare(answer.total, answer.whole)} of all; self {formatValue(answer.self, answer.unit)}, {formatShare(answer.self, answer.whole)}
      </span>
    </span>
  );
}

interface HalfProps {
  readonly id: string;
  readonly title: string;
  readonly columns: Columns & { readonly nodes_before_pruning: number };
  readonly answer: Sandwich;
  readonly flip: boolean;
  readonly shell: PageProps["shell"];
  readonly term: string;
  /** Counts how often the person asked for everything again. */
  readonly resets: number;
}

function Half({ id, title, columns, answer, flip, shell, term, resets }: HalfProps) {
  const tree = useMemo(() => buildTree(columns), [columns]);
  const [place, setPlace] = useState<{ zoom: Path; selected: Path | null; part: readonly [number, number] | null; resets: number }>({ zoom: [], selected: null, part: null, resets });
  const current = place.resets === resets ? place : { zoom: [], selected: null, part: null, resets };
  const menu = useFrameMenu(tree);
  const found = findPath(tree, current.zoom).node;
  const zoom = tree.total[found] > 0 ? found : 0;
  const matches = useMemo(() => {
    const parsed = parseTerm(term);
    return parsed.kind === "matcher" ? searchTree(tree, parsed.matches) : null;
  }, [tree, term]);
  const open = (node: number) => shell.openSandwich({ name: tree.names[tree.name[node]], module: tree.modules[tree.module[node]] });
  const { nodes_before_pruning: before } = columns;
  return (
    <section class="half" aria-label={title}>
      <h2>
        {title}
        <span class="muted"> {before === 1 ? (flip ? "none: it stands at the start of its stacks" : "none") : before > tree.count ? `the largest of ${before.toLocaleString("en")} boxes` : ""}</span>
      </h2>
      <FlameView
        id={id}
        label={title}
        tree={tree}
        unit={answer.unit}
        groupBy=""
        labelColours={NO_COLOURS}
        fromMs={answer.from_ms}
        untilMs={answer.until_ms}
        zoom={zoom}
        part={current.part}
        flip={flip}
        matches={matches}
        selectedPath={current.selected}
        theme={shell.theme}
        more={(node) => [["Of all", formatShare(tree.total[node], answer.whole)]]}
        onZoom={(node) => setPlace({ ...current, zoom: pathOf(tree, node), part: null })}
        onSelect={(node) => setPlace({ ...current, selected: node < 0 ? null : pathOf(tree, node) })}
        onPart={(part) => setPlace({ ...current, part })}
        onOpenLabel={() => undefined}
        onMenu={menu.open}
      />
      {menu.at && <ContextMenu title={titleOf(tree, menu.at.node)} place={menu.at} items={items(tree, menu.at.node, shell, open, flip)} onClose={menu.close} />}
    </section>
  );
}

function items(tree: Tree, node: number, shell: PageProps["shell"], open: (node: number) => void, flip: boolean) {
  const name = tree.names[tree.name[node]];
  const stack = stackText(tree, node);
  const copies = [
    { text: "Copy name", run: () => shell.copy(name, "Name") },
    { text: "Copy stack", run: () => shell.copy(flip ? stack.split("\n").toReversed().join("\n") : stack, "Stack") },
  ];
  const isFunction = node !== 0 && tree.kind[node] !== Kind.Other;
  return isFunction ? [{ text: "Callers, callees, source lines", run: () => open(node) }, ...copies] : copies;
}
