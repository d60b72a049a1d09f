/** All functions of a selection. */
import { useMemo } from "preact/hooks";
import { isRelative, presetRange } from "../state/index.ts";
import { parseTerm } from "../layout/index.ts";
import type { PageProps } from "./app.tsx";
import { formatCount, formatShare } from "./format.ts";
import { FunctionTable } from "./function-table.tsx";
import { useKeys } from "./hooks.ts";
import { PageTimeline, useChart } from "./page-timeline.tsx";
import { ShareTools } from "./share.tsx";
import { EmptyState, ErrorState, Notice } from "./states.tsx";
import { SearchBox } from "./toolbar.tsx";

const NO_KINDS: ReadonlyMap<string, number> = new Map();

export function FunctionsPage({ shell, search, onShare }: PageProps) {
  const { session, snapshot, theme } = shell;
  const { view, top, timeline } = snapshot;
  const parsed = useMemo(() => parseTerm(search.term), [search.term]);
  const matches = parsed.kind === "matcher" ? parsed.matches : null;
  const chart = useChart(timeline, isRelative(view));
  const selfShare = useMemo(() => {
    if (!top.answer || !matches) return null;
    const self = top.answer.rows.filter((row) => matches(row.name)).reduce((sum, row) => sum + row.self, 0);
    return `${formatShare(self, top.answer.total)} self`;
  }, [top.answer, matches]);
  const found = useMemo(() => (matches ? (top.answer?.rows.filter((row) => matches(row.name)).length ?? 0) : 0), [top.answer, matches]);
  useKeys({ Escape: () => search.setTerm("", "push") });
  const blocking = top.error && (!top.error.passing || !top.answer) ? top.error : null;
  return (
    <>
      <PageTimeline shell={shell} chart={chart} />
      <div class="toolbar">
        <SearchBox
          field={search.field}
          text={search.term}
          message={parsed.kind === "wrong" ? parsed.message : ""}
          share={selfShare}
          frames={found}
          of="functions"
          onText={(text) => search.setTerm(text, "replace")}
          onLeave={() => document.querySelector<HTMLElement>(".functions tbody button")?.focus()}
        />
        <span class="grow" />
        {top.answer && <span class="muted">{formatCount(top.answer.rows.length)} functions</span>}
        <ShareTools shell={shell} term={search.term} onShare={onShare} />
      </div>
      <main class="main pane-table" aria-busy={top.stale}>
        {blocking ? (
          <ErrorState error={blocking} onRetry={() => session.refresh()} onUngroup={null} />
        ) : !top.answer ? (
          <Notice kind="loading" title="Loading…" />
        ) : top.answer.total === 0 ? (
          <EmptyState filtered={false} live={isRelative(view)} onWiden={() => session.navigate(presetRange("24h"))} onUnfilter={() => undefined} />
        ) : (
          <FunctionTable
            slot={top}
            sort={view.sort}
            search={search.term}
            matches={matches}
            theme={theme}
            kinds={NO_KINDS}
            filter
            onSort={(sort) => session.navigate({ sort })}
            onChoose={(term) => {
              const row = top.answer?.rows.find((candidate) => `"${candidate.name}"` === term);
              if (row) shell.openSandwich({ name: row.name, module: row.module });
            }}
            onOpen={shell.openSandwich}
          />
        )}
      </main>
    </>
  );
}
