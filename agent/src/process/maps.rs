//! One process's executable mappings, as a sorted list without overlaps.
//!
//! The kernel tells what is mapped and never what is unmapped (perf has no munmap record). So a
//! newer mapping replaces whatever part of older ones it covers, and a mapping that is gone stays
//! here until something replaces it or the process is read afresh. That can only matter for an
//! address in memory that nothing executes any more.

use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use super::binary::Binary;
use super::event::Inode;

/// Most executable mappings that are kept of one process.
pub const MAPPINGS_PER_PROCESS_MAX: usize = 8192;

/// How often a file that cannot be read is tried again, over all processes that share the mapping.
const OPEN_ATTEMPTS_MAX: u8 = 3;

/// A file as it was mapped, shared by every process that inherited the mapping.
#[derive(Debug)]
pub struct MappedFile {
    /// Within the root of the process.
    pub path: Arc<Path>,
    /// Which file it was when it was mapped.
    pub inode: Option<Inode>,
    binary: OnceLock<Arc<Binary>>,
    attempts: AtomicU8,
}

impl MappedFile {
    /// A file that nobody has looked into yet.
    #[must_use]
    pub fn new(path: &Path, inode: Option<Inode>) -> Self {
        Self { path: path.into(), inode, binary: OnceLock::new(), attempts: AtomicU8::new(0) }
    }

    /// What it was found to be.
    #[must_use]
    pub fn binary(&self) -> Option<&Arc<Binary>> {
        self.binary.get()
    }

    /// Keeps what it was found to be; the first answer stays.
    pub(super) fn set_binary(&self, binary: &Arc<Binary>) {
        self.binary.get_or_init(|| Arc::clone(binary));
    }

    /// Whether it is worth while to try and open it once more; each call is one attempt.
    pub(super) fn may_try(&self) -> bool {
        let attempts = self.attempts.load(Ordering::Relaxed);
        self.attempts.store(attempts.saturating_add(1), Ordering::Relaxed);
        attempts < OPEN_ATTEMPTS_MAX
    }

    fn same_file(&self, other: &Self) -> bool {
        let are_inodes_known = self.inode.is_some() && other.inode.is_some();
        self.path == other.path && (!are_inodes_known || self.inode == other.inode)
    }
}

/// What lies behind a mapping.
#[derive(Debug, Clone)]
pub enum Backing {
    /// A file.
    File(Arc<MappedFile>),
    /// The kernel's virtual shared object.
    Vdso,
    /// Memory without a file: just-in-time compiled code, mostly.
    Anonymous,
}

impl Backing {
    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(a), Self::File(b)) => Arc::ptr_eq(a, b) || a.same_file(b),
            (Self::Vdso, Self::Vdso) | (Self::Anonymous, Self::Anonymous) => true,
            _ => false,
        }
    }
}

/// One executable mapping: addresses `start..end` show `backing` from `file_offset` on.
#[derive(Debug, Clone)]
pub struct Mapping {
    /// First address.
    pub start: u64,
    /// One past the last address.
    pub end: u64,
    /// Offset in the file of `start`.
    pub file_offset: u64,
    /// What it shows.
    pub backing: Backing,
}

impl Mapping {
    /// The offset in the file which `address`, an address inside, shows.
    #[must_use]
    pub fn offset_of(&self, address: u64) -> u64 {
        address.wrapping_sub(self.start).wrapping_add(self.file_offset)
    }

    fn shows_the_same(&self, other: &Self) -> bool {
        let bias = |m: &Self| m.start.wrapping_sub(m.file_offset);
        let is_file = matches!(self.backing, Backing::File(_));
        self.backing.same(&other.backing) && (!is_file || bias(self) == bias(other))
    }

    fn until(&self, end: u64) -> Self {
        Self { end, ..self.clone() }
    }

    fn since(&self, start: u64) -> Self {
        Self { start, file_offset: self.offset_of(start), ..self.clone() }
    }
}

/// What an insertion did to the answers that the table gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// Every address still means what it meant.
    Unchanged,
    /// Addresses that meant nothing now mean something.
    Added,
    /// Some address means something else.
    Replaced,
    /// The table is full; nothing was inserted.
    Full,
    /// The mapping is empty or wraps around the address space.
    Invalid,
}

/// Executable mappings by address.
#[derive(Debug, Clone, Default)]
pub struct MapsTable {
    mappings: Vec<Mapping>,
}

impl MapsTable {
    /// The mapping that holds `address`.
    #[must_use]
    pub fn find(&self, address: u64) -> Option<&Mapping> {
        let after = self.mappings.partition_point(|m| m.start <= address);
        let candidate = self.mappings.get(after.checked_sub(1)?)?;
        (address < candidate.end).then_some(candidate)
    }

    /// Puts `new` over whatever is there.
    pub fn insert(&mut self, new: Mapping) -> Inserted {
        if new.start >= new.end {
            return Inserted::Invalid;
        }
        let first = self.mappings.partition_point(|m| m.end <= new.start);
        let last = first + self.mappings[first..].partition_point(|m| m.start < new.end);
        let covered = &self.mappings[first..last];
        if is_shown_already(covered, &new) {
            return Inserted::Unchanged;
        }
        let left = covered.first().filter(|m| m.start < new.start).map(|m| m.until(new.start));
        let right = covered.last().filter(|m| m.end > new.end).map(|m| m.since(new.end));
        let added = 1 + usize::from(left.is_some()) + usize::from(right.is_some());
        if self.mappings.len() - covered.len() + added > MAPPINGS_PER_PROCESS_MAX {
            return Inserted::Full;
        }
        let outcome = if covered.is_empty() { Inserted::Added } else { Inserted::Replaced };
        let pieces = left.into_iter().chain(Some(new)).chain(right);
        self.mappings.splice(first..last, pieces);
        outcome
    }

    /// All mappings, by address.
    pub fn iter(&self) -> impl Iterator<Item = &Mapping> {
        self.mappings.iter()
    }

    /// How many mappings there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.mappings.len()
    }

    /// Whether nothing is mapped.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.mappings.is_empty()
    }

    /// Takes over from `old` what is known of the same files: what the kernel told and what was
    /// found inside. Says whether both tables give the same answers.
    pub fn adopt(&mut self, old: &Self) -> bool {
        for mapping in &mut self.mappings {
            let known = old.find(mapping.start).filter(|was| was.shows_the_same(mapping));
            if let Some(known) = known {
                mapping.backing = known.backing.clone();
            }
        }
        let same = |(a, b): (&Mapping, &Mapping)| {
            a.start == b.start && a.end == b.end && a.shows_the_same(b)
        };
        self.len() == old.len() && self.iter().zip(old.iter()).all(same)
    }
}

/// Whether `covered`, the mappings that overlap `new`, show all of it just as `new` does. The
/// kernel reports a part of a mapping again when its protection changes.
fn is_shown_already(covered: &[Mapping], new: &Mapping) -> bool {
    let Some((first, last)) = covered.first().zip(covered.last()) else { return false };
    let without_gap = covered.windows(2).all(|pair| pair[0].end == pair[1].start);
    let spans = first.start <= new.start && new.end <= last.end;
    spans && without_gap && covered.iter().all(|m| m.shows_the_same(new))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> Backing {
        Backing::File(Arc::new(MappedFile::new(Path::new(name), None)))
    }

    fn mapping(start: u64, end: u64, file_offset: u64, backing: Backing) -> Mapping {
        Mapping { start, end, file_offset, backing }
    }

    fn shown(table: &MapsTable) -> Vec<(u64, u64, u64)> {
        table.iter().map(|m| (m.start, m.end, m.file_offset)).collect()
    }

    #[test]
    fn a_newer_mapping_replaces_the_part_it_covers() {
        let mut table = MapsTable::default();
        assert_eq!(table.insert(mapping(10, 50, 1000, file("/a"))), Inserted::Added);
        assert_eq!(table.insert(mapping(20, 30, 0, file("/b"))), Inserted::Replaced);
        assert_eq!(shown(&table), [(10, 20, 1000), (20, 30, 0), (30, 50, 1020)]);
        assert_eq!(table.insert(mapping(5, 25, 7, file("/c"))), Inserted::Replaced);
        assert_eq!(shown(&table), [(5, 25, 7), (25, 30, 5), (30, 50, 1020)]);
        assert_eq!(table.find(29).map(|m| m.offset_of(29)), Some(9));
        assert!(table.find(50).is_none() && table.find(4).is_none());
    }

    #[test]
    fn a_part_shown_again_changes_nothing() {
        let mut table = MapsTable::default();
        table.insert(mapping(10, 50, 1000, file("/a")));
        assert_eq!(table.insert(mapping(20, 30, 1010, file("/a"))), Inserted::Unchanged);
        assert_eq!(table.insert(mapping(20, 30, 1011, file("/a"))), Inserted::Replaced);
        assert_eq!(table.insert(mapping(30, 30, 0, file("/a"))), Inserted::Invalid);
    }

    #[test]
    fn the_table_is_bounded() {
        let mut table = MapsTable::default();
        for i in 0..MAPPINGS_PER_PROCESS_MAX as u64 {
            assert_eq!(table.insert(mapping(4 * i, 4 * i + 2, 0, file("/a"))), Inserted::Added);
        }
        assert_eq!(table.insert(mapping(2, 3, 0, file("/a"))), Inserted::Full);
        assert_eq!(table.insert(mapping(0, 2, 0, file("/b"))), Inserted::Replaced);
    }

    #[test]
    fn a_fresh_reading_keeps_what_was_known() {
        let mut old = MapsTable::default();
        let inode = Inode { device: 1, number: 2 };
        let known = MappedFile::new(Path::new("/a"), Some(inode));
        old.insert(mapping(10, 50, 0, Backing::File(Arc::new(known))));
        let mut fresh = MapsTable::default();
        fresh.insert(mapping(10, 50, 0, file("/a")));
        assert!(fresh.adopt(&old));
        let Some(Backing::File(kept)) = fresh.find(10).map(|m| &m.backing) else { panic!() };
        assert_eq!(kept.inode, Some(inode));
        fresh.insert(mapping(60, 70, 0, file("/b")));
        assert!(!fresh.adopt(&old));
    }
}
