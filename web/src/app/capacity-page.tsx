/** How much CPU services, versions and functions used, what that cost, and how far to trust it. */
import { useMemo } from "preact/hooks";
import { absoluteRange, type Capacity, type CapacityBy, type CapacityRow, capacityStep, formatSelector, isRelative, parseSelector, SERVICE_LABEL, VERSION_LABEL, withValue } from "../state/index.ts";
import type { PageProps } from "./app.tsx";
import { barsOf, keyOf, monthly, type RowBars } from "./capacity.ts";
import { formatClock, formatCount, formatNs, formatShare } from "./format.ts";
import { PageTimeline, useChart } from "./page-timeline.tsx";
import { Icon, Name, Segments } from "./parts.tsx";
import { ShareTools } from "./share.tsx";
import { ErrorState, Notice } from "./states.tsx";

const MAX_ROWS = 200;

export function CapacityPage({ shell, search, onShare }: PageProps) {
  const { session, snapshot } = shell;
  const { view, capacity, capacitySteps, timeline } = snapshot;
  const { answer } = capacity;
  const chart = useChart(timeline, isRelative(view));
  const by = view.capacityBy;
  const step = capacityStep(view);
  const bars = useMemo(() => (capacitySteps.answer && !capacitySteps.stale && step !== "all" ? barsOf(capacitySteps.answer, by) : null), [capacitySteps.answer, capacitySteps.stale, by, step]);
  const blocking = capacity.error && (!capacity.error.passing || !answer) ? capacity.error : null;
  const open = (row: CapacityRow) => {
    if (by === "function") {
      shell.openSandwich({ name: row.function ?? "", module: row.module ?? "" });
      return;
    }
    const labels = by === "version" ? [SERVICE_LABEL, VERSION_LABEL] : [SERVICE_LABEL];
    const selector = parseSelector(view.query);
    if (!selector) return;
    const narrowed = labels.reduce((all, label) => withValue(all, label, row.properties[label] ?? ""), selector);
    session.navigate({ page: "explore", query: formatSelector(narrowed), zoom: [], span: null });
  };
  return (
    <>
      <PageTimeline shell={shell} chart={chart} />
      <div class="toolbar">
        <Segments
          label="Rows are"
          value={by}
          options={[["service", "Services"], ["version", "Versions"], ["function", "Functions"]]}
          onChoose={(capacityBy: CapacityBy) => session.navigate({ capacityBy })}
        />
        <span class="grow" />
        <ShareTools shell={shell} term={search.term} onShare={onShare} />
        {answer && (
          <a class="button" href={session.api.capacityAddress(answer.query, absoluteRange(answer.from_ms, answer.until_ms), by, step)} download="capacity.csv" title="The same for spreadsheets, every row and step">
            <Icon name="export" />
            <span>CSV</span>
          </a>
        )}
      </div>
      <main class={`main capacity ${capacity.stale && !blocking ? "stale" : ""}`} aria-busy={capacity.stale}>
        {blocking ? (
          <ErrorState error={blocking} onRetry={() => session.refresh()} onUngroup={null} />
        ) : !answer ? (
          <Notice kind="loading" title="Loading…" />
        ) : answer.rows.length === 0 ? (
          <Notice kind="empty" title="No CPU time in this range.">
            <p>Choose another time or selector above.</p>
          </Notice>
        ) : (
          <>
            <Facts answer={answer} dataBeginMs={chart && !chart.covered.isWhole ? chart.covered.fromMs : null} />
            <Table answer={answer} by={by} bars={bars} onOpen={open} />
          </>
        )}
      </main>
    </>
  );
}

interface FactsProps {
  readonly answer: Capacity;
  /** Where the range begins before the data do. */
  readonly dataBeginMs: number | null;
}

/** The sums, what of the hosts' time they are, and what is missing. */
function Facts({ answer, dataBeginMs }: FactsProps) {
  const minutes = (answer.until_ms - answer.from_ms) / 60_000;
  const cost = answer.rows.reduce((sum, row) => sum + ((row.self_cpu_cost !== undefined ? row.self_cpu_cost : row.cpu_cost) ?? 0), 0);
  const coverage = answer.coverage[0]?.coverage ?? null;
  return (
    <p class="facts" role="status">
      <b>{formatNs(answer.cpu_seconds * 1e9)}</b> CPU, <b>{cores(answer.cpu_seconds / (minutes * 60))}</b> cores on average.{" "}
      {answer.currency === "" ? (
        <span class="muted">
          No prices are set: <code>--prices FILE</code> at the server turns time into money.{" "}
        </span>
      ) : (
        <>
          <b>{money(cost, answer.currency)}</b>, {money(monthly(cost, minutes), answer.currency)} a month at this rate.{" "}
        </>
      )}
      {coverage === null ? (
        <span class="muted">No host says how much CPU time it spent, so how much of it is in profiles is not known.</span>
      ) : (
        <span class={coverage < 0.9 ? "warn" : ""}>Profiles hold {formatShare(coverage, 1)} of the CPU time that hosts report.</span>
      )}
      {dataBeginMs !== null && <span class="warn"> Data begin at {formatClock(dataBeginMs)}; cores here are averages over the whole range.</span>}
      {(answer.warnings ?? []).map((warning) => (
        <bdi key={warning} class="warn">
          {" "}
          {warning}.
        </bdi>
      ))}
    </p>
  );
}

interface TableProps {
  readonly answer: Capacity;
  readonly by: CapacityBy;
  readonly bars: ReadonlyMap<string, RowBars> | null;
  onOpen(row: CapacityRow): void;
}

function Table({ answer, by, bars, onOpen }: TableProps) {
  const rows = answer.rows.slice(0, MAX_ROWS);
  const isFunction = by === "function";
  const priced = answer.currency !== "";
  return (
    <div class="functions capacity-table">
      <table>
        <caption class="unseen">CPU time, the largest first</caption>
        <thead>
          <tr>
            <th scope="col" class="name">{isFunction ? "Function" : by === "version" ? "Service, version" : "Service"}</th>
            <th scope="col" class="number">Cores</th>
            <th scope="col" class="number" title="One standard error: how far another fleet like this one would be off">±</th>
            {isFunction && <th scope="col" class="number">Self</th>}
            <th scope="col" class="number">CPU time</th>
            <th scope="col" class="number">Share</th>
            {priced && <th scope="col" class="number">{isFunction ? "Cost (self)" : "Cost"}</th>}
            {bars && <th scope="col" class="over-time">Over time</th>}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row, by)} onClick={() => onOpen(row)}>
              <td class="name">
                <button type="button" title={isFunction ? "Callers, callees and source lines" : "Its flame graph"}>
                  <Name text={labelOf(row, by)} maxChars={200} />
                  {isFunction && row.module !== undefined && row.module !== "" && (
                    <span class="module">
                      <Name text={row.module} maxChars={60} />
                    </span>
                  )}
                </button>
              </td>
              <td class="amount">{cores(row.cpuCoreUsageAverage)}</td>
              <td class="amount muted">{row.relative_error === null ? "–" : cores(row.relative_error * row.cpuCoreUsageAverage)}</td>
              {isFunction && <td class="amount">{cores((row.self_cpu_seconds ?? 0) / (row.minutes * 60))}</td>}
              <td class="amount">{formatNs(row.cpu_seconds * 1e9)}</td>
              <td class="amount">{formatShare(row.cpu_seconds, answer.cpu_seconds)}</td>
              {priced && <td class="amount">{costOf(row, answer.currency)}</td>}
              {bars && <td class="over-time">{spark(bars.get(keyOf(row, by)))}</td>}
            </tr>
          ))}
        </tbody>
      </table>
      {answer.rows_total > rows.length && <p class="muted table-note">The {rows.length} largest of {formatCount(answer.rows_total)}; all of them are in the CSV.</p>}
    </div>
  );
}

function labelOf(row: CapacityRow, by: CapacityBy): string {
  if (by === "function") return row.function ?? "";
  const service = row.properties[SERVICE_LABEL] || "(no service_name)";
  return by === "version" ? `${service} ${row.properties[VERSION_LABEL] || "(no version)"}` : service;
}

/** A bar for each step; the tallest is as tall as the line. */
function spark(bars: RowBars | undefined) {
  if (!bars) return <span class="muted">–</span>;
  const width = 100 / bars.cores.length;
  return (
    <svg class="spark" viewBox="0 0 100 20" preserveAspectRatio="none" role="img" aria-label={`from ${cores(bars.least)} to ${cores(bars.most)} cores`}>
      {bars.cores.map((value, i) => {
        const height = bars.most > 0 ? (value / bars.most) * 20 : 0;
        return <rect key={i} x={i * width} y={20 - height} width={Math.max(0.5, width * 0.85)} height={height} />;
      })}
    </svg>
  );
}

function cores(value: number): string {
  if (value === 0) return "0";
  if (value < 0.001) return "<0.001";
  return value < 10 ? value.toPrecision(3) : value < 100 ? value.toFixed(1) : Math.round(value).toLocaleString("en");
}

function costOf(row: CapacityRow, currency: string): string {
  const cost = row.self_cpu_cost !== undefined ? row.self_cpu_cost : row.cpu_cost;
  return cost === null ? "no price" : money(cost, currency);
}

function money(value: number, currency: string): string {
  const digits = value >= 100 ? 0 : value >= 0.01 || value === 0 ? 2 : 4;
  return `${value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })} ${currency}`;
}
