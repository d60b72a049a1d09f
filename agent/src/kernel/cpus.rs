//! Which CPUs are online, from the kernel's list format (`0-3,8`).

use std::fs;

use super::error::KernelError;

const ONLINE: &str = "/sys/devices/system/cpu/online";
/// No machine that Linux runs on has more (`NR_CPUS` is 8192 at most).
const CPUS_MAX: usize = 8192;

/// Numbers of the CPUs that are online now.
pub fn online() -> Result<Vec<u32>, KernelError> {
    let failed = |reason: String| KernelError::Cpus { path: ONLINE, reason };
    let list = fs::read_to_string(ONLINE).map_err(|error| failed(error.to_string()))?;
    parse(&list).ok_or_else(|| failed(format!("'{}' is no list of CPUs", list.trim())))
}

/// The numbers that a list names; `None` for what is no list, or an empty or endless one.
fn parse(list: &str) -> Option<Vec<u32>> {
    let mut cpus = Vec::new();
    for range in list.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (first.parse::<u32>().ok()?, last.parse::<u32>().ok()?);
        if last < first || usize::try_from(last).ok()? >= CPUS_MAX {
            return None;
        }
        cpus.extend(first..=last);
    }
    (cpus.len() <= CPUS_MAX).then_some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        assert_eq!(parse("0-1\n"), Some(vec![0, 1]));
        assert_eq!(parse("0,2-4,9"), Some(vec![0, 2, 3, 4, 9]));
        for bad in ["", "a", "3-1", "0-", "-1", "0,,1", "0-4294967295"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
