//! `cargo xtask bench`: measures Stoker as it runs (real binaries, real kernel, real sockets) and
//! appends one line to `benches/history/`.
//!
//! The machine is shared and noisy: times are medians or totals over many operations, and what can
//! be counted (bytes, nanoseconds of CPU that the kernel charged) is counted.

#![forbid(unsafe_code)]

mod agent;
mod server;

use stoker_benches::history::Row;

#[expect(clippy::print_stdout, reason = "the result is for the person who asked")]
fn main() -> anyhow::Result<()> {
    anyhow::ensure!(
        stoker_tests::can_sample("cargo xtask bench"),
        "the benchmarks sample this machine, which needs root and BPF"
    );
    let mut row = Row::begin()?;
    for frequency_hz in [19, 99] {
        agent::measure(frequency_hz, &mut row)?;
    }
    server::measure(&mut row)?;
    row.append()?;
    println!("{row}");
    Ok(())
}
