//! Reads the text of `/proc/PID/maps` (proc_pid_maps(5)). Pure.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use super::event::Inode;
use super::maps::{Backing, Inserted, MappedFile, Mapping, MapsTable};

/// What the kernel appends to the path of a file that has been unlinked.
const DELETED: &[u8] = b" (deleted)";

/// The table of executable mappings that `text` describes, and how many did not fit or could not
/// be read.
#[must_use]
pub fn parse_maps(text: &[u8]) -> (MapsTable, u64) {
    let mut table = MapsTable::default();
    let mut dropped = 0;
    for line in text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        match parse_line(line) {
            Some(Some(mapping)) => {
                let inserted = table.insert(mapping);
                dropped += u64::from(matches!(inserted, Inserted::Full | Inserted::Invalid));
            }
            Some(None) => {}
            None => dropped += 1,
        }
    }
    (table, dropped)
}

/// One line: `None` if it is malformed, `Some(None)` if the mapping is not executable.
fn parse_line(line: &[u8]) -> Option<Option<Mapping>> {
    let mut fields = line.splitn(6, |&byte| byte == b' ');
    let (start, end) = split_pair(fields.next()?, b'-')?;
    let permissions = fields.next()?;
    let file_offset = hex(fields.next()?)?;
    let (major, minor) = split_pair(fields.next()?, b':')?;
    let number: u64 = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let path = fields.next().unwrap_or_default().trim_ascii_start();
    if permissions.get(2) != Some(&b'x') {
        return Some(None);
    }
    let device = device_number(u32::try_from(major).ok()?, u32::try_from(minor).ok()?);
    let inode = (number != 0).then_some(Inode { device, number });
    Some(Some(Mapping { start, end, file_offset, backing: backing(path, inode) }))
}

/// What lies behind a mapping with this path, as `/proc/PID/maps` and perf write it.
pub(super) fn backing(path: &[u8], inode: Option<Inode>) -> Backing {
    let path = path.strip_suffix(DELETED).unwrap_or(path);
    if path == b"[vdso]" {
        return Backing::Vdso;
    }
    let is_file = path.starts_with(b"/") && !path.starts_with(b"//anon");
    let is_memory = path.starts_with(b"/dev/zero") || path.starts_with(b"/SYSV");
    if !is_file || is_memory {
        return Backing::Anonymous;
    }
    let path = Path::new(OsStr::from_bytes(path));
    Backing::File(Arc::new(MappedFile::new(path, inode)))
}

/// `st_dev` for a major and minor number.
#[must_use]
pub fn device_number(major: u32, minor: u32) -> u64 {
    rustix::fs::makedev(major, minor)
}

fn split_pair(field: &[u8], separator: u8) -> Option<(u64, u64)> {
    let at = field.iter().position(|&byte| byte == separator)?;
    Some((hex(&field[..at])?, hex(&field[at + 1..])?))
}

fn hex(digits: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"\
555500000000-555500002000 r--p 00000000 fe:00 247030                     /usr/bin/cat
555500002000-555500007000 r-xp 00002000 fe:00 247030                     /usr/bin/cat
555500010000-555500012000 rwxp 00000000 00:00 0 
7ff500000000-7ff500001000 r-xp 00001000 fe:00 12 /opt/a b (deleted)
7ff588000000-7ff588002000 r-xp 00000000 00:00 0                          [vdso]
7ff589000000-7ff589001000 r-xp 00000000 00:01 33 /memfd:jit (deleted)
garbage
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
";

    #[test]
    fn executable_mappings_are_read() {
        let (table, dropped) = parse_maps(TEXT);
        assert_eq!(dropped, 1);
        let described: Vec<_> = table.iter().map(describe).collect();
        assert_eq!(
            described,
            [
                "555500002000 2000 /usr/bin/cat fe00:247030",
                "555500010000 0 anonymous",
                "7ff500000000 1000 /opt/a b fe00:12",
                "7ff588000000 0 vdso",
                "7ff589000000 0 /memfd:jit 1:33",
                "ffffffffff600000 0 anonymous",
            ]
        );
    }

    fn describe(mapping: &Mapping) -> String {
        let behind = match &mapping.backing {
            Backing::Vdso => "vdso".to_owned(),
            Backing::Anonymous => "anonymous".to_owned(),
            Backing::File(file) => {
                let inode = file.inode.expect("maps lines of files have inodes");
                format!("{} {:x}:{}", file.path.display(), inode.device, inode.number)
            }
        };
        format!("{:x} {:x} {behind}", mapping.start, mapping.file_offset)
    }

    #[test]
    fn anonymous_memory_has_many_names() {
        for path in ["", "//anon", "[heap]", "[stack]", "/dev/zero (deleted)", "/SYSV00000000"] {
            assert!(matches!(backing(path.as_bytes(), None), Backing::Anonymous), "{path}");
        }
    }
}
