/** The flame graph: canvas, hover card, keys, and a description in words for those who cannot see it. */
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { displayName, findPath, Kind, labelNodes, type Matches, type Path, type Tree } from "../layout/index.ts";
import { type ColourBy, type Drawn, type Rgb, ROW_HEIGHT_PX, type Theme } from "../render/index.ts";
import { FlameController } from "./flame-controller.ts";
import { formatShare, formatValue } from "./format.ts";
import { type FrameFacts, frameFacts, frameSentence } from "./frame.ts";
import { FrameCard } from "./frame-card.tsx";

interface FlameViewProps {
  readonly tree: Tree;
  readonly unit: string;
  /** The label that the graph is grouped by; empty: by none. */
  readonly groupBy: string;
  readonly labelColours: ReadonlyMap<string, Rgb>;
  readonly fromMs: number;
  readonly untilMs: number;
  readonly zoom: number;
  readonly matches: Matches | null;
  readonly selectedPath: Path | null;
  readonly theme: Theme;
  /** Standard: `flamegraph`. Every graph of a page has its own. */
  readonly id?: string;
  readonly label?: string;
  /** True while a newer or closer picture is on its way. */
  readonly asking?: boolean;
  readonly flip?: boolean;
  readonly colourBy?: ColourBy;
  readonly change?: Float32Array | null;
  readonly part?: readonly [number, number] | null;
  /** What else is to be said of a frame. */
  more?(node: number): FrameFacts["more"];
  /** Where a frame's code and samples are from. */
  origin?(node: number): FrameFacts["origin"];
  onPart?(part: readonly [number, number] | null): void;
  onMenu?(node: number, x: number, y: number): void;
  onZoom(node: number): void;
  onSelect(node: number): void;
  /** A label box was opened: only its value is to be shown. */
  onOpenLabel(node: number): void;
}

interface Hover {
  readonly node: number;
  readonly x: number;
  readonly y: number;
}

const NOTHING: Hover = { node: -1, x: 0, y: 0 };

export function FlameView(props: FlameViewProps) {
  const { tree, zoom, matches, theme, unit, groupBy, labelColours, id = "flamegraph", flip = false, colourBy = "module", change = null, part = null } = props;
  const canvas = useRef<HTMLCanvasElement>(null);
  const overlay = useRef<HTMLCanvasElement>(null);
  const scroller = useRef<HTMLDivElement>(null);
  const controller = useRef<FlameController | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const [hover, setHover] = useState<Hover>(NOTHING);
  const [drawn, setDrawn] = useState<Drawn | null>(null);

  useLayoutEffect(() => {
    if (!canvas.current || !overlay.current || !scroller.current) return;
    const made = new FlameController(canvas.current, overlay.current, scroller.current, {
      onHover: (node, x, y) => setHover(node < 0 ? NOTHING : { node, x, y }),
      onSelect: (node) => latest.current.onSelect(node),
      onZoom: (node) => latest.current.onZoom(node),
      onOpen: (node) => {
        if (latest.current.tree.kind[node] === Kind.Label) latest.current.onOpenLabel(node);
      },
      onMenu: (node, x, y) => latest.current.onMenu?.(node, x, y),
      onPart: (now) => latest.current.onPart?.(now),
      onDrawn: (now) => setDrawn((before) => (before?.picture === now.picture && before.labels === now.labels ? before : now)),
    });
    controller.current = made;
    return () => made.dispose();
  }, []);

  const selected = selectedNode(tree, props.selectedPath);
  useLayoutEffect(() => {
    controller.current?.show({ tree, zoom, matches, selected, theme, labelColours, colourBy, change, flip, part });
  }, [tree, zoom, matches, selected, theme, labelColours, colourBy, change, flip, part]);
  const groups = useMemo(() => labelNodes(tree).length, [tree]);
  const others = useMemo(() => tree.kind.reduce((count, kind) => count + (kind === Kind.Other ? 1 : 0), 0), [tree]);

  const openMenu = () => {
    const at = selected >= 0 ? selected : zoom;
    const place = controller.current?.placeOf(tree, at);
    if (place) props.onMenu?.(at, place.x, place.y);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const direction = ARROWS[flip ? (UPSIDE_DOWN[event.key] ?? event.key) : event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = STEPS[event.key];
    if (step) controller.current?.step(...step);
    else if (event.key === "ContextMenu" || (event.key === "F10" && event.shiftKey)) openMenu();
    else if (direction) props.onSelect(controller.current?.neighbourOf(selected, direction) ?? -1);
    else if (event.key === "Enter" && selected >= 0) props.onZoom(selected);
    else if (event.key === "Backspace") props.onZoom(tree.parent[zoom]);
    else return;
    event.preventDefault();
  };

  const cardNode = hover.node >= 0 && hover.node < tree.count ? hover.node : selected;
  const place = hover.node >= 0 ? hover : selected >= 0 ? controller.current?.placeOf(tree, selected) : null;
  return (
    <div class="flame" ref={scroller}>
      <canvas
        ref={canvas}
        id={id}
        class="graph"
        tabIndex={0}
        role="application"
        aria-roledescription="flame graph"
        aria-label={`${props.label ?? "Flame graph"}. Arrow keys move between frames, Enter zooms, Escape resets. The table of functions says the same in words.`}
        aria-describedby={`${id}-summary`}
        data-nodes={tree.count}
        data-groups={groups}
        data-others={others}
        data-total={tree.total[0]}
        data-boxes={drawn?.boxes ?? 0}
        data-labels={drawn?.labels ?? 0}
        data-picture={drawn?.picture ?? ""}
        data-zoom={zoom === 0 ? "" : displayName(tree.names[tree.name[zoom]])}
        data-zoom-depth={tree.row[zoom]}
        data-selected={selected < 0 ? "" : displayName(tree.names[tree.name[selected]])}
        data-part={part ? part.join("~") : ""}
        data-asking={props.asking === true}
        data-flip={flip}
        data-matched-frames={matches?.nodes ?? 0}
        data-from-ms={props.fromMs}
        data-until-ms={props.untilMs}
        onKeyDown={onKeyDown}
      />
      <canvas ref={overlay} class="overlay" aria-hidden="true" />
      <Spacer rows={tree.rowCount} />
      <p id={`${id}-summary`} class="unseen">
        {summary(tree, zoom, matches, unit, drawn)}
        {groups > 0 && ` Grouped by ${groupBy}: ${groups} ${groups === 1 ? "value" : "values"}.`}
      </p>
      <p class="unseen" aria-live="polite">
        {selected >= 0 && frameSentence(frameFacts(tree, selected, zoom, unit, groupBy, props.more?.(selected)))}
      </p>
      {cardNode >= 0 && place && <FrameCard facts={frameFacts(tree, cardNode, zoom, unit, groupBy, props.more?.(cardNode), props.origin?.(cardNode))} x={place.x} y={place.y} />}
    </div>
  );
}

/** Zoom factor and widths to pan by, as games have it; `+` and `-` too. */
const STEPS: Record<string, [number, number] | undefined> = {
  w: [0.8, 0],
  s: [1.25, 0],
  "+": [0.8, 0],
  "=": [0.8, 0],
  "-": [1.25, 0],
  a: [1, -0.1],
  d: [1, 0.1],
};

const UPSIDE_DOWN: Record<string, string | undefined> = { ArrowUp: "ArrowDown", ArrowDown: "ArrowUp" };

const ARROWS: Record<string, "up" | "down" | "left" | "right" | undefined> = {
  ArrowUp: "up",
  ArrowDown: "down",
  ArrowLeft: "left",
  ArrowRight: "right",
};

/** A selection, like a zoom, is remembered by path; it vanishes with its frame. */
function selectedNode(tree: Tree, path: Path | null): number {
  if (!path) return -1;
  const found = findPath(tree, path);
  return found.complete ? found.node : -1;
}

/** Gives the scroller the height of the whole picture; the canvas itself is one viewport high. */
function Spacer({ rows }: { rows: number }) {
  const element = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (element.current) element.current.style.height = `${rows * ROW_HEIGHT_PX + 8}px`;
  }, [rows]);
  return <div class="flame-spacer" ref={element} />;
}

function summary(tree: Tree, zoom: number, matches: Matches | null, unit: string, drawn: Drawn | null): string {
  const whole = tree.total[0];
  const parts = [`${tree.count} frames, total ${formatValue(whole, unit)}; ${drawn?.boxes ?? 0} boxes drawn.`];
  if (zoom !== 0) {
    const name = displayName(tree.names[tree.name[zoom]]);
    parts.push(`Zoomed on ${name}, ${formatShare(tree.total[zoom], whole)} of the total.`);
  }
  if (matches) parts.push(`${matches.nodes} frames match the search, ${formatShare(matches.weight, whole)} of the total.`);
  return parts.join(" ");
}
