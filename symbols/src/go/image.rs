//! The file around a function table: where its code starts and where its lists of inlined calls lie.
//!
//! The runtime keeps both in a structure (`runtime.moduledata`) that has no symbol in a stripped file.
//! It is found by what it must hold: the address of the table, and at another known place the start of
//! the code. What cannot be found so is not guessed.

use super::inlined::Lists;
use super::layout::{GoVersion, Layout};
use super::piece::Piece;
use crate::elf::{NamedSection, ReadAt};

/// Sections that are a table and nothing else.
const TABLE_SECTIONS: [&str; 2] = [".gopclntab", ".data.rel.ro.gopclntab"];
/// Sections that one may have been merged into.
const MERGED_SECTIONS: [&str; 2] = [".data.rel.ro", ".rodata"];
/// Most bytes of one of them that are searched.
const MERGED_BYTES_MAX: u64 = 64 << 20;
/// Go's linker aligns a table so.
const TABLE_ALIGN: usize = 32;
/// Sections where the structure may lie.
const MODULE_SECTIONS: [&str; 4] = [".go.module", ".noptrdata", ".data", ".data.rel.ro"];
/// Most bytes of one of them that are searched.
const MODULE_BYTES_MAX: u64 = 16 << 20;
/// Most bytes of relocations that are searched.
const RELOCATION_BYTES_MAX: u64 = 64 << 20;
/// How much is read at a time; a multiple of both sizes of what is looked for.
const CHUNK_BYTES: usize = 24 * 2048;
const _: () = assert!(CHUNK_BYTES.is_multiple_of(TABLE_ALIGN));
const RELOCATION_BYTES: usize = 24;
/// Most places that look like the structure.
const CANDIDATES_MAX: usize = 16;
/// The word of the structure that holds the start of the code.
const TEXT_WORD: u64 = 22;

/// A file with a function table.
pub(super) struct Image<'a, R: ?Sized> {
    file: &'a R,
    sections: &'a [NamedSection],
}

impl<'a, R: ReadAt + ?Sized> Image<'a, R> {
    pub(super) fn new(file: &'a R, sections: &'a [NamedSection]) -> Self {
        Self { file, sections }
    }

    /// Where the table lies: address, place in the file, and most bytes that it can have. It has a
    /// section of its own, unless the linker that put Go and C together has merged it with others.
    pub(super) fn table(&self) -> Option<(u64, u64, u64)> {
        let own = |s: &&NamedSection| TABLE_SECTIONS.contains(&&*s.name) && !s.compressed;
        if let Some(section) = self.sections.iter().find(own) {
            return Some((section.address, section.offset, section.size));
        }
        self.sections.iter().find(|s| s.name == ".go.buildinfo")?;
        let merged = self.sections.iter().filter(|s| MERGED_SECTIONS.contains(&&*s.name));
        merged.into_iter().find_map(|section| {
            let at = self.header_in(section)?;
            Some((section.address + at, section.offset + at, section.size - at))
        })
    }

    /// Where in a section a table begins that can be read.
    fn header_in(&self, section: &NamedSection) -> Option<u64> {
        let piece = Piece::new(self.file, section.offset, section.size.min(MERGED_BYTES_MAX));
        let mut places = Vec::new();
        each_chunk(&piece, &mut |at, chunk| {
            for (line, offset) in chunk.chunks_exact(TABLE_ALIGN).zip((0..).step_by(TABLE_ALIGN)) {
                let is_header = matches!(line[..8], [_, 0xff, 0xff, 0xff, 0, 0, 1 | 2 | 4, 4 | 8]);
                if is_header && places.len() < CANDIDATES_MAX {
                    places.push(at + offset);
                }
            }
        });
        let is_table = |at: &u64| {
            let rest = Piece::new(self.file, section.offset + at, section.size - at);
            Layout::read(&rest).is_ok()
        };
        places.into_iter().find(is_table)
    }

    /// The start of the code: as the header says, or as the loader will be told to write there.
    pub(super) fn text(&self, layout: &Layout, table: u64) -> Option<u64> {
        if layout.text != 0 {
            return Some(layout.text);
        }
        let slot = table.checked_add(layout.text_at())?;
        let mut found = None;
        self.relocations(&mut |at, value| {
            if at == slot {
                found = Some(value);
            }
        });
        found.filter(|&text| text != 0)
    }

    /// Where lists of inlined calls are.
    pub(super) fn lists(&self, layout: &Layout, table: u64, text: u64) -> Option<Lists> {
        let base = match layout.version {
            GoVersion::Go116 => 0,
            // Go 1.20 has two more words before it.
            GoVersion::Go118 => self.module_word(layout, table, text, 38)?,
            GoVersion::Go120 => self.module_word(layout, table, text, 40)?,
        };
        let holds = |s: &&NamedSection| match layout.version {
            GoVersion::Go116 => s.name == ".rodata",
            _ => s.address != 0 && base.wrapping_sub(s.address) < s.size,
        };
        let section = self.sections.iter().find(holds)?;
        Some(Lists { base, section: (section.address, section.offset, section.size) })
    }

    /// A word of the structure.
    fn module_word(&self, layout: &Layout, table: u64, text: u64, word: u64) -> Option<u64> {
        if layout.pointer != 8 {
            return None;
        }
        let in_file = self.candidates(table).into_iter().find_map(|at| {
            (self.word(at + 8 * TEXT_WORD)? == text).then(|| self.word(at + 8 * word))?
        });
        in_file.filter(|&value| value != 0).or_else(|| self.relocated_word(table, text, word))
    }

    /// Addresses in the file that hold the address of the table.
    fn candidates(&self, table: u64) -> Vec<u64> {
        let mut found = Vec::new();
        let wanted = table.to_le_bytes();
        for section in self.sections.iter().filter(|s| MODULE_SECTIONS.contains(&&*s.name)) {
            let piece = Piece::new(self.file, section.offset, section.size.min(MODULE_BYTES_MAX));
            each_chunk(&piece, &mut |at, chunk| {
                let words = chunk.chunks_exact(8).zip((0..).step_by(8));
                for (_, offset) in words.filter(|(word, _)| **word == wanted) {
                    if found.len() < CANDIDATES_MAX {
                        found.push(section.address + at + offset);
                    }
                }
            });
        }
        found
    }

    /// The word at an address, as the file has it.
    fn word(&self, address: u64) -> Option<u64> {
        let holds = |s: &&NamedSection| s.address != 0 && address.wrapping_sub(s.address) < s.size;
        let section = self.sections.iter().find(holds)?;
        let piece = Piece::new(self.file, section.offset, section.size);
        piece.bytes(address - section.address).map(u64::from_le_bytes)
    }

    /// A word of the structure where the loader fills it in.
    fn relocated_word(&self, table: u64, text: u64, word: u64) -> Option<u64> {
        let mut places = Vec::new();
        self.relocations(&mut |at, value| {
            if value == table && places.len() < CANDIDATES_MAX {
                places.push((at, false, None));
            }
        });
        if places.is_empty() {
            return None;
        }
        self.relocations(&mut |at, value| {
            for (place, is_module, found) in &mut places {
                match at.wrapping_sub(*place) {
                    offset if offset == 8 * TEXT_WORD => *is_module = value == text,
                    offset if offset == 8 * word => *found = Some(value),
                    _ => {}
                }
            }
        });
        places.into_iter().find_map(|(_, is_module, found)| found.filter(|_| is_module))
    }

    /// Calls `each` with the place and the value of every relocation that has a value of its own.
    fn relocations(&self, each: &mut dyn FnMut(u64, u64)) {
        for section in self.sections.iter().filter(|s| matches!(&*s.name, ".rela" | ".rela.dyn")) {
            let size = section.size.min(RELOCATION_BYTES_MAX);
            each_chunk(&Piece::new(self.file, section.offset, size), &mut |_, chunk| {
                for entry in chunk.chunks_exact(RELOCATION_BYTES) {
                    let word =
                        |at: usize| entry[at..].first_chunk().map(|b| u64::from_le_bytes(*b));
                    if let (Some(at), Some(value)) = (word(0), word(16)) {
                        each(at, value);
                    }
                }
            });
        }
    }
}

/// Calls `each` with the content of `piece`, chunk by chunk, and where each starts.
fn each_chunk<R: ReadAt + ?Sized>(piece: &Piece<'_, R>, each: &mut dyn FnMut(u64, &[u8])) {
    let (mut at, mut buffer) = (0, vec![0; CHUNK_BYTES]);
    while let Some(chunk) = piece.some(at, &mut buffer).filter(|chunk| !chunk.is_empty()) {
        each(at, chunk);
        at += chunk.len() as u64;
    }
}
