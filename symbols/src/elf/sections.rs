//! Sections by name: which of them a file has, and whether they lie within it.

use super::header::{Extent, Header, Section, read_some};
use super::{ElfError, ReadAt};

/// Most bytes of section names that are read.
const NAMES_BYTES_MAX: u64 = 1 << 20;
/// Longest section name that is told from others.
const NAME_BYTES_MAX: usize = 64;
const SHT_NOBITS: u32 = 8;
const SHT_SYMTAB: u32 = 2;
const SHF_COMPRESSED: u64 = 1 << 11;

/// A section that has content in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedSection {
    /// Its name.
    pub name: String,
    /// Where its content starts in the file.
    pub offset: u64,
    /// How many bytes it has there.
    pub size: u64,
    /// Its virtual address, 0 where it is not loaded.
    pub address: u64,
    /// Whether its content is compressed (`SHF_COMPRESSED`).
    pub compressed: bool,
    /// Whether it is code.
    pub is_code: bool,
    /// Whether it is a full symbol table (`SHT_SYMTAB`).
    pub is_symbol_table: bool,
}

/// What names can be made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Inventory {
    /// DWARF that has functions.
    pub debug_info: bool,
    /// A full symbol table, its own or a compressed one (`.gnu_debugdata`), or Go's function table.
    pub symbols: bool,
}

/// The sections that have content, in the file's order.
///
/// # Errors
/// When the section headers, or a section's content, lie beyond the end of the file, which is
/// `length` bytes long, or when the file cannot be read.
pub fn named_sections<R: ReadAt + ?Sized>(
    file: &R,
    length: u64,
) -> Result<Vec<NamedSection>, ElfError> {
    let header = Header::read(file)?;
    if header.sections_end() > length {
        return Err(ElfError::Truncated);
    }
    let sections = header.sections(file);
    let names = match sections.get(header.names_section()) {
        Some(section) => read_some(file, section.extent, NAMES_BYTES_MAX)?,
        None => Vec::new(),
    };
    let with_content = sections.iter().filter(|s| s.kind != SHT_NOBITS && s.extent.size > 0);
    with_content.map(|section| named(section, &names, length)).collect()
}

fn named(section: &Section, names: &[u8], length: u64) -> Result<NamedSection, ElfError> {
    let Extent { offset, size, .. } = section.extent;
    if offset.checked_add(size).is_none_or(|end| end > length) {
        return Err(ElfError::Truncated);
    }
    let start = usize::try_from(section.name).unwrap_or(usize::MAX);
    let name = names.get(start..).unwrap_or_default();
    let name = &name[..name.len().min(NAME_BYTES_MAX)];
    let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
    Ok(NamedSection {
        name: String::from_utf8_lossy(&name[..end]).into_owned(),
        offset,
        size,
        address: section.address,
        compressed: section.flags & SHF_COMPRESSED != 0,
        is_code: section.is_code(),
        is_symbol_table: section.kind == SHT_SYMTAB,
    })
}

impl NamedSection {
    /// Its content, as it stands in the file.
    ///
    /// # Errors
    /// When it has more than `limit` bytes, or reading fails.
    pub fn content<R: ReadAt + ?Sized>(&self, file: &R, limit: u64) -> Result<Vec<u8>, ElfError> {
        if self.size > limit {
            return Err(ElfError::TooLarge { section: self.name.clone(), size: self.size });
        }
        read_some(file, Extent { offset: self.offset, size: self.size, align: 1 }, limit)
    }
}

impl Inventory {
    /// What `file`, which is `length` bytes long, has.
    ///
    /// # Errors
    /// As [`named_sections`].
    pub fn of<R: ReadAt + ?Sized>(file: &R, length: u64) -> Result<Self, ElfError> {
        let sections = named_sections(file, length)?;
        let has = |wanted: &[&str]| sections.iter().any(|s| wanted.contains(&&*s.name));
        Ok(Self {
            debug_info: has(&[".debug_info", ".zdebug_info"]),
            symbols: sections.iter().any(|s| s.is_symbol_table)
                || has(&[".gnu_debugdata", ".gopclntab", ".data.rel.ro.gopclntab"]),
        })
    }

    /// Whether there is nothing to make names of.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.debug_info && !self.symbols
    }
}
