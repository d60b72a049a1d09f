/** Whose code is in the way of whole stacks and of names, over all agents. */
import type { Agents } from "../state/index.ts";
import { formatCount, formatShare } from "./format.ts";
import { Name } from "./parts.tsx";

/** What agents give as reasons; another is shown as it is. */
const REASONS: Readonly<Record<string, string>> = {
  no_mapping: "a return address points to no code of the process",
  no_table: "the file has no unwinding table, or it is not loaded yet",
  gap: "its unwinding information leaves this code out",
  unsupported: "it describes this code by means that are not supported",
  broken: "its unwinding information is damaged",
  unreadable: "the stack's memory could not be read at that moment",
  not_ascending: "the caller's frame would lie below its callee's",
  no_registers: "the thread has no user registers",
};
const BUILD_ID_CHARS = 12;

export function FleetFiles({ agents }: { agents: Agents }) {
  const stacks = agents.agents.reduce((sum, { unwind }) => sum + unwind.complete + unwind.truncated + unwind.failed, 0);
  return (
    <>
      {agents.broken.length > 0 && (
        <table class="fleet-files" data-of="broken">
          <caption>Where stacks break</caption>
          <thead>
            <tr>
              <th scope="col">File</th>
              <th scope="col">Stacks</th>
              <th scope="col">Of all</th>
              <th scope="col">Hosts</th>
              <th scope="col">Why</th>
            </tr>
          </thead>
          <tbody>
            {agents.broken.map(({ file, reason, stacks: broken, hosts }) => (
              <tr key={`${file} ${reason}`}>
                <th scope="row">{file === "" ? <span class="muted">code without a file</span> : <Name text={file} maxChars={60} />}</th>
                <td>{formatCount(broken)}</td>
                <td>{formatShare(broken, stacks)}</td>
                <td>{formatCount(hosts)}</td>
                <td>{REASONS[reason] ?? <Name text={reason} maxChars={40} />}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {agents.nameless.length > 0 && (
        <table class="fleet-files" data-of="nameless">
          <caption>
            Files with nameless frames: <code>stoker symbols push FILE</code> gives them names
          </caption>
          <thead>
            <tr>
              <th scope="col">File</th>
              <th scope="col">Nameless frames</th>
              <th scope="col">Of the file's</th>
              <th scope="col">Hosts</th>
              <th scope="col">Build id</th>
            </tr>
          </thead>
          <tbody>
            {agents.nameless.map(({ file, build_id, named, nameless, hosts }) => (
              <tr key={`${file} ${build_id}`}>
                <th scope="row">
                  <Name text={file} maxChars={60} />
                </th>
                <td>{formatCount(nameless)}</td>
                <td>{formatShare(nameless, named + nameless)}</td>
                <td>{formatCount(hosts)}</td>
                <td>
                  <code title={build_id}>{build_id.slice(build_id.indexOf(":") + 1).slice(0, BUILD_ID_CHARS)}</code>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}
