//! Whether this machine can be sampled, asked before anything is started.
//!
//! Each check is told apart, so that `doctor` can show all of them and the sampler can fail with
//! the first that matters, in a sentence, before the kernel fails with a number.

use std::{fs, io, os::unix::fs::MetadataExt as _, path::Path};

use super::{cpus, error::KernelError, event::SampleSource, perf::PerfEvent};

/// What is asked of the kernel. Ring buffers came with 5.8; nothing older than 6.1 was tried.
const KERNEL_NEEDED: (u32, u32) = (5, 12);
const KERNEL_NEEDED_TEXT: &str = "5.12";
const BTF: &str = "/sys/kernel/btf/vmlinux";
const PARANOID: &str = "/proc/sys/kernel/perf_event_paranoid";
const MAX_RATE: &str = "/proc/sys/kernel/perf_event_max_sample_rate";
/// The initial pid namespace's inode (`PROC_PID_INIT_INO` in include/linux/proc_ns.h).
const INITIAL_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

/// Bits of capabilities(7), from include/uapi/linux/capability.h.
const CAP_SYS_ADMIN: u64 = 1 << 21;
const CAP_PERFMON: u64 = 1 << 38;
const CAP_BPF: u64 = 1 << 39;

/// One thing that was looked at.
#[derive(Debug)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// What was found, or what is in the way.
    pub outcome: Result<String, KernelError>,
}

/// Looks at everything that sampling needs. Needs no privilege itself and changes nothing.
#[must_use]
pub fn preflight() -> Vec<Check> {
    let check = |name, outcome| Check { name, outcome };
    vec![
        check("kernel release", kernel_release()),
        check("capabilities", capabilities()),
        check("pid namespace", pid_namespace()),
        check("kernel type information (BTF)", btf()),
        check("process events", process_events()),
        check("sampling source", sampling_source()),
    ]
}

/// The first check that fails, as an error.
pub fn require() -> Result<(), KernelError> {
    preflight().into_iter().try_for_each(|check| check.outcome.map(drop))
}

/// The kernel's best source of samples on a CPU.
pub fn best_source(cpu: u32, frequency_hz: u32) -> Result<SampleSource, KernelError> {
    if PerfEvent::sampling(SampleSource::HardwareCycles, cpu, frequency_hz).is_ok() {
        return Ok(SampleSource::HardwareCycles);
    }
    PerfEvent::sampling(SampleSource::CpuClock, cpu, frequency_hz)
        .map(|_event| SampleSource::CpuClock)
        .map_err(|source| explain(source, "sampling by timer (PERF_COUNT_SW_CPU_CLOCK)"))
}

/// What would make the CPUs take samples here, without taking any.
///
/// # Errors
/// Where nothing can.
pub fn likely_source() -> Result<SampleSource, KernelError> {
    best_source(first_cpu()?, 1)
}

/// Whether the kernel would sample this often.
///
/// # Errors
/// Where it would not.
pub fn frequency(asked: u32) -> Result<(), KernelError> {
    let max = number(MAX_RATE).unwrap_or(100_000);
    if (1..=max).contains(&asked) { Ok(()) } else { Err(KernelError::Frequency { asked, max }) }
}

fn kernel_release() -> Result<String, KernelError> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    match version(&release) {
        Some(found) if found < KERNEL_NEEDED => {
            Err(KernelError::KernelTooOld { release, needed: KERNEL_NEEDED_TEXT })
        }
        // A release that cannot be read is left to the later checks, which try what they need.
        _ => Ok(release),
    }
}

/// Major and minor number of a release such as `6.18.44-fc`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|letter: char| !letter.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn capabilities() -> Result<String, KernelError> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    match effective(&status).map(missing) {
        None => Ok("unknown".to_owned()),
        Some(missing) if missing.is_empty() => Ok("enough".to_owned()),
        Some(missing) => Err(KernelError::NotPermitted { missing }),
    }
}

/// The effective capabilities in `/proc/PID/status`.
fn effective(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// Names of the capabilities that are wanting, empty if none.
fn missing(held: u64) -> String {
    if held & CAP_SYS_ADMIN != 0 {
        return String::new();
    }
    let needed = [(CAP_BPF, "CAP_BPF"), (CAP_PERFMON, "CAP_PERFMON")];
    let wanting = needed.iter().filter(|(bit, _)| held & bit == 0).map(|(_, name)| *name);
    wanting.collect::<Vec<_>>().join(" and ")
}

fn pid_namespace() -> Result<String, KernelError> {
    match fs::metadata("/proc/self/ns/pid") {
        Ok(namespace) if namespace.ino() != INITIAL_PID_NAMESPACE => Err(KernelError::PidNamespace),
        Ok(_) => Ok("the host's".to_owned()),
        Err(_) => Ok("unknown".to_owned()),
    }
}

fn btf() -> Result<String, KernelError> {
    let path = Path::new(BTF);
    if path.exists() { Ok(BTF.to_owned()) } else { Err(KernelError::NoBtf { path: path.into() }) }
}

fn process_events() -> Result<String, KernelError> {
    let cpu = first_cpu()?;
    PerfEvent::process_events(cpu)
        .map(|_event| "mappings with inodes".to_owned())
        .map_err(|source| explain(source, "process events"))
}

fn sampling_source() -> Result<String, KernelError> {
    likely_source().map(|source| source.name().to_owned())
}

fn first_cpu() -> Result<u32, KernelError> {
    Ok(cpus::online()?.first().copied().unwrap_or(0))
}

/// Why the kernel would not open a perf event.
pub(super) fn explain(source: io::Error, feature: &'static str) -> KernelError {
    match (source.kind(), number(PARANOID)) {
        (io::ErrorKind::PermissionDenied, Some(level)) => KernelError::PerfParanoid { level },
        _ => KernelError::FeatureMissing { feature, source },
    }
}

fn number<N: std::str::FromStr>(path: &str) -> Option<N> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases() {
        assert_eq!(version("6.18.44-fc-v669"), Some((6, 18)));
        assert_eq!(version("5.4.0"), Some((5, 4)));
        assert_eq!(version("odd"), None);
        assert!(version("5.11.22") < Some(KERNEL_NEEDED));
    }

    #[test]
    fn capabilities_named() {
        assert_eq!(effective("Name:\tx\nCapEff:\t000001fffeffffff\n"), Some(0x1ff_feff_ffff));
        assert_eq!(missing(CAP_SYS_ADMIN), "");
        assert_eq!(missing(CAP_BPF | CAP_PERFMON), "");
        assert_eq!(missing(CAP_BPF), "CAP_PERFMON");
        assert_eq!(missing(0), "CAP_BPF and CAP_PERFMON");
    }
}
