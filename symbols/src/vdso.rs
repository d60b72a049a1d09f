//! This process's vdso, the same image that the kernel maps into every 64-bit process.
//!
//! It is read through `/proc/self/mem`, which needs no unsafe code.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// Largest vdso that is read; it has 8 KiB on x86-64.
pub const VDSO_BYTES_MAX: usize = 256 * 1024;

/// This process's vdso image.
///
/// # Errors
/// When there is none or it cannot be read.
pub fn vdso_image() -> io::Result<Vec<u8>> {
    let maps = std::fs::read("/proc/self/maps")?;
    let maps = String::from_utf8_lossy(&maps);
    let missing = || io::Error::new(io::ErrorKind::NotFound, "this process has no vdso");
    let vdso = maps.lines().find_map(vdso_range).ok_or_else(missing)?;
    let size = vdso.end.saturating_sub(vdso.start);
    let size = usize::try_from(size).unwrap_or(usize::MAX).min(VDSO_BYTES_MAX);
    let mut image = vec![0; size];
    File::open("/proc/self/mem")?.read_exact_at(&mut image, vdso.start)?;
    Ok(image)
}

/// The range of a line of `/proc/self/maps` (proc_pid_maps(5)), if it is the vdso's.
fn vdso_range(line: &str) -> Option<Range<u64>> {
    let (range, _) = line.strip_suffix("[vdso]")?.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let number = |text| u64::from_str_radix(text, 16).ok();
    Some(number(start)?..number(end)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_vdso_s_line_counts() {
        let line =
            "7ffd3a1f2000-7ffd3a1f4000 r-xp 00000000 00:00 0                          [vdso]";
        assert_eq!(vdso_range(line), Some(0x7ffd_3a1f_2000..0x7ffd_3a1f_4000));
        assert_eq!(vdso_range("7ffd3a1f2000-7ffd3a1f4000 r--p 00000000 00:00 0 [vvar]"), None);
        assert_eq!(vdso_range("zz-1 [vdso]"), None);
    }
}
