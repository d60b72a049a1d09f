//! Finds the frame description entries of one section, in bounded time whatever its bytes say.

use gimli::{BaseAddresses, DebugFrame, EhFrame, LittleEndian, UnwindSection};
use rustc_hash::FxHashMap;

use super::expression::Bytes;
use super::limits::{CIE_BYTES_MAX, CIES_KEPT_MAX, WORK_MAX};
use super::program::{Cie, Entry, Lost};
use super::report::Dropped;
use super::{CompileError, elf};

/// The two sections, which differ in details. The order is that of preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    EhFrame,
    DebugFrame,
}

/// A section under reading.
pub(super) struct Frames<'a, S> {
    kind: Kind,
    section: S,
    bases: BaseAddresses,
    bytes: &'a [u8],
    /// Bytes with an end of their own may stop at a terminator; a whole section goes on after it,
    /// because linkers put the terminated pieces of many objects behind each other.
    is_exact: bool,
    cies: FxHashMap<u64, Result<Cie<'a>, Lost>>,
    work: u64,
}

impl<'a> Frames<'a, EhFrame<Bytes<'a>>> {
    pub(super) fn eh_frame(section: &'a elf::Section, text: u64) -> Self {
        let bases = BaseAddresses::default().set_eh_frame(section.address).set_text(text);
        Self::new(Kind::EhFrame, EhFrame::new(&section.bytes, LittleEndian), bases, section)
    }
}

impl<'a> Frames<'a, DebugFrame<Bytes<'a>>> {
    pub(super) fn debug_frame(section: &'a elf::Section) -> Self {
        let mut frames = DebugFrame::new(&section.bytes, LittleEndian);
        frames.set_address_size(8);
        Self::new(Kind::DebugFrame, frames, BaseAddresses::default(), section)
    }
}

impl<'a, S> Frames<'a, S>
where
    S: UnwindSection<Bytes<'a>>,
    S::Offset: From<usize>,
{
    fn new(kind: Kind, section: S, bases: BaseAddresses, from: &'a elf::Section) -> Self {
        Self {
            kind,
            section,
            bases,
            bytes: &from.bytes,
            is_exact: from.is_exact,
            cies: FxHashMap::default(),
            work: 0,
        }
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn section(&self) -> &S {
        &self.section
    }

    pub(super) fn bases(&self) -> &BaseAddresses {
        &self.bases
    }

    /// Calls `each` for every frame description entry that can be read, with its offset in the
    /// section.
    pub(super) fn scan(
        &mut self,
        dropped: &mut Dropped,
        mut each: impl FnMut(u32, &Entry<'a>, &mut Dropped) -> Result<(), CompileError>,
    ) -> Result<(), CompileError> {
        let mut at = 0;
        while let Some(header) = Header::read(self.bytes, at, self.kind) {
            match header {
                Header::Terminator if !self.is_exact => break,
                Header::Terminator => at += 4,
                Header::Cie { end } => at = end,
                Header::Fde { end } => {
                    match self.entry(at)? {
                        Ok(entry) => each(u32::try_from(at).unwrap_or(u32::MAX), &entry, dropped)?,
                        Err(Lost) => dropped.broken += 1,
                    }
                    at = end;
                }
                Header::Truncated => {
                    dropped.truncated += 1;
                    break;
                }
            }
        }
        Ok(())
    }

    /// The frame description entry at offset `at`, which [`scan`](Self::scan) has found.
    pub(super) fn entry(&mut self, at: usize) -> Result<Result<Entry<'a>, Lost>, CompileError> {
        let Ok(partial) = self.section.partial_fde_from_offset(&self.bases, at.into()) else {
            return Ok(Err(Lost));
        };
        let length = partial.entry_len() as u64;
        let cie_at: usize = gimli::UnwindOffset::into(partial.cie_offset());
        self.work(length)?;
        let Ok(cie) = self.cie(cie_at as u64)? else {
            return Ok(Err(Lost));
        };
        let Cie { entry: cie, initial } = cie.clone();
        let fde = self.section.fde_from_offset(&self.bases, at.into(), |_, _, _| Ok(cie.clone()));
        Ok(fde.map(|fde| Entry { fde, initial }).map_err(Lost::from))
    }

    /// The common information entry at offset `at`.
    pub(super) fn cie(&mut self, at: u64) -> Result<Result<&Cie<'a>, Lost>, CompileError> {
        if !self.cies.contains_key(&at) {
            if self.cies.len() >= CIES_KEPT_MAX {
                self.cies.clear();
            }
            let cie = self.read_cie(at)?;
            self.cies.insert(at, cie);
        }
        Ok(self.cies.get(&at).map_or(Err(Lost), |cie| cie.as_ref().map_err(|&lost| lost)))
    }

    fn read_cie(&mut self, at: u64) -> Result<Result<Cie<'a>, Lost>, CompileError> {
        let Ok(at) = usize::try_from(at) else { return Ok(Err(Lost)) };
        let end = match Header::read(self.bytes, at, self.kind) {
            Some(Header::Cie { end }) => end,
            _ => return Ok(Err(Lost)),
        };
        let length = (end - at) as u64;
        self.work(length)?;
        if length > CIE_BYTES_MAX {
            return Ok(Err(Lost));
        }
        let entry = self.section.cie_from_offset(&self.bases, at.into());
        Ok(entry.map_err(Lost::from).and_then(|entry| Cie::new(&self.section, &self.bases, entry)))
    }

    fn work(&mut self, bytes: u64) -> Result<(), CompileError> {
        self.work += bytes;
        if self.work > WORK_MAX { Err(CompileError::TooMuchWork) } else { Ok(()) }
    }
}

/// The beginning of an entry, as far as is needed to get to the next.
enum Header {
    /// A length of zero.
    Terminator,
    Cie {
        end: usize,
    },
    Fde {
        end: usize,
    },
    /// It does not end within the section.
    Truncated,
}

impl Header {
    /// At offset `at` of `bytes`; nothing at their end.
    fn read(bytes: &[u8], at: usize, kind: Kind) -> Option<Self> {
        let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
        Some(Self::of(rest, at, kind).unwrap_or(Self::Truncated))
    }

    fn of(rest: &[u8], at: usize, kind: Kind) -> Option<Self> {
        let short = u32_at(rest, 0)?;
        let (start, length, is_long) = match short {
            0 => return Some(Self::Terminator),
            u32::MAX => (12, u64_at(rest, 4)?, true),
            short => (4, u64::from(short), false),
        };
        let end = usize::try_from(length).ok()?.checked_add(start)?;
        if end > rest.len() {
            return None;
        }
        let is_cie = match (kind, is_long) {
            (Kind::EhFrame, _) => u32_at(rest, start)? == 0,
            (Kind::DebugFrame, false) => u32_at(rest, start)? == u32::MAX,
            (Kind::DebugFrame, true) => u64_at(rest, start)? == u64::MAX,
        };
        let end = at + end;
        Some(if is_cie { Self::Cie { end } } else { Self::Fde { end } })
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
