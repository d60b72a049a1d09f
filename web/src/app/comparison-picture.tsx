/** A comparison as flame graphs, merged or side by side, and as a list of functions. */
import { useMemo, useState } from "preact/hooks";
import { BrokenProfile, buildSides, changes, findPath, largestChange, parseTerm, type Path, pathOf, searchTree, type Sides, tints } from "../layout/index.ts";
import { ApiError, type Comparison, type Significance, type Slot, type View } from "../state/index.ts";
import { ChangeScale } from "./change-scale.tsx";
import { ChangeTable } from "./change-table.tsx";
import { ContextMenu, stackText, titleOf, useFrameMenu } from "./context-menu.tsx";
import { FlameView } from "./flame-view.tsx";
import { formatChange, formatMeasure, scaleOf } from "./measure.ts";
import type { Shell } from "./shell.ts";
import { formatMargin, greyed, isSure, type Verdict, verdictsOf } from "./significance.ts";

const NO_COLOURS = new Map<string, never>();

export function useSides(answer: Comparison | null): { sides: Sides | null; broken: ApiError | null } {
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

/** What of a view says how a comparison is looked at. */
export type ComparisonPlace = Pick<View, "zoom" | "span" | "flip" | "form" | "measure">;

interface PictureProps {
  readonly shell: Shell;
  readonly answer: Comparison;
  readonly sides: Sides;
  readonly significance: Pick<Slot<Significance>, "answer" | "stale" | "error">;
  readonly place: ComparisonPlace;
  onPlace(change: Partial<ComparisonPlace>, how?: "push" | "replace"): void;
  readonly term: string;
  onTerm(term: string): void;
}

export function ComparisonPicture({ shell, answer, sides, significance, place, onPlace, term, onTerm }: PictureProps) {
  const { theme } = shell;
  const [selected, setSelected] = useState<Path | null>(null);
  const menu = useFrameMenu(sides.both);
  const scale = useMemo(() => scaleOf(answer, place.measure), [answer, place.measure]);
  const { change, largest } = useMemo(() => {
    const all = changes(sides, scale);
    return { change: all, largest: largestChange(sides.both, all) };
  }, [sides, scale]);
  const verdicts = useMemo(() => verdictsOf(significance.stale ? null : significance.answer, significance.error), [significance.answer, significance.stale, significance.error]);
  const tint = useMemo(() => greyed(sides.both, tints(change, largest), verdicts), [sides, change, largest, verdicts]);
  const matches = useMemo(() => {
    const parsed = parseTerm(term);
    return parsed.kind === "matcher" ? searchTree(sides.both, parsed.matches) : null;
  }, [sides, term]);
  const found = findPath(sides.both, place.zoom).node;
  const more = (node: number): (readonly [string, string])[] => [
    ["Base", formatMeasure(sides.base.total[node] * scale.base, place.measure, answer.unit)],
    ["New", formatMeasure(sides.new.total[node] * scale.new, place.measure, answer.unit)],
    ["Change", formatChange(change[node], place.measure, answer.unit)],
    ...functionFacts(verdicts.of.get(sides.both.names[sides.both.name[node]])),
  ];
  const graph = (id: string, label: string, tree: Sides["both"], side: "base" | "new") => (
    <FlameView
      id={id}
      label={label}
      tree={tree}
      unit={tree === sides.both ? "shares" : (answer[side].unit ?? answer.unit)}
      groupBy=""
      labelColours={NO_COLOURS}
      fromMs={answer[side].from_ms}
      untilMs={answer[side].until_ms}
      zoom={tree.total[found] > 0 ? found : 0}
      part={place.span}
      flip={place.flip}
      colourBy="change"
      change={tint}
      matches={matches}
      selectedPath={selected}
      theme={theme}
      more={more}
      onZoom={(node) => onPlace({ zoom: pathOf(tree, node), span: null })}
      onSelect={(node) => setSelected(node < 0 ? null : pathOf(tree, node))}
      onPart={(span) => onPlace({ span }, "replace")}
      onOpenLabel={() => undefined}
      onMenu={menu.open}
    />
  );
  const menuItems = (node: number) => [
    { text: "Zoom to this frame", run: () => onPlace({ zoom: pathOf(sides.both, node), span: null }) },
    { text: "Copy name", run: () => shell.copy(sides.both.names[sides.both.name[node]], "Name") },
    { text: "Copy stack", run: () => shell.copy(stackText(sides.both, node), "Stack") },
  ];
  return (
    <>
      <div class="pictures">
        <ChangeScale theme={theme} largest={formatChange(largest, place.measure, answer.unit)} verdicts={verdicts} />
        {place.form === "merged" ? (
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
      <ChangeTable verdicts={verdicts} answer={answer} scale={scale} measure={place.measure} search={term} onSearch={onTerm} />
      {menu.at && <ContextMenu title={titleOf(sides.both, menu.at.node)} place={menu.at} items={menuItems(menu.at.node)} onClose={menu.close} />}
    </>
  );
}
