//! The machine: CPUs, control groups, clock.

use super::{Finding, read};
use crate::process::{CgroupMounts, host_cpu};

/// Clock sources that are read without leaving the CPU, or nearly so. The sampling program reads
/// the clock once for each sample.
const FAST_CLOCKS: [&str; 4] =
    ["tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter"];

pub(super) fn examine() -> Vec<Finding> {
    vec![cpus(), memory(), cgroups(), clock(), security()]
}

fn cpus() -> Finding {
    let cpus = host_cpu().map_or("unknown".to_owned(), |cpu| cpu.cpus.to_string());
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    Finding::info("CPUs", format!("{cpus} × {}", model.map_or("unknown", |(_, model)| model)))
}

fn memory() -> Finding {
    let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = info.lines().find_map(|line| line.strip_prefix("MemTotal:")).map(str::trim);
    Finding::info("memory", total.unwrap_or("unknown"))
}

fn cgroups() -> Finding {
    const NAME: &str = "control groups";
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let of_type = |kind: &str| {
        let is =
            |line: &&str| line.split_once(" - ").is_some_and(|(_, rest)| rest.starts_with(kind));
        mounts.lines().any(|line| is(&line))
    };
    let counts = CgroupMounts::read() != CgroupMounts::default();
    match (of_type("cgroup2 "), of_type("cgroup ")) {
        (true, false) if counts => Finding::fine(NAME, "version 2"),
        (true, true) if counts => Finding::fine(NAME, "hybrid: CPU time from version 1"),
        (true, _) => Finding::degraded(
            NAME,
            "version 2 without CPU time",
            "CPU time of services cannot be compared with their samples: enable the cpu controller",
        ),
        (false, true) => Finding::degraded(
            NAME,
            "version 1 only",
            "--cgroup cannot be used and samples carry no cgroup id: mount a cgroup2 hierarchy",
        ),
        (false, false) => Finding::degraded(
            NAME,
            "not mounted here",
            "services are named after their executables: make /sys/fs/cgroup visible",
        ),
    }
}

fn clock() -> Finding {
    const NAME: &str = "clock source";
    let path = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    let Some(source) = read(path) else { return Finding::info(NAME, "unknown") };
    if FAST_CLOCKS.contains(&source.as_str()) {
        return Finding::fine(NAME, source);
    }
    let mend = "each sample costs the interrupted program more: see why the kernel does not trust \
                the CPU's counter (dmesg), or choose one with clocksource=";
    Finding::degraded(NAME, source, mend)
}

fn security() -> Finding {
    let modules = read("/sys/kernel/security/lsm").unwrap_or_else(|| "unknown".into());
    Finding::info("security modules", modules)
}
