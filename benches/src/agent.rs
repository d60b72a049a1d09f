//! What an agent costs while every CPU is busy: CPU time (its own, its worker's, and that of the BPF
//! programs), memory, bytes on the wire.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use stoker_tests::{Language, Running, Server, build_workload};

use stoker_benches::history::{Row, folder};

const WARM_UP: Duration = Duration::from_secs(15);
const MEASURED: Duration = Duration::from_secs(30);
/// The kernel accounts for the time of BPF programs while this is 1.
const BPF_STATS: &str = "/proc/sys/kernel/bpf_stats_enabled";

/// Adds the costs at one frequency.
pub(crate) fn measure(frequency_hz: u32, row: &mut Row) -> Result<()> {
    let (_keep, dir) = folder()?;
    let server = Server::new(&dir);
    let _server = server.start();
    let program = dir.join("burn");
    build_workload(Language::C, &program).context("gcc is needed")?;
    let cpus = std::thread::available_parallelism()?.get();
    let burn = |at: usize| {
        Running::start(Command::new(&program).arg("1000"), &dir.join(format!("burn-{at}.log")))
    };
    let _busy: Vec<Running> = (0..cpus).map(burn).collect();
    fs::write(BPF_STATS, "1").context("cannot switch BPF statistics on")?;
    let agent = server
        .start_agent("bench", &["--frequency", &frequency_hz.to_string(), "--flush-seconds", "5"]);
    std::thread::sleep(WARM_UP);
    let (before, start) = (Cost::read(agent.pid(), &server)?, Instant::now());
    std::thread::sleep(MEASURED);
    let (after, elapsed) = (Cost::read(agent.pid(), &server)?, start.elapsed());
    fs::write(BPF_STATS, "0").context("cannot switch BPF statistics off")?;
    let at = |what: &str| format!("agent at {frequency_hz} Hz, all CPUs busy: {what}");
    let share = |ns: u64| 100.0 * ns as f64 / elapsed.as_nanos() as f64;
    row.add(
        at("CPU of its processes"),
        share(after.cpu_ns.saturating_sub(before.cpu_ns)),
        "% core",
    );
    row.add(at("CPU of its BPF programs"), share(after.bpf_ns - before.bpf_ns), "% core");
    row.add(at("resident memory, worker included"), after.resident_kib as f64 / 1024.0, "MiB");
    let runs = after.bpf_runs - before.bpf_runs;
    row.add(at("BPF time per sample"), (after.bpf_ns - before.bpf_ns) as f64 / runs as f64, "ns");
    let (bytes, rows) = (after.sent_bytes - before.sent_bytes, after.rows - before.rows);
    row.add(at("bytes at the socket, warm"), bytes as f64 / rows as f64, "B/row");
    row.add(at("rows shipped"), rows as f64 / elapsed.as_secs_f64(), "row/s");
    row.add(at("bytes at the socket, the first 15 s"), before.sent_bytes as f64, "B");
    agent.interrupt();
    Ok(())
}

/// Counters that only grow, but for memory.
struct Cost {
    cpu_ns: u64,
    bpf_ns: u64,
    bpf_runs: u64,
    resident_kib: u64,
    sent_bytes: u64,
    rows: u64,
}

impl Cost {
    fn read(agent: u32, server: &Server) -> Result<Self> {
        let children = fs::read_to_string(format!("/proc/{agent}/task/{agent}/children"));
        let others = threads(agent).flat_map(|task| fs::read_to_string(task.join("children")));
        let text: String = children.into_iter().chain(others).collect::<Vec<_>>().join(" ");
        let mut family: Vec<u32> = text.split_whitespace().flat_map(str::parse).collect();
        family.push(agent);
        family.sort_unstable();
        family.dedup();
        let (bpf_ns, bpf_runs) = bpf_time(agent)?;
        Ok(Self {
            cpu_ns: family.iter().map(|&pid| cpu_ns(pid)).sum::<u64>() + ended_children_ns(agent),
            bpf_ns,
            bpf_runs,
            resident_kib: family.iter().map(|&pid| resident_kib(pid)).sum(),
            sent_bytes: sent_bytes(server.grpc.port()),
            rows: rows(server).context("the server does not say how many rows it took")?,
        })
    }
}

fn threads(pid: u32) -> impl Iterator<Item = std::path::PathBuf> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks.map(|task| task.path())
}

fn cpu_ns(pid: u32) -> u64 {
    let first = |text: String| text.split(' ').next().and_then(|ns| ns.parse::<u64>().ok());
    let read = |task: std::path::PathBuf| fs::read_to_string(task.join("schedstat")).ok();
    threads(pid).filter_map(|task| first(read(task)?)).sum()
}

/// CPU time of children that have ended: a worker that ran out of work. In ticks of 10 ms.
fn ended_children_ns(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    // cutime and cstime are fields 16 and 17 of proc_pid_stat(5); the first after the name is 3.
    let ticks = after_name.split_whitespace().skip(16 - 3).take(2);
    ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10_000_000
}

fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.trim().split(' ').next()?.parse().ok()).unwrap_or(0)
}

/// Run time and runs of all BPF programs that a process holds.
fn bpf_time(pid: u32) -> Result<(u64, u64)> {
    let mut sum = (0, 0);
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        let text = fs::read_to_string(entry?.path()).unwrap_or_default();
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.trim().parse::<u64>().ok()).unwrap_or(0)
        };
        sum = (sum.0 + field("run_time_ns:"), sum.1 + field("run_cnt:"));
    }
    Ok(sum)
}

/// Bytes that were sent to a port of this machine on the connections that are open.
fn sent_bytes(port: u16) -> u64 {
    let filter = format!("dport = :{port}");
    let output = Command::new("ss").args(["-tin", &filter]).output();
    let text = output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    let sent = text.split_whitespace().filter_map(|word| word.strip_prefix("bytes_sent:"));
    sent.filter_map(|bytes| bytes.parse::<u64>().ok()).sum()
}

/// Rows that the server has taken, by its own count.
fn rows(server: &Server) -> Option<u64> {
    let answer = stoker_tests::get(server.http, "/metrics")?;
    let text = String::from_utf8(answer.body).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("stoker_ingest_rows_total "));
    line?.trim().parse().ok()
}
