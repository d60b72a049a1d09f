//! What durable ingest costs a server, and how soon it acknowledges: `cargo run --release -p
//! stoker-benches --bin ingest -- --seconds 10`; `--only 'known, 64'` for the loads of that name.
//!
//! The real server, over real gRPC streams, with the settings that are printed. Batches are made and encoded
//! before the clock runs; a row counts when its batch was acknowledged. Beside rows per second stands the CPU
//! time that the server's process spent by `/proc`, sealing and merging included, by thread: **rows per
//! second of the server's CPU** does not depend on what else runs on the machine, rows per second do.
//!
//! - **known**: the made-up fleet (`generator`); every stack was sent before the clock runs.
//! - **cold**: every row is a stack of 30 frames that nobody has seen, half of them shared with its neighbours
//!   (`cold`).
//! - **paced**: known stacks at a given rate, for how soon batches are acknowledged when there is time.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the result is for the person who asked")]

mod cold;
mod load;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use stoker_benches::cpu::Spent;
use stoker_benches::generator::Shape;
use stoker_benches::history::Row;
use stoker_tests::{Running, Server, binary, get, wait_for};

use load::{Load, Made, Sent};

struct Args {
    seconds: u64,
    streams: u64,
    in_flight: u64,
    pace: u64,
    memory: String,
    only: String,
    history: bool,
}

impl Args {
    fn parse() -> Result<Self> {
        let mut args = Self {
            seconds: 10,
            streams: 4,
            in_flight: 8,
            pace: 200_000,
            memory: "1GiB".into(),
            only: String::new(),
            history: false,
        };
        let mut given = std::env::args().skip(1);
        while let Some(name) = given.next() {
            let mut value = || given.next().with_context(|| format!("{name} needs a value"));
            match &*name {
                "--seconds" => args.seconds = value()?.parse()?,
                "--streams" => args.streams = value()?.parse()?,
                "--in-flight" => args.in_flight = value()?.parse()?,
                "--pace" => args.pace = value()?.parse()?,
                "--ingest-memory" => args.memory = value()?,
                "--only" => args.only = value()?,
                "--history" => args.history = true,
                other => anyhow::bail!(
                    "{other} is not known: --seconds, --streams, --in-flight, --pace, \
                     --ingest-memory, --only, --history"
                ),
            }
        }
        Ok(args)
    }
}

fn main() -> Result<()> {
    let args = Args::parse()?;
    println!(
        "{} s each, {} streams, {} batches in flight on each, --ingest-memory {}",
        args.seconds, args.streams, args.in_flight, args.memory
    );
    let small = Shape::FLEET;
    let large = Shape { samples: 3000, ..Shape::FLEET };
    let mut row = Row::begin()?;
    let known = |shape| move |stream| Made::known(shape, stream);
    let flight = args.in_flight;
    let usual = Way { in_flight: flight, pace: None };
    run(&args, "known, 4 busy CPUs a host", known(small), usual, &mut row)?;
    // Ten times as large: how long a batch waits is how many rows stand before it.
    let few = Way { in_flight: flight.div_ceil(8), ..usual };
    run(&args, "known, 64 busy CPUs a host, 1/8 in flight", known(large), few, &mut row)?;
    run(&args, "cold", cold::made, usual, &mut row)?;
    let paced = Way { pace: Some(args.pace), ..usual };
    run(&args, "paced, 4 busy CPUs a host", known(small), paced, &mut row)?;
    if args.history {
        row.append()?;
    }
    Ok(())
}

fn start(dir: &Path, memory: &str) -> (Server, Running) {
    let server = Server::new(dir);
    let mut command = Command::new(binary("stoker-server"));
    command.arg("--data-dir").arg(server.dir.join("data"));
    command.args(["--http", &server.http.to_string(), "--grpc", &server.grpc.to_string()]);
    command.args(["--ingest-memory", memory]);
    let running = Running::start(&mut command, &server.dir.join("server.log"));
    let is_ready = || get(server.http, "/readyz").is_some_and(|answer| answer.status == 200);
    wait_for("the server", || is_ready().then_some(()));
    (server, running)
}

/// How batches are sent.
#[derive(Clone, Copy)]
struct Way {
    /// On each stream, unacknowledged.
    in_flight: u64,
    /// Rows per second of all streams, at most.
    pace: Option<u64>,
}

/// One load against a server of its own.
fn run(args: &Args, what: &str, make: impl Fn(u64) -> Made, way: Way, row: &mut Row) -> Result<()> {
    if !what.contains(&args.only) {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let (server, running) = start(dir.path(), &args.memory);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let load = Load::new(&format!("http://{}", server.grpc), way.in_flight);
    let made: Vec<Arc<Made>> = (0..args.streams).map(make).map(Arc::new).collect();
    let opened = runtime.block_on(load.teach(&made))?;
    let (before, started) = (Spent::of(running.pid())?, Instant::now());
    let until = started + Duration::from_secs(args.seconds);
    let per_stream = way.pace.map(|rows| rows / args.streams);
    let sent = runtime.block_on(load.send(made, opened, until, per_stream))?;
    let (after, wall) = (Spent::of(running.pid())?, started.elapsed());
    report(what, &sent, &after.since(&before), wall, row);
    drop(running.interrupt());
    Ok(())
}

fn report(what: &str, sent: &Sent, spent: &Spent, wall: Duration, row: &mut Row) {
    let rows = sent.rows as f64;
    let (rate, per_core) = (rows / wall.as_secs_f64(), rows / spent.total());
    println!(
        "{what}: {} batches of {:.0} rows, {:.0} nodes each; {:.3} M rows/s, {:.3} M rows per second of \
         CPU; acknowledged after p50 {:.1} ms, p99 {:.1} ms; {} times told to wait",
        sent.batches(),
        rows / sent.batches().max(1) as f64,
        sent.nodes as f64 / sent.batches().max(1) as f64,
        rate / 1e6,
        per_core / 1e6,
        sent.latency_ms(50),
        sent.latency_ms(99),
        sent.busy,
    );
    println!("    CPU s per million rows: {}", spent.per(rows / 1e6));
    row.add(format!("durable ingest, {what}: rows per second of CPU"), per_core, "rows/s");
    row.add(format!("durable ingest, {what}: acknowledged, p99"), sent.latency_ms(99), "ms");
}
