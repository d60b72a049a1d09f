/** What is looked at: profile type, service, selector text, time range, live or paused. */
import { useEffect, useRef, useState } from "preact/hooks";
import { displayName } from "../layout/index.ts";
import {
  type ApiError,
  fixedValue,
  formatSelector,
  isRelative,
  parseSelector,
  PRESETS,
  presetRange,
  type ProfileType,
  type Range,
  type Snapshot,
  type Top,
  type View,
  withValue,
} from "../state/index.ts";
import { formatDuration, formatShare, toLocalInput } from "./format.ts";
import { Icon, Popover, Segments } from "./parts.tsx";

interface SelectionProps {
  readonly snapshot: Snapshot;
  onQuery(query: string): void;
}

/** Menus for the two parts of a selector that change most. */
export function Selection({ snapshot, onQuery }: SelectionProps) {
  const { view, profileTypes, services } = snapshot;
  const selector = parseSelector(view.query);
  const types = profileTypes.answer ?? [];
  const type = types.find((t) => t.short === selector?.type || t.id === selector?.type);
  const service = selector ? fixedValue(selector, "service_name") : null;
  const hasOther = selector?.matchers.some((m) => m.label === "service_name") === true && service === null;
  return (
    <>
      <select
        aria-label="Profile type"
        disabled={!selector}
        value={type?.short ?? selector?.type ?? ""}
        onChange={(event) => selector && onQuery(formatSelector({ ...selector, type: event.currentTarget.value }))}
      >
        {!type && <option value={selector?.type ?? ""}>{selector ? displayName(selector.type, 40) : "selector"}</option>}
        {types.map((t: ProfileType) => (
          <option key={t.id} value={t.short}>
            {t.short}
          </option>
        ))}
      </select>
      <select
        class="service"
        aria-label="Service"
        disabled={!selector}
        value={hasOther ? "\u0000other" : service === null ? "" : `=${service}`}
        onChange={(event) => {
          const chosen = event.currentTarget.value;
          if (selector) onQuery(formatSelector(withValue(selector, "service_name", chosen === "" ? null : chosen.slice(1))));
        }}
      >
        <option value="">all services</option>
        {hasOther && <option value={"\u0000other"}>by selector</option>}
        {serviceOptions(services.answer, service)}
      </select>
    </>
  );
}

function serviceOptions(services: Top | null, chosen: string | null) {
  const rows = services?.rows ?? [];
  const known = rows.some((row) => row.name === chosen);
  const text = (value: number) => (services ? ` · ${formatShare(value, services.total)}` : "");
  return (
    <>
      {chosen !== null && !known && <option value={`=${chosen}`}>{displayName(chosen, 60)}</option>}
      {rows.map((row) => (
        <option key={row.name} value={`=${row.name}`}>
          {displayName(row.name, 60)}
          {text(row.total)}
        </option>
      ))}
    </>
  );
}

interface QueryProps {
  readonly query: string;
  readonly error: ApiError | null;
  onQuery(query: string): void;
}

/** The selector as text, with what the server says of it beside it. */
export function QueryInput({ query, error, onQuery }: QueryProps) {
  const [text, setText] = useState(query);
  useEffect(() => setText(query), [query]);
  // What is too large is not the selector's fault; the place of the graph says what to do.
  const wrong = error !== null && !error.passing && error.status !== 413 ? error : null;
  return (
    <form
      class="query"
      onSubmit={(event) => {
        event.preventDefault();
        onQuery(text);
      }}
    >
      <input
        id="query"
        class={wrong ? "wrong" : ""}
        aria-label="Selector"
        aria-invalid={wrong !== null}
        aria-describedby="query-error"
        spellcheck={false}
        autocomplete="off"
        autocapitalize="off"
        dir="ltr"
        maxLength={4096}
        placeholder={'cpu{service_name="api", host=~"web-.*"}'}
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      {text.trim() !== query && (
        <button type="submit" class="primary">
          Run
        </button>
      )}
      <p id="query-error" class="query-error" role="status">
        {wrong && (
          <>
            <bdi>{wrong.message}</bdi> {wrong.hint !== "" && <bdi class="hint">{wrong.hint}</bdi>}
          </>
        )}
      </p>
    </form>
  );
}

interface RangeProps {
  readonly view: View;
  /** The range of the picture shown, Unix milliseconds. */
  readonly shown: { readonly fromMs: number; readonly untilMs: number } | null;
  /** False where data do not reach to now: nothing is "the last 15 minutes" of a kept copy. */
  readonly hasPresets: boolean;
  onRange(range: Range): void;
  onWiden(): void;
}

export function RangeControls({ view, shown, hasPresets, onRange, onWiden }: RangeProps) {
  const preset = PRESETS.find((p) => presetRange(p).from === view.from && view.until === "now") ?? null;
  return (
    <div class="range">
      {hasPresets && (
        <Segments
          label="Time range"
          class="presets"
          value={preset}
          options={PRESETS.map((p) => [p, p] as const)}
          onChoose={(p) => onRange(presetRange(p))}
        />
      )}
      <Popover label={preset ? "Custom" : customLabel(view, shown)} class={preset ? "" : "on"} align="right" title="Choose from and until">
        {(close) => (
          <CustomRange
            shown={shown}
            onRange={(range) => {
              close();
              onRange(range);
            }}
          />
        )}
      </Popover>
      <button type="button" class="icon-button" aria-label="Look at twice the time" title="Look at twice the time" disabled={!shown} onClick={onWiden}>
        <Icon name="widen" />
      </button>
    </div>
  );
}

function customLabel(view: View, shown: RangeProps["shown"]): string {
  if (isRelative(view)) return view.until === "now" ? view.from.replace(/^now-/, "last ") : view.from;
  return shown ? `fixed ${formatDuration(shown.untilMs - shown.fromMs)}` : "fixed";
}

function CustomRange({ shown, onRange }: { shown: RangeProps["shown"]; onRange(range: Range): void }) {
  const from = useRef<HTMLInputElement>(null);
  const until = useRef<HTMLInputElement>(null);
  const [message, setMessage] = useState("");
  const now = Date.now();
  const apply = (event: Event) => {
    event.preventDefault();
    const fromMs = Date.parse(from.current?.value ?? "");
    const untilMs = Date.parse(until.current?.value ?? "");
    if (Number.isNaN(fromMs) || Number.isNaN(untilMs)) setMessage("Fill in both times.");
    else if (fromMs >= untilMs) setMessage("From must lie before until.");
    else onRange({ from: String(Math.floor(fromMs / 1000)), until: String(Math.floor(untilMs / 1000)) });
  };
  return (
    <form class="custom-range" onSubmit={apply}>
      <label>
        From
        <input ref={from} type="datetime-local" step="1" defaultValue={toLocalInput(shown?.fromMs ?? now - 900_000)} />
      </label>
      <label>
        Until
        <input ref={until} type="datetime-local" step="1" defaultValue={toLocalInput(shown?.untilMs ?? now)} />
      </label>
      <p class="muted" role="status">
        {message || `Local time, ${Intl.DateTimeFormat().resolvedOptions().timeZone}.`}
      </p>
      <button type="submit" class="primary">
        Show
      </button>
    </form>
  );
}

interface LiveProps {
  readonly relative: boolean;
  readonly paused: boolean;
  readonly failing: boolean;
  onToggle(): void;
  onGoLive(): void;
}

export function LiveButton({ relative, paused, failing, onToggle, onGoLive }: LiveProps) {
  if (!relative) {
    return (
      <button type="button" class="live" title="Back to the present (l)" onClick={onGoLive}>
        <Icon name="play" />
        <span>Go live</span>
      </button>
    );
  }
  const word = paused ? "Paused" : failing ? "No data" : "Live";
  return (
    <button
      type="button"
      class={`live ${paused ? "" : failing ? "failing" : "running"}`}
      aria-pressed={!paused}
      title={paused ? "Go on refreshing (l)" : "Pause refreshing (l)"}
      onClick={onToggle}
    >
      {paused ? <Icon name="pause" /> : <span class="dot" aria-hidden="true" />}
      <span>{word}</span>
    </button>
  );
}
