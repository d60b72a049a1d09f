//! Whether the kernel takes the sampling program, and how well it can sample.

use std::time::Instant;

use super::{Finding, number, read};
use crate::kernel::{Sampler, SamplerConfig, Target, check_frequency, likely_source, preflight};
use crate::process::KernelMap;
use crate::run::AgentConfig;

pub(super) fn examine(config: &AgentConfig) -> Vec<Finding> {
    let mut findings: Vec<Finding> = preflight()
        .into_iter()
        .map(|check| match check.outcome {
            Ok(found) => Finding::fine(check.name, found),
            Err(error) => Finding::broken(check.name, error.to_string(), None),
        })
        .collect();
    findings.push(program());
    findings.push(cycles());
    findings.push(frequency(config.frequency_hz));
    findings.push(symbols());
    findings.extend(lockdown());
    findings.push(run_time());
    findings
}

/// Loads the program, aimed at this process, and lets go of it.
fn program() -> Finding {
    const NAME: &str = "sampling program";
    let target = Target::Pids(vec![std::process::id()]);
    let start = Instant::now();
    match Sampler::start(&SamplerConfig { frequency_hz: 1, target, ..SamplerConfig::default() }) {
        Ok(sampler) => {
            let (ms, cpus) = (start.elapsed().as_millis(), sampler.cpus());
            Finding::fine(NAME, format!("loads and runs on {cpus} CPUs ({ms} ms)"))
        }
        Err(error) => Finding::broken(NAME, error.to_string(), None),
    }
}

fn cycles() -> Finding {
    const NAME: &str = "hardware counters";
    match likely_source() {
        Ok(crate::kernel::SampleSource::HardwareCycles) => Finding::fine(NAME, "cycles"),
        Ok(crate::kernel::SampleSource::CpuClock) => Finding::info(
            NAME,
            "none, as in most virtual machines: the kernel's timer is used, and code that runs \
             with interrupts off is charged to whoever lets them in again",
        ),
        Err(error) => Finding::broken(NAME, error.to_string(), None),
    }
}

fn frequency(frequency_hz: u32) -> Finding {
    const NAME: &str = "sampling frequency";
    let most = number::<u32>("/proc/sys/kernel/perf_event_max_sample_rate");
    match check_frequency(frequency_hz) {
        Ok(()) => {
            let most = most.map_or("unknown".to_owned(), |most| format!("{most} Hz"));
            Finding::fine(NAME, format!("{frequency_hz} Hz; the kernel allows {most}"))
        }
        Err(error) => Finding::broken(NAME, error.to_string(), None),
    }
}

fn symbols() -> Finding {
    const NAME: &str = "kernel symbols";
    let restrict = read("/proc/sys/kernel/kptr_restrict").unwrap_or_else(|| "unknown".into());
    let map = KernelMap::read("/proc".as_ref(), "/sys".as_ref());
    if map.sees_addresses() {
        return Finding::fine(NAME, format!("readable (kernel.kptr_restrict is {restrict})"));
    }
    Finding::degraded(
        NAME,
        format!("hidden (kernel.kptr_restrict is {restrict})"),
        "kernel frames will have no place and no name: grant CAP_SYSLOG, and set \
         kernel.kptr_restrict to 0 or 1",
    )
}

/// Kernels that are locked down against root refuse to let programs read memory.
fn lockdown() -> Option<Finding> {
    const NAME: &str = "kernel lockdown";
    let modes = read("/sys/kernel/security/lockdown")?;
    let mode = modes.split(' ').find_map(|mode| mode.strip_prefix('[')?.strip_suffix(']'))?;
    Some(match mode {
        "confidentiality" => Finding::broken(
            NAME,
            "confidentiality: BPF programs may not read memory",
            Some("boot with lockdown=integrity or less".into()),
        ),
        other => Finding::fine(NAME, other),
    })
}

fn run_time() -> Finding {
    let counted = number::<u32>("/proc/sys/kernel/bpf_stats_enabled") == Some(1);
    Finding::info(
        "BPF run time",
        match counted {
            true => "counted, and part of the agent's CPU budget",
            false => "not counted (kernel.bpf_stats_enabled is 0): the CPU budget leaves it out",
        },
    )
}
