//! The numbers of this crate on this machine, one core:
//!
//! ```text
//! cargo run --release -p stoker-formats --example speed -- ../shared/testdata/pprof/large.cpu.pb.gz
//! ```
//! Prints the median and the best of some rounds of: reading a pprof (uncompressed bytes to stacks),
//! reading and merging it into an empty profile and into one that holds its stacks already, and
//! collapsed text to SVG beside inferno on the same text.

#![allow(clippy::print_stdout, reason = "a program for people")]

use std::error::Error;
use std::hint::black_box;
use std::io::Read as _;
use std::time::Duration;

use inferno::flamegraph;
use stoker_analysis::{call_tree, visible_tree};
use stoker_dag::{ModuleMap, Profile, ProfileType};
use stoker_formats::{ReadOptions, collapsed, pprof, svg};

const ROUNDS: usize = 101;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: speed FILE.pb.gz")?;
    let gzipped = std::fs::read(&path)?;
    let mut bytes = Vec::new();
    flate2::read::MultiGzDecoder::new(&gzipped[..]).read_to_end(&mut bytes)?;
    println!("{path}: {} bytes gzipped, {} bytes uncompressed", gzipped.len(), bytes.len());
    pprof_speed(&gzipped, &bytes)?;
    if std::env::args().nth(2).is_none() {
        svg_speed(&bytes)?;
    }
    Ok(())
}

fn pprof_speed(gzipped: &[u8], bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    let options = ReadOptions::default();
    let read =
        |bytes: &[u8]| pprof::read(bytes, &options).map(|imported| imported.into_profile(1).0);
    let held = read(bytes)?;
    let mebi = bytes.len() as f64 / 1e6;
    let report = |what: &str, times: &mut [Duration]| {
        let (median, best) = middle(times);
        let speed = |time: Duration| mebi / time.as_secs_f64();
        println!(
            "{what:<44} {median:>10.2?}  {:>5.0} MB/s  best {:>5.0} MB/s",
            speed(median),
            speed(best)
        );
    };
    let tables = |bytes: &[u8]| pprof::read(bytes, &options);
    report("pprof read", &mut measured(|| (), |()| tables(bytes)));
    report("pprof read, gzipped", &mut measured(|| (), |()| tables(gzipped)));
    let known = tables(bytes)?;
    let into = |mut into| pprof::read_into(bytes, &options, &mut into).map(|_| into);
    report("pprof read + merge, all stacks known", &mut measured(|| known.clone(), into));
    let merge = |mut into: Profile| {
        read(bytes).map(|profile| {
            into.merge(&profile);
            into
        })
    };
    report("pprof read, then Profile::merge into none", &mut measured(Profile::default, merge));
    report("pprof read, then Profile::merge into the same", &mut measured(|| held.clone(), merge));
    Ok(())
}

fn svg_speed(bytes: &[u8]) -> Result<(), Box<dyn Error>> {
    let (profile, modules) = pprof::read(bytes, &ReadOptions::default())?.into_profile(1);
    let mut text = Vec::new();
    collapsed::write(&call_tree(&profile, &modules), &mut text)?;
    println!("collapsed text: {} bytes", text.len());
    let ours = || -> Result<Vec<u8>, Box<dyn Error>> {
        let imported = collapsed::read(&text, &ReadOptions::default())?;
        let (profile, _) = imported.into_profile(0);
        let tree = visible_tree(&profile, &ModuleMap::default(), svg::LEAST_VISIBLE_PPM);
        let mut out = Vec::new();
        svg::write(&tree, &ProfileType::cpu(), ("title", "subtitle"), &mut out)?;
        Ok(out)
    };
    let theirs = || -> Result<Vec<u8>, Box<dyn Error>> {
        let mut out = Vec::new();
        let mut options = flamegraph::Options::default();
        flamegraph::from_reader(&mut options, &text[..], &mut out)?;
        Ok(out)
    };
    let read = || collapsed::read(&text, &ReadOptions::default());
    let (profile, _) = read()?.into_profile(0);
    let tree = || visible_tree(&profile, &ModuleMap::default(), svg::LEAST_VISIBLE_PPM);
    println!("stacks and prefixes: {}, visible boxes: {}", profile.nodes.len(), tree().len());
    for (what, times) in [
        ("of which reading", &mut measured(|| (), |()| read())),
        ("of which the visible tree", &mut measured(|| (), |()| tree())),
    ] {
        let (median, best) = middle(times);
        println!("{what:<44} {median:>10.2?}  best {best:.2?}");
    }
    println!("SVG: ours {} bytes, inferno's {} bytes", ours()?.len(), theirs()?.len());
    for (what, times) in [
        ("collapsed to SVG, Stoker", &mut measured(|| (), |()| ours())),
        ("collapsed to SVG, inferno", &mut measured(|| (), |()| theirs())),
    ] {
        let (median, best) = middle(times);
        println!("{what:<44} {median:>10.2?}  best {best:.2?}");
    }
    Ok(())
}

fn measured<I, T>(setup: impl Fn() -> I, run: impl Fn(I) -> T) -> Vec<Duration> {
    let round = |_| {
        let input = setup();
        let start = cpu_time();
        let output = black_box(run(black_box(input)));
        let time = cpu_time() - start;
        drop(output);
        time
    };
    (0..ROUNDS).map(round).collect()
}

/// What this thread has used: other work on the machine is not counted.
fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(now).unwrap_or_default()
}

/// Median and best.
fn middle(times: &mut [Duration]) -> (Duration, Duration) {
    times.sort();
    (times[times.len() / 2], times[0])
}
