/** The base of a comparison: its selector and its time. */
import { useEffect, useState } from "preact/hooks";
import { type Base, type Comparison, earlier, lengthMs, toMs, type View } from "../state/index.ts";
import { formatDuration, formatRange } from "./format.ts";
import { Icon, Popover } from "./parts.tsx";

const DAY_MS = 86_400_000;

interface BaseControlsProps {
  readonly view: View;
  readonly comparison: Comparison | null;
  onBase(base: Base): void;
  onSwap(): void;
}

export function BaseControls({ view, comparison, onBase, onSwap }: BaseControlsProps) {
  const { base } = view;
  const query = base?.query ?? view.query;
  const length = lengthMs(view, Date.now());
  const choices: (readonly [text: string, byMs: number])[] = [
    [`The ${formatDuration(length)} before`, length],
    ["One hour earlier", 3_600_000],
    ["Same time yesterday", DAY_MS],
    ["Same time a week ago", 7 * DAY_MS],
    ["Same time (another selector)", 0],
  ];
  return (
    <section class="base-bar panel" aria-label="Base of the comparison">
      <h2>Base</h2>
      <BaseQuery query={query} onQuery={(text) => onBase({ from: base?.from ?? view.from, until: base?.until ?? view.until, query: text })} />
      <Popover label={base ? rangeText(base, comparison) : "Choose a time"} class={base ? "" : "primary"} title="The time of the base">
        {(close) => (
          <ul class="menu">
            {choices.map(([text, byMs]) => (
              <li key={text}>
                <button
                  type="button"
                  onClick={() => {
                    close();
                    onBase({ query, ...earlier(view, byMs, Date.now()) });
                  }}
                >
                  {text}
                </button>
              </li>
            ))}
          </ul>
        )}
      </Popover>
      <button type="button" disabled={!base} title="Exchange base and new (x)" onClick={onSwap}>
        <Icon name="widen" />
        <span>Swap</span>
      </button>
      <span class="muted grow">
        {comparison && base ? `New: ${comparison.new.query}, ${formatRange(comparison.new.from_ms, comparison.new.until_ms)}` : "New: the selection above."}
      </span>
    </section>
  );
}

function rangeText(base: Base, comparison: Comparison | null): string {
  if (comparison) return formatRange(comparison.base.from_ms, comparison.base.until_ms);
  const [from, until] = [toMs(base.from, Date.now()), toMs(base.until, Date.now())];
  return from !== null && until !== null ? formatRange(from, until) : `${base.from} to ${base.until}`;
}

function BaseQuery({ query, onQuery }: { query: string; onQuery(text: string): void }) {
  const [text, setText] = useState(query);
  useEffect(() => setText(query), [query]);
  return (
    <form
      class="query"
      onSubmit={(event) => {
        event.preventDefault();
        onQuery(text.trim());
      }}
    >
      <input
        aria-label="Selector of the base"
        spellcheck={false}
        autocomplete="off"
        autocapitalize="off"
        dir="ltr"
        maxLength={4096}
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      {text.trim() !== query && (
        <button type="submit" class="primary">
          Run
        </button>
      )}
    </form>
  );
}
