/** Saving what is shown. */
import type { Api, ExportFormat, Range } from "../state/index.ts";
import { Popover } from "./parts.tsx";

const FORMATS: readonly (readonly [format: ExportFormat, text: string, file: string])[] = [
  ["pprof", "pprof (.pb.gz)", "profile.pb.gz"],
  ["collapsed", "Collapsed stacks (.collapsed)", "profile.collapsed"],
  ["speedscope", "speedscope (.speedscope.json)", "profile.speedscope.json"],
  ["svg", "Picture of everything (.svg)", "profile.svg"],
  ["html", "Page that opens offline (.html)", "profile.html"],
  ["json", "Columns as JSON (.json)", "profile.json"],
];

interface ExportMenuProps {
  readonly api: Api;
  readonly query: string;
  readonly range: Range;
  readonly groupBy: string;
}

export function ExportMenu({ api, query, range, groupBy }: ExportMenuProps) {
  return (
    <Popover label="Export" icon="export" align="right" title="Save what is selected">
      {(close) => (
        <ul class="menu" onClick={close}>
          {FORMATS.map(([format, text, file]) => (
            <li key={format}>
              <a href={api.exportAddress(query, range, groupBy, format)} download={file}>
                {text}
              </a>
            </li>
          ))}
          <li>
            <button type="button" onClick={savePicture}>
              What is seen now (.png)
            </button>
          </li>
        </ul>
      )}
    </Popover>
  );
}

/** The canvas as it stands. */
function savePicture(): void {
  const canvas = document.querySelector<HTMLCanvasElement>("canvas.graph");
  canvas?.toBlob((blob) => {
    if (!blob) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = "flamegraph.png";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1_000);
  });
}
