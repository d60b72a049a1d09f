//! What a sample costs in the kernel: measured and printed, not asserted, because it depends on the
//! machine and on who else is busy there.
//!
//! ```text
//! cargo xtask ebpf --measure --out target/measure.bpf.o
//! STOKER_BPF_OBJECT=$PWD/target/measure.bpf.o \
//!     cargo test --release -p stoker-agent --test kernel -- --ignored cost --nocapture
//! ```

use std::time::Duration;

use stoker_agent::kernel::{CostHistogram, KernelError, Sampler, SamplerConfig, Target};

use crate::{
    check_conservation,
    common::{Burner, can_sample, skip},
};

#[test]
#[ignore = "measures for half a minute; needs a measuring build"]
fn cost_per_sample() {
    const NAME: &str = "cost_per_sample";
    let Some(_turn) = can_sample(NAME) else { return };
    println!(
        "{:>7} {:>16} {:>8} {:>7} {:>7} {:>7}",
        "frames", "", "samples", "p50 ns", "p90", "p99"
    );
    for frames in [0, 26, 56, 116] {
        for count_in_kernel in [false, true] {
            let burner = Burner::with_frames(frames);
            let cost = match measure(&burner, count_in_kernel) {
                Ok(Some(cost)) => cost,
                Ok(None) => return skip(NAME, "STOKER_BPF_OBJECT names no measuring build"),
                Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
            };
            // The start functions and main(), caller() and burn() besides.
            let way = if count_in_kernel { "counted in kernel" } else { "ring buffer" };
            let at = |percent| cost.percentile_ns(percent).map_or("-".into(), |ns| ns.to_string());
            let samples = cost.samples();
            println!(
                "{:>7} {way:>16} {samples:>8} {:>7} {:>7} {:>7}",
                frames + 4,
                at(50),
                at(90),
                at(99)
            );
        }
    }
}

/// Two seconds of a burner at 2 kHz.
fn measure(burner: &Burner, count_in_kernel: bool) -> Result<Option<CostHistogram>, KernelError> {
    let config = SamplerConfig {
        frequency_hz: 2_000,
        target: Target::Pids(vec![burner.pid()]),
        count_in_kernel,
        ..SamplerConfig::default()
    };
    let mut sampler = Sampler::start(&config)?;
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(100));
        sampler.drain(&mut |_| ());
    }
    sampler.stop().unwrap();
    sampler.drain(&mut |_| ());
    if !count_in_kernel {
        check_conservation(&sampler.stats().unwrap());
    }
    sampler.cost()
}
