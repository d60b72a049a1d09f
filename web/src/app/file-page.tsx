/** A file that somebody has, as a flame graph and a table. It is in no link and nowhere stored. */
import { useMemo, useState } from "preact/hooks";
import { findPath, functionsOf, labelNodes, type Path, pathOf, type Tree } from "../layout/index.ts";
import type { SortKey, Top } from "../state/index.ts";
import type { SearchProps } from "./app.tsx";
import { ContextMenu, stackText, titleOf, useFrameMenu } from "./context-menu.tsx";
import type { OpenFile } from "./file-drop.ts";
import { FileComparison } from "./file-comparison.tsx";
import { FlameView } from "./flame-view.tsx";
import { formatCount, formatValue } from "./format.ts";
import { FunctionTable } from "./function-table.tsx";
import { useKeys } from "./hooks.ts";
import { Icon, Name } from "./parts.tsx";
import { useProfile, useSearch } from "./profile.ts";
import type { Shell } from "./shell.ts";
import { ErrorState, Notice } from "./states.tsx";
import { SearchBox } from "./toolbar.tsx";

const NO_COLOURS = new Map<string, never>();

interface FilePageProps {
  readonly shell: Shell;
  readonly file: OpenFile;
  readonly search: SearchProps;
  onClose(): void;
}

export function FilePage({ shell, file, search, onClose }: FilePageProps) {
  const { answer } = file;
  const { tree, kinds, error } = useProfile(answer);
  const [zoomPath, setZoomPath] = useState<Path>([]);
  const [selected, setSelected] = useState<Path | null>(null);
  const [part, setPart] = useState<readonly [number, number] | null>(null);
  const [sort, setSort] = useState<SortKey>("self");
  const menu = useFrameMenu(tree);
  const zoom = tree ? findPath(tree, zoomPath).node : 0;
  const pruned = tree !== null && answer !== null && answer.nodes_before_pruning > tree.count;
  const found = useSearch(tree, search.term, zoom, pruned, null);
  const top = useMemo<Top | null>(() => (tree && answer ? { unit: answer.unit, total: answer.total, samples: answer.samples, rows: functionsOf(tree) } : null), [tree, answer]);
  const reset = () => {
    if (zoomPath.length === 0 && !part && !selected) search.setTerm("", "push");
    setZoomPath([]);
    setPart(null);
    setSelected(null);
  };
  useKeys({ Escape: reset });
  const failure = file.error ?? error;
  const [compares, setCompares] = useState(false);
  const { view } = shell.snapshot;
  const canCompare = answer !== null && answer.total > 0 && view.page !== "fleet";
  return (
    <>
      <div class="toolbar file-bar">
        <button type="button" onClick={onClose} title="Back to the live view">
          <Icon name="close" />
          <span>Close file</span>
        </button>
        <strong>
          <Name text={file.name} maxChars={80} />
        </strong>
        {answer && (
          <span class="muted">
            {answer.format}, {answer.profile_type}: {formatValue(answer.total, answer.unit)} in {formatCount(answer.samples)} samples
            {pruned && `, the largest of ${formatCount(answer.nodes_before_pruning)} boxes`}. Not stored.
          </span>
        )}
        <span class="grow" />
        {canCompare && (
          <button type="button" aria-pressed={compares} title={`Compare the file with ${view.query}, ${view.from} to ${view.until}`} onClick={() => setCompares(!compares)}>
            Compare with the selection
          </button>
        )}
        <SearchBox
          field={search.field}
          text={search.term}
          message={found.message}
          share={found.share}
          frames={found.matches?.nodes ?? 0}
          onText={(text) => search.setTerm(text, "replace")}
          onLeave={() => document.getElementById("flamegraph")?.focus()}
        />
      </div>
      {compares && canCompare ? (
        <FileComparison shell={shell} name={file.name} file={file.content} search={search} />
      ) : (
        <main class="main">
          {failure ? (
            <ErrorState error={failure} onRetry={onClose} onUngroup={null} />
          ) : !answer ? (
            <Notice kind="loading" title="Reading…" />
          ) : !tree || answer.total === 0 ? (
            <Notice kind="empty" title="There are no samples in this file." />
          ) : (
            <>
              <FlameView
                tree={tree}
                unit={answer.unit}
                groupBy={labelNodes(tree).length > 0 ? "label" : ""}
                labelColours={NO_COLOURS}
                fromMs={answer.from_ms}
                untilMs={answer.until_ms}
                zoom={zoom}
                part={part}
                flip={shell.snapshot.view.flip}
                matches={found.matches}
                selectedPath={selected}
                theme={shell.theme}
                onZoom={(node) => {
                  setZoomPath(pathOf(tree, node));
                  setPart(null);
                }}
                onSelect={(node) => setSelected(node < 0 ? null : pathOf(tree, node))}
                onPart={setPart}
                onOpenLabel={() => undefined}
                onMenu={menu.open}
              />
              <FunctionTable
                slot={{ answer: top, stale: false, loading: false, error: null, answeredAtMs: 0 }}
                sort={sort}
                search={search.term}
                matches={found.matcher}
                theme={shell.theme}
                kinds={kinds}
                onSort={setSort}
                onChoose={(term) => search.setTerm(term, "push")}
              />
            </>
          )}
        </main>
      )}
      {!compares && menu.at && tree && (
        <ContextMenu
          title={titleOf(tree, menu.at.node)}
          place={menu.at}
          items={copies(shell, tree, menu.at.node)}
          onClose={menu.close}
        />
      )}
    </>
  );
}

function copies(shell: Shell, tree: Tree, node: number) {
  return [
    { text: "Copy name", run: () => shell.copy(tree.names[tree.name[node]], "Name") },
    { text: "Copy stack", run: () => shell.copy(stackText(tree, node), "Stack") },
  ];
}
