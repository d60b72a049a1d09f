/** What is shown while it is a slice of the range, and the way back. */
import { sliceUs } from "../layout/index.ts";
import { formatMs } from "./format.ts";
import { momentText } from "./heatmap-view.tsx";
import { Icon } from "./parts.tsx";

interface SliceNoteProps {
  readonly slice: string | null;
  /** What the answer says is missing from it. */
  readonly warnings: readonly string[];
  onReset(): void;
}

export function SliceNote({ slice, warnings, onReset }: SliceNoteProps) {
  const times = slice === null ? null : sliceUs(slice);
  if (!times) return null;
  return (
    <div class="zoom-note slice-note" data-slice={slice}>
      <button type="button" onClick={onReset} title="Show the whole range">
        <Icon name="close" />
        <span>Whole range</span>
      </button>
      <span>
        Only {formatMs((times[1] - times[0]) / 1000)} from {momentText(times[0])}
      </span>
      {warnings.length > 0 && <span class="warn">{warnings.join(" ")}</span>}
    </div>
  );
}
