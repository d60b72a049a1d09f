/** Search, zoom, panes, sharing and export. */
import { displayName, Kind, type Tree } from "../layout/index.ts";
import { type Colouring, type Pane, SERVICE_LABEL } from "../state/index.ts";
import { formatShare } from "./format.ts";
import { Icon, Name, Segments } from "./parts.tsx";

interface SearchProps {
  readonly field: { current: HTMLInputElement | null };
  readonly text: string;
  readonly message: string;
  readonly share: string | null;
  readonly frames: number;
  /** What is counted; standard: boxes. */
  readonly of?: string;
  onText(text: string): void;
  onNext?(step: 1 | -1): void;
  onLeave(): void;
}

export function SearchBox(props: SearchProps) {
  return (
  <div class="search" role="search">
    <div class="search-field">
      <Icon name="search" />
      <input
        ref={props.field}
        id="search"
        type="text"
        aria-label="Search frames"
        aria-describedby="search-result"
        placeholder="Search frames   /"
        spellcheck={false}
        autocomplete="off"
        autocapitalize="off"
        maxLength={12_000}
        value={props.text}
        onInput={(event) => props.onText(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Enter") props.onNext?.(event.shiftKey ? -1 : 1);
          else if (event.key === "Escape") {
            event.stopPropagation();
            props.onText("");
            props.onLeave();
          }
        }}
      />
      {props.text !== "" && (
        <button type="button" class="icon-button bare" aria-label="Clear the search" title="Clear the search" onClick={() => props.onText("")}>
          <Icon name="close" />
        </button>
      )}
    </div>
    <output id="search-result" class="search-result" data-share={props.share ?? ""}>
      {props.message !== "" && <span class="muted">{props.message}</span>}
      {props.share !== null && (
        <>
          <strong>{props.share}</strong> <span class="muted">in {props.frames.toLocaleString("en")} {props.of ?? (props.frames === 1 ? "box" : "boxes")}</span>
        </>
      )}
    </output>
    {props.frames > 0 && props.onNext && (
      <span class="steps">
        <button type="button" class="icon-button" aria-label="Previous match" title="Previous match (N)" onClick={() => props.onNext?.(-1)}>
          <Icon name="up" />
        </button>
        <button type="button" class="icon-button" aria-label="Next match" title="Next match (n)" onClick={() => props.onNext?.(1)}>
          <Icon name="down" />
        </button>
      </span>
    )}
  </div>
  );
}

interface ZoomProps {
  readonly tree: Tree;
  readonly zoom: number;
  /** True if the frame of the link is not in this profile and an ancestor is shown instead. */
  readonly lost: boolean;
  /** Not null: gestures moved to another part than all of the zoomed frame. */
  readonly part: readonly [number, number] | null;
  onReset(): void;
  onOpenLabel(node: number): void;
}

export function ZoomNote({ tree, zoom, lost, part, onReset, onOpenLabel }: ZoomProps) {
  if (zoom === 0 && !lost && !part) return null;
  return (
    <div class="zoom-note">
      <button type="button" onClick={onReset} title="Show everything (Esc)">
        <Icon name="close" />
        <span>Reset zoom</span>
      </button>
      {lost ? (
        <span class="warn">The zoomed frame has no samples in this range; its nearest caller is shown.</span>
      ) : zoom === 0 ? null : (
        <span class="zoom-name">
          <Name text={tree.names[tree.name[zoom]]} maxChars={120} /> <span class="share">{formatShare(tree.total[zoom], tree.total[0])}</span>
        </span>
      )}
      {!lost && tree.kind[zoom] === Kind.Label && (
        <button type="button" title="Filter by this value (double click on its box)" onClick={() => onOpenLabel(zoom)}>
          Only this
        </button>
      )}
    </div>
  );
}

interface GroupProps {
  /** The label that the graph is grouped by; empty: by none. */
  readonly value: string;
  readonly labels: readonly string[];
  onGroup(label: string): void;
}

const USUAL_GROUPS: readonly string[] = [SERVICE_LABEL, "host"];

/** What the flame graph puts its stacks below. */
export function GraphGroup({ value, labels, onGroup }: GroupProps) {
  const others = labels.filter((label) => !USUAL_GROUPS.includes(label));
  const known = value === "" || USUAL_GROUPS.includes(value) || others.includes(value);
  return (
    <label class="inline group-by">
      <span>Group</span>
      <select aria-label="Group the flame graph by" value={value} onChange={(event) => onGroup(event.currentTarget.value)}>
        <option value={SERVICE_LABEL}>by service</option>
        <option value="host">by host</option>
        <option value="">none</option>
        {!known && <option value={value}>by {displayName(value, 40)}</option>}
        {others.map((label) => (
          <option key={label} value={label}>
            by {displayName(label, 40)}
          </option>
        ))}
      </select>
    </label>
  );
}

interface LookProps {
  readonly flip: boolean;
  readonly colouring: Colouring;
  readonly grouped: boolean;
  onLook(look: { flip?: boolean; colouring?: Colouring }): void;
}

/** Upside down or not, and what colours mean. */
export function GraphLook({ flip, colouring, grouped, onLook }: LookProps) {
  return (
    <>
      <button type="button" class="icon-button" aria-label="Root at the bottom" aria-pressed={flip} title="Root at the top or at the bottom (f)" onClick={() => onLook({ flip: !flip })}>
        <Icon name="flip" />
      </button>
      {grouped && (
        <span class="colouring muted">Colour</span>
      )}
      {grouped && (
        <Segments label="Colours mean" class="small colouring" value={colouring} options={[["module", "Module"], ["group", "Group"]]} onChoose={(next) => onLook({ colouring: next })} />
      )}
    </>
  );
}

export function ShareButton({ onShare }: { onShare(): void }) {
  return (
    <button type="button" id="share" title="Copy a link to exactly this view (c)" onClick={onShare}>
      <Icon name="share" />
      <span>Copy link</span>
    </button>
  );
}

export function PaneSwitch({ pane, onPane }: { pane: Pane; onPane(pane: Pane): void }) {
  return (
    <Segments
      label="What to show"
      class="panes"
      value={pane}
      options={[["graph", "Graph"], ["both", "Both"], ["table", "Table"]]}
      onChoose={onPane}
    />
  );
}
