//! Perf maps: the names that a just-in-time compiler writes to `/tmp/perf-PID.map`, a line
//! `START SIZE name` for each piece of code, numbers in hexadecimal (the convention of
//! `tools/perf/Documentation/jit-interface.txt` in the kernel's tree). Pure.
//!
//! Compilers append, so of two entries with one start the later counts.

use stoker_symbols::clean_text;

/// Most bytes that are read of one perf map.
pub const PERF_MAP_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Most entries that are kept of one perf map.
pub const PERF_MAP_ENTRIES_MAX: usize = 200_000;
/// Longest name that is kept.
pub const PERF_MAP_NAME_BYTES_MAX: usize = 512;

#[derive(Debug, Clone, Copy)]
struct Entry {
    start: u64,
    size: u32,
    name_at: u32,
    name_len: u16,
}

/// Code names by address.
#[derive(Debug, Default)]
pub struct PerfMap {
    entries: Vec<Entry>,
    names: String,
    dropped: u64,
}

impl PerfMap {
    /// Reads the text of a perf map.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let mut map = Self::default();
        for line in text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            if map.add(line).is_none() {
                map.dropped += 1;
            }
        }
        map.order();
        map
    }

    /// The name of the code at `address`.
    #[must_use]
    pub fn find(&self, address: u64) -> Option<&str> {
        let after = self.entries.partition_point(|e| e.start <= address);
        let entry = self.entries.get(after.checked_sub(1)?)?;
        let at = usize::try_from(entry.name_at).ok()?;
        (address - entry.start < u64::from(entry.size))
            .then(|| &self.names[at..at + usize::from(entry.name_len)])
    }

    /// Lines that are malformed or beyond a bound.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// How many pieces of code have names.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing has a name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// About how much memory the map takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.names.capacity() + self.entries.capacity() * size_of::<Entry>()
    }

    fn add(&mut self, line: &[u8]) -> Option<()> {
        let (start, rest) = hex_field(line)?;
        let (size, name) = hex_field(rest)?;
        if self.entries.len() >= PERF_MAP_ENTRIES_MAX || name.is_empty() {
            return None;
        }
        let name = clean_text(&String::from_utf8_lossy(name), PERF_MAP_NAME_BYTES_MAX);
        let entry = Entry {
            start,
            size: u32::try_from(size).ok()?,
            name_at: u32::try_from(self.names.len()).ok()?,
            name_len: u16::try_from(name.len()).ok()?,
        };
        self.names.push_str(&name);
        self.entries.push(entry);
        Some(())
    }

    /// Sorts by start; of equal starts the last one read stays.
    fn order(&mut self) {
        self.entries.sort_by_key(|e| e.start);
        self.entries.dedup_by(|later, earlier| {
            let same = later.start == earlier.start;
            if same {
                *earlier = *later;
            }
            same
        });
        self.entries.shrink_to_fit();
        self.names.shrink_to_fit();
    }
}

/// A hexadecimal number, with or without `0x`, and what follows the space behind it.
fn hex_field(text: &[u8]) -> Option<(u64, &[u8])> {
    let end = text.iter().position(|&byte| byte == b' ')?;
    let digits = std::str::from_utf8(&text[..end]).ok()?;
    let digits = digits.strip_prefix("0x").unwrap_or(digits);
    Some((u64::from_str_radix(digits, 16).ok()?, text[end + 1..].trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_entries_count() {
        let map = PerfMap::parse(
            b"1000 10 first\n0x2000 20 LazyCompile:~run /app/a b.js:3\n1000 8 second\n",
        );
        assert_eq!(map.find(0x1007), Some("second"));
        assert_eq!(map.find(0x1008), None);
        assert_eq!(map.find(0x201f), Some("LazyCompile:~run /app/a b.js:3"));
        assert_eq!(map.find(0xfff), None);
    }

    #[test]
    fn bad_lines_are_counted() {
        let map = PerfMap::parse(b"zz 10 a\n10\n10 20\n10 20 \n10 fffffffff huge\n10 20 a\x01b\n");
        assert_eq!(map.dropped(), 5);
        assert_eq!(map.find(0x10), Some("a\u{fffd}b"));
    }

    #[test]
    fn the_map_is_bounded() {
        let long = "x".repeat(2 * PERF_MAP_NAME_BYTES_MAX);
        let map = PerfMap::parse(format!("10 20 {long}").as_bytes());
        assert_eq!(map.find(0x10).map(str::len), Some(PERF_MAP_NAME_BYTES_MAX));
        let lines: String =
            (0..=PERF_MAP_ENTRIES_MAX).map(|i| format!("{:x} 1 f\n", i * 2)).collect();
        let map = PerfMap::parse(lines.as_bytes());
        assert_eq!((map.len(), map.dropped()), (PERF_MAP_ENTRIES_MAX, 1));
    }
}
