/** What stands in place of the graph when there is none, and what must be said beside it. */
import type { ComponentChildren } from "preact";
import { type ApiError, type Flamegraph, WINDOW_MS } from "../state/index.ts";
import { sliceUs } from "../layout/index.ts";
import type { Covered } from "./series.ts";
import { formatClock, formatCount, formatDuration, formatMs, formatRange, formatShare, formatRate, formatValue, perTime, rateUnit } from "./format.ts";

export function Notice({ title, children, kind }: { title: string; children?: ComponentChildren; kind: "empty" | "error" | "loading" }) {
  return (
    <div class={`notice ${kind}`} data-state={kind} role={kind === "error" ? "alert" : "status"}>
      {kind === "loading" && <span class="spinner" aria-hidden="true" />}
      <h2>
        <bdi>{title}</bdi>
      </h2>
      {children}
    </div>
  );
}

interface EmptyProps {
  readonly filtered: boolean;
  readonly live: boolean;
  onWiden(): void;
  onUnfilter(): void;
}

export function EmptyState({ filtered, live, onWiden, onUnfilter }: EmptyProps) {
  return (
    <Notice kind="empty" title="No samples in this range yet.">
      <p>
        {live
          ? "An agent sends its first samples about ten seconds after it starts; this page shows them as they come."
          : "Nothing was sampled between these times, or nothing is stored of them any more."}
      </p>
      <p>
        No agent running? <code>stoker up</code> starts one on this machine, <code>stoker-agent --server http://HOST:4041</code> on another.
      </p>
      <p class="actions">
        <button type="button" class="primary" onClick={onWiden}>
          Look at the last 24 hours
        </button>
        {filtered && (
          <button type="button" onClick={onUnfilter}>
            Drop the filter
          </button>
        )}
      </p>
    </Notice>
  );
}

export function EmptySlice({ onReset }: { onReset(): void }) {
  return (
    <Notice kind="empty" title="No samples in this stretch of time.">
      <p>Choose a fuller part of the heatmap, or a longer one.</p>
      <p class="actions">
        <button type="button" class="primary" onClick={onReset}>
          Show the whole range
        </button>
      </p>
    </Notice>
  );
}

/** `onUngroup`: there where the graph is grouped by a label that was asked for. */
export function ErrorState({ error, onRetry, onUngroup }: { error: ApiError; onRetry(): void; onUngroup: (() => void) | null }) {
  return (
    <Notice kind="error" title={error.message}>
      {error.hint !== "" && (
        <p>
          <bdi>{error.hint}</bdi>
        </p>
      )}
      {error.status === 0 && <p>Is the server running? This page asks again by itself while the range is live.</p>}
      <p class="actions">
        <button type="button" class="primary" onClick={onRetry}>
          Ask again
        </button>
        {onUngroup && error.status === 413 && (
          <button type="button" onClick={onUngroup}>
            Show it without groups
          </button>
        )}
      </p>
    </Notice>
  );
}

interface StatusProps {
  readonly answer: Flamegraph;
  /** The part of the range that there are data of. */
  readonly covered: Covered | null;
  /** The exact part of the range that the answer is of; null where it is of all. */
  readonly slice?: string | null;
  readonly nodes: number;
  readonly allNodes: boolean;
  readonly answeredAtMs: number;
  readonly failing: boolean;
  onAllNodes(all: boolean): void;
}

/** One line of facts about the picture; what is missing from it stands out. */
export function StatusBar({ answer, covered, slice = null, nodes, allNodes, answeredAtMs, failing, onAllNodes }: StatusProps) {
  const times = slice === null ? null : sliceUs(slice);
  const since = !times && covered && !covered.isWhole && covered.fromMs < answer.until_ms ? covered : null;
  const rangeMs = Math.max(1, Math.min(answer.until_ms, covered?.untilMs ?? answer.until_ms) - Math.max(answer.from_ms, since?.fromMs ?? 0));
  const durationMs = times ? (times[1] - times[0]) / 1000 : rangeMs;
  const lost = answer.lost_samples;
  const pruned = answer.nodes_before_pruning > nodes;
  return (
    <footer class="status" data-lost={lost} data-samples={answer.samples}>
      <span>
        <b>{formatValue(answer.total, answer.unit)}</b>
        {answer.unit === "nanoseconds" ? " CPU" : ""} in {times ? formatMs(durationMs) : formatDuration(Math.ceil(durationMs / WINDOW_MS) * WINDOW_MS)}
        {since && ` (data begin at ${formatClock(since.fromMs)})`}
      </span>
      <span>
        <b>{formatRate(perTime(answer.total, answer.unit, durationMs), answer.unit)}</b> {rateUnit(answer.unit)}
      </span>
      <span>{formatCount(answer.samples)} samples</span>
      {lost > 0 && (
        <span class="warn" title="Taken by an agent but not in this picture">
          {formatCount(lost)} lost ({formatShare(lost, lost + answer.samples)})
        </span>
      )}
      <span>
        {pruned ? (
          <>
            {formatCount(nodes)} of {formatCount(answer.nodes_before_pruning)} frames{" "}
            <button type="button" class="link" onClick={() => onAllNodes(true)}>
              show all
            </button>
          </>
        ) : (
          <>
            {formatCount(nodes)} {nodes === 1 ? "frame" : "frames"}{" "}
            {allNodes && (
              <button type="button" class="link" onClick={() => onAllNodes(false)}>
                show the largest only
              </button>
            )}
          </>
        )}
      </span>
      <span class="grow">{formatRange(answer.from_ms, answer.until_ms)}</span>
      {answer.level !== "raw" && <span>rolled up: {answer.level}</span>}
      <span class={failing ? "warn" : "muted"}>
        {failing ? `The server does not answer; this is of ${formatClock(answeredAtMs)}.` : `as of ${formatClock(answeredAtMs)}`}
      </span>
    </footer>
  );
}
