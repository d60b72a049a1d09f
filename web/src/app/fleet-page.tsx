/** Who sends, how fresh it is, and what is missing. */
import { useMemo, useState } from "preact/hooks";
import type { Agent } from "../state/index.ts";
import type { PageProps } from "./app.tsx";
import { FleetFiles } from "./fleet-files.tsx";
import { formatClock, formatCount, formatDuration, formatShare } from "./format.ts";
import { Name } from "./parts.tsx";
import { ErrorState, Notice } from "./states.tsx";

/** An agent sends every second or two; one that was silent for so long may be gone. */
const LATE_MS = 30_000;
/** Losing more than this part is worth looking into. */
const MUCH_LOST = 0.01;
const FEW_COMPLETE = 0.95;

type Column = "host" | "seen" | "lost" | "unwind";

export function FleetPage({ shell }: PageProps) {
  const { agents } = shell.snapshot;
  const [sort, setSort] = useState<Column>("host");
  const nowMs = agents.answeredAtMs;
  const rows = useMemo(() => sortedBy(agents.answer?.agents ?? [], sort), [agents.answer, sort]);
  if (agents.error && !agents.answer) return <main class="main"><ErrorState error={agents.error} onRetry={() => shell.session.refresh()} onUngroup={null} /></main>;
  if (!agents.answer) return <main class="main"><Notice kind="loading" title="Loading…" /></main>;
  if (rows.length === 0) {
    return (
      <main class="main">
        <Notice kind="empty" title="No agent has sent anything since the server started.">
          <p>
            <code>stoker up</code> starts one on this machine, <code>stoker-agent --server http://HOST:4041</code> on another; <code>stoker-agent doctor</code> says what is missing on a host.
          </p>
        </Notice>
      </main>
    );
  }
  const head = (column: Column, text: string) => (
    <th scope="col" aria-sort={sort === column ? (column === "host" ? "ascending" : "descending") : "none"}>
      <button type="button" onClick={() => setSort(column)}>
        {text}
      </button>
    </th>
  );
  return (
    <>
      <p class="facts" role="status">
        {summary(rows, nowMs)}
        {agents.error && <span class="warn"> The server does not answer; this is of {formatClock(nowMs)}.</span>}
      </p>
      <main class="main fleet">
        <table>
          <caption class="unseen">Agents since the server started</caption>
          <thead>
            <tr>
              {head("host", "Host")}
              {head("seen", "Last seen")}
              <th scope="col">Samples by</th>
              <th scope="col">Taken</th>
              {head("lost", "Lost")}
              {head("unwind", "Whole stacks")}
              <th scope="col">Cut at the limit</th>
              <th scope="col">Could not be followed</th>
              <th scope="col">Frames with names</th>
              <th scope="col">Version</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((agent) => (
              <AgentRow key={agent.host_id} agent={agent} nowMs={nowMs} onOpen={() => shell.session.navigate({ page: "explore", query: `cpu{host="${agent.host.replace(/[\\"]/g, "\\$&")}"}`, zoom: [], span: null })} />
            ))}
          </tbody>
        </table>
        <FleetFiles agents={agents.answer} />
      </main>
    </>
  );
}

function AgentRow({ agent, nowMs, onOpen }: { agent: Agent; nowMs: number; onOpen(): void }) {
  const agoMs = Math.max(0, nowMs - agent.last_seen_ms);
  const stacks = stacksOf(agent);
  const lost = share(agent.samples_lost, agent.samples_taken);
  const complete = share(agent.unwind.complete, stacks);
  const frames = agent.names.named + agent.names.nameless;
  return (
    <tr data-host={agent.host}>
      <th scope="row">
        <button type="button" class="link" title="Look at this host" onClick={onOpen}>
          <Name text={agent.host} maxChars={80} />
        </button>
        <span class="muted"> {agent.cpus} {agent.cpus === 1 ? "CPU" : "CPUs"}</span>
      </th>
      <td class={agoMs > LATE_MS ? "warn" : ""}>{agoMs < 3_000 ? "now" : `${formatDuration(agoMs)} ago`}</td>
      <td>
        <Name text={agent.sample_source} maxChars={40} /> {agent.frequency_hz === 0 ? "off" : `${agent.frequency_hz} Hz`}
      </td>
      <td>{formatCount(agent.samples_taken)}</td>
      <td class={lost > MUCH_LOST ? "warn" : ""}>
        {formatCount(agent.samples_lost)} <span class="muted">{formatShare(agent.samples_lost, agent.samples_taken)}</span>
      </td>
      <td class={stacks > 0 && complete < FEW_COMPLETE ? "warn" : ""}>{stacks === 0 ? "–" : formatShare(agent.unwind.complete, stacks)}</td>
      <td>{stacks === 0 ? "–" : formatShare(agent.unwind.truncated, stacks)}</td>
      <td>{stacks === 0 ? "–" : formatShare(agent.unwind.failed, stacks)}</td>
      <td>{frames === 0 ? "–" : formatShare(agent.names.named, frames)}</td>
      <td>
        <Name text={agent.version} maxChars={40} />
      </td>
    </tr>
  );
}

function stacksOf({ unwind }: Agent): number {
  return unwind.complete + unwind.truncated + unwind.failed;
}

function share(part: number, whole: number): number {
  return whole > 0 ? part / whole : 0;
}

function summary(agents: readonly Agent[], nowMs: number): string {
  const late = agents.filter((agent) => nowMs - agent.last_seen_ms > LATE_MS).length;
  const cpus = agents.reduce((sum, agent) => sum + agent.cpus, 0);
  const parts = [`${agents.length} ${agents.length === 1 ? "agent" : "agents"} with ${formatCount(cpus)} CPUs have sent since the server started`];
  parts.push(late === 0 ? "all are fresh" : `${late} ${late === 1 ? "has" : "have"} been silent for more than ${LATE_MS / 1000} s`);
  return `${parts.join("; ")}.`;
}

function sortedBy(agents: readonly Agent[], column: Column): Agent[] {
  const byHost = (a: Agent, b: Agent) => (a.host < b.host ? -1 : a.host > b.host ? 1 : 0);
  const key: Record<Exclude<Column, "host">, (agent: Agent) => number> = {
    seen: (agent) => agent.last_seen_ms,
    lost: (agent) => -share(agent.samples_lost, agent.samples_taken),
    unwind: (agent) => share(agent.unwind.complete, stacksOf(agent)),
  };
  return agents.toSorted((a, b) => (column === "host" ? 0 : key[column](a) - key[column](b)) || byHost(a, b));
}
