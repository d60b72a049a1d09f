/** The keyboard map. */
import { useEffect, useRef } from "preact/hooks";
import { Icon } from "./parts.tsx";

const KEYS: readonly (readonly [keys: readonly string[], effect: string])[] = [
  [["1", "2", "3", "4", "5"], "Pages: Explore, Functions, Compare, Fleet, Capacity"],
  [["/"], "Search frames: text, /regular expression/ or \"exact name\""],
  [["n", "N"], "Select the next or previous match, heaviest first"],
  [["←", "→", "↑", "↓"], "Select a frame: neighbours, caller, heaviest callee"],
  [["Enter"], "Zoom into the selected frame"],
  [["Backspace"], "Zoom out to the caller"],
  [["w", "s", "a", "d"], "In the graph: closer, further, left, right (also + and -)"],
  [["Menu"], "In the graph: what can be done with the selected frame (also Shift F10)"],
  [["Esc"], "Reset: zoom and selection first, then the search"],
  [["f"], "Root at the top or at the bottom"],
  [["x"], "Compare: exchange base and new"],
  [["s"], "In a table: callers and callees of the function"],
  [["o"], "Open a file: pprof, collapsed, perf script, speedscope"],
  [["l"], "Pause or go on refreshing"],
  [["c"], "Copy a link to exactly this view"],
  [["t"], "Theme: system, light, dark"],
  [["?"], "This help"],
];

export function Help({ open, onClose }: { open: boolean; onClose(): void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (open) dialog.current?.showModal();
    else dialog.current?.close();
  }, [open]);
  return (
    <dialog
      ref={dialog}
      class="help"
      aria-labelledby="help-title"
      onClose={onClose}
      onClick={(event) => event.target === dialog.current && onClose()}
    >
      <div class="help-body">
        <header>
          <h2 id="help-title">Keys</h2>
          <button type="button" class="icon-button" aria-label="Close" onClick={onClose}>
            <Icon name="close" />
          </button>
        </header>
        <dl>
          {KEYS.map(([keys, effect]) => (
            <div key={effect}>
              <dt>
                {keys.map((key) => (
                  <kbd key={key}>{key}</kbd>
                ))}
              </dt>
              <dd>{effect}</dd>
            </div>
          ))}
        </dl>
        <h2>Reading the picture</h2>
        <p>
          Callers stand above, callees below (the other way round with the root at the bottom). A box is as wide as its share of the total; what it did itself stays empty below it. Modules keep
          their colour; the bold boxes above them are services (or what "Group" says) in the colours of the timeline; orange is the kernel, grey is no function, hatched is the sum of boxes too small to send. The hatched end of the
          timeline is still filling. Drag across the timeline to
          choose a range.
        </p>
        <p>
          The heatmap has a column for each second, its start at the top: what happens at the same moment of each second is a stripe. Drag from cell to cell, or use the arrow keys with Shift and Enter, to see that stretch of time alone.
        </p>
        <p>
          Drag the graph to move it; Ctrl and wheel, or a pinch, zooms; a right click opens what can be done
          with a frame. A file that is dropped onto the page is shown and not stored.
        </p>
      </div>
    </dialog>
  );
}
