//! Ten times the load that a server can take, and its memory: `cargo run --release -p stoker-benches
//! --bin overload -- --seconds 600 --ingest-memory 256MiB --svg docs/images/overload.svg`.
//!
//! Real agents' streams over real sockets into the real server. Each stream has a part of a made-up fleet
//! (`generator`) and sends as fast as the server lets it; the offered load is paced to a tenth for the
//! first fifth of the time, and to all of it after. Streams break and begin again, so that
//! dictionaries are sent anew. What is watched: the server's resident memory, what it says that it holds,
//! rows that became durable, and how often agents were told to wait. **It fails where resident memory was ever
//! more than the setting, [`BASE_MIB`] and the names of all frames**, which is what `docs/operations.md` promises.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the result is for the person who asked")]

mod load;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use stoker_benches::cpu::Spent;
use stoker_benches::plot::{Line, Plot, svg};
use stoker_tests::{Running, Server, binary, get, wait_for};

use load::{AGENTS, Counts, bodies, stream};

/// What a server takes beside `--ingest-memory` and names: the program, its threads and its index. Queries, of
/// which there are none here, have bounds of their own.
const BASE_MIB: f64 = 96.0;
/// A frame's name, as the tenant's table has it.
const BYTES_PER_NAME: f64 = 250.0;

struct Args {
    seconds: u64,
    memory: String,
    svg: Option<PathBuf>,
}

impl Args {
    /// What resident memory must not exceed before there are names, in MiB.
    fn bound_mib(&self) -> Result<f64> {
        let number = |unit: &str| self.memory.strip_suffix(unit).map(str::parse::<f64>);
        let mib = match (number("MiB"), number("GiB")) {
            (Some(mib), _) => mib?,
            (_, Some(gib)) => gib? * 1024.0,
            _ => anyhow::bail!("write --ingest-memory in MiB or GiB"),
        };
        Ok(mib + BASE_MIB)
    }
}

fn args() -> Result<Args> {
    let mut args = Args { seconds: 600, memory: "256MiB".into(), svg: None };
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        let value = given.next().with_context(|| format!("{name} needs a value"))?;
        match &*name {
            "--seconds" => args.seconds = value.parse()?,
            "--ingest-memory" => args.memory = value,
            "--svg" => args.svg = Some(value.into()),
            other => anyhow::bail!("{other} is not known: --seconds, --ingest-memory, --svg"),
        }
    }
    Ok(args)
}

fn main() -> Result<()> {
    let args = args()?;
    let bound_mib = args.bound_mib()?;
    let dir = tempfile::tempdir()?;
    let server = Server::new(dir.path());
    let running = start(&server, &args.memory);
    let counts = Arc::<Counts>::default();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    println!("making the load");
    let agents: Vec<_> = (0..AGENTS).map(|agent| (agent, Arc::new(bodies(agent)))).collect();
    for (agent, made) in agents {
        let (counts, grpc) = (Arc::clone(&counts), format!("http://{}", server.grpc));
        runtime.spawn(async move {
            let mut sequence = 0;
            while !counts.enough.load(Ordering::Relaxed) {
                counts.streams.fetch_add(1, Ordering::Relaxed);
                if stream(agent, &grpc, &made, &mut sequence, &counts).await.is_err() {
                    counts.broken.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            }
        });
    }
    let seen = watch(&server, &running, (&args, bound_mib), &counts)?;
    counts.enough.store(true, Ordering::Relaxed);
    report(&args, &seen, &counts, running)?;
    for Seen { seconds, resident_mib, bound_mib, .. } in &seen {
        ensure!(
            resident_mib <= bound_mib,
            "after {seconds:.0} s resident memory was {resident_mib:.0} MiB, more than {bound_mib:.0} MiB: \
             {}, {BASE_MIB:.0} MiB and names",
            args.memory
        );
    }
    Ok(())
}

fn start(server: &Server, memory: &str) -> Running {
    let mut command = Command::new(binary("stoker-server"));
    command.arg("--data-dir").arg(server.dir.join("data"));
    command.args(["--http", &server.http.to_string(), "--grpc", &server.grpc.to_string()]);
    command.args(["--ingest-memory", memory, "--max-disk", "8GiB"]);
    let running = Running::start(&mut command, &server.dir.join("server.log"));
    let is_ready = || get(server.http, "/readyz").is_some_and(|answer| answer.status == 200);
    wait_for("the server", || is_ready().then_some(()));
    running
}

/// What was seen at one moment.
struct Seen {
    seconds: f64,
    resident_mib: f64,
    /// Of that, what is no page of a file.
    anonymous_mib: f64,
    /// What it may be.
    bound_mib: f64,
    held_mib: f64,
    rows: u64,
    busy: u64,
    /// CPU time that the server has spent.
    cpu_seconds: f64,
}

fn watch(
    server: &Server,
    running: &Running,
    (args, bound_mib): (&Args, f64),
    counts: &Counts,
) -> Result<Vec<Seen>> {
    let (start, mut seen) = (Instant::now(), Vec::new());
    let pid = stoker_pid(running)?;
    while start.elapsed() < Duration::from_secs(args.seconds) {
        if start.elapsed() > Duration::from_secs(args.seconds) / 5 {
            counts.full_load.store(true, Ordering::Relaxed);
        }
        let metrics = get(server.http, "/metrics").map(|answer| answer.body).unwrap_or_default();
        let metrics = String::from_utf8_lossy(&metrics);
        let gauge = |name: &str| -> f64 {
            let line = metrics.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|value| value.trim().parse().ok()).unwrap_or(0.0)
        };
        let held =
            gauge("stoker_store_logs_memory_bytes ") + gauge("stoker_ingest_streams_memory_bytes ");
        seen.push(Seen {
            seconds: start.elapsed().as_secs_f64(),
            resident_mib: status_kib(&pid, "VmRSS:")? as f64 / 1024.0,
            bound_mib: bound_mib + gauge("stoker_store_definitions ") * BYTES_PER_NAME / 1048576.0,
            anonymous_mib: status_kib(&pid, "RssAnon:")? as f64 / 1024.0,
            held_mib: held / 1048576.0,
            rows: counts.rows.load(Ordering::Relaxed),
            busy: counts.busy.load(Ordering::Relaxed),
            cpu_seconds: Spent::of(running.pid())?.total(),
        });
        std::thread::sleep(Duration::from_secs(1));
    }
    Ok(seen)
}

fn stoker_pid(running: &Running) -> Result<PathBuf> {
    let path = PathBuf::from(format!("/proc/{}/status", running.pid()));
    ensure!(path.exists(), "the server is gone: {}", running.output());
    Ok(path)
}

fn status_kib(status: &Path, name: &str) -> Result<u64> {
    let text = std::fs::read_to_string(status).context("the server is gone")?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.with_context(|| format!("no {name}"))?.parse().context("a number of KiB")
}

/// Rows per second between moments that are about ten seconds apart.
fn rates(seen: &[Seen]) -> Vec<(f64, f64)> {
    let step = (seen.len() / 60).max(1);
    let at: Vec<&Seen> = seen.iter().step_by(step).collect();
    let rate = |pair: &[&Seen]| {
        let rows = (pair[1].rows - pair[0].rows) as f64;
        (pair[1].seconds, rows / (pair[1].seconds - pair[0].seconds))
    };
    at.windows(2).map(rate).collect()
}

fn report(args: &Args, seen: &[Seen], counts: &Counts, running: Running) -> Result<()> {
    let cut = args.seconds as f64 / 5.0;
    let (before, after): (Vec<&Seen>, Vec<&Seen>) = seen.iter().partition(|s| s.seconds < cut);
    let peak =
        |seen: &[&Seen], of: fn(&Seen) -> f64| seen.iter().map(|s| of(s)).fold(0.0, f64::max);
    let mut phases = Vec::new();
    for (name, part) in [("a tenth of the load", &before), ("all of it", &after)] {
        let (Some(first), Some(last)) = (part.first(), part.last()) else { continue };
        let rows = (last.rows - first.rows) as f64;
        let rate = rows / (last.seconds - first.seconds).max(1.0);
        let per_cpu = rows / (last.cpu_seconds - first.cpu_seconds).max(1e-9);
        phases.push(format!(
            "{name}: {rate:.0} rows/s durable, {per_cpu:.0} per second of the server's CPU, {} times told to wait, resident at most {:.0} MiB, \
             {:.0} MiB of that anonymous, logs and streams at most {:.0} MiB",
            last.busy - first.busy,
            peak(part, |s| s.resident_mib),
            peak(part, |s| s.anonymous_mib),
            peak(part, |s| s.held_mib),
        ));
    }
    println!("{}", phases.join("\n"));
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    println!("{} streams, {} broken", count(&counts.streams), count(&counts.broken));
    if let Some(path) = &args.svg {
        std::fs::write(path, picture(args, seen)).with_context(|| path.display().to_string())?;
    }
    let output = running.interrupt();
    let panics = output.lines().filter(|line| line.contains("panicked")).count();
    ensure!(panics == 0, "the server panicked: {output}");
    Ok(())
}

fn picture(args: &Args, seen: &[Seen]) -> String {
    let line =
        |name: &str, points: Vec<(f64, f64)>| Line { name: name.into(), points, is_dashed: false };
    let of = |value: fn(&Seen) -> f64| seen.iter().map(|s| (s.seconds, value(s))).collect();
    let points = seen.iter().map(|s| (s.seconds, s.bound_mib)).collect();
    let name = format!("the bound: the setting, {BASE_MIB:.0} MiB, names");
    let bound = Line { name, points, is_dashed: true };
    let memory = vec![
        line("resident", of(|s| s.resident_mib)),
        line("logs and streams, as the server counts them", of(|s| s.held_mib)),
        bound,
    ];
    let rows = vec![line("rows that became durable", rates(seen))];
    let plot = |title: &str, y: &str, lines| {
        let (title, y) = (title.to_owned(), y.to_owned());
        Plot {
            title,
            x: "seconds; ten times the load after a fifth".into(),
            y,
            is_log: false,
            lines,
        }
    };
    let title = format!("Memory of a server under overload, --ingest-memory {}", args.memory);
    let plots = [plot(&title, "MiB", memory), plot("What it takes", "rows/s", rows)];
    let note = format!(
        "cargo run --release -p stoker-benches --bin overload -- --seconds {} --ingest-memory {}",
        args.seconds, args.memory
    );
    svg(&plots, &note)
}
