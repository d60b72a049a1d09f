//! What the worker has open of one image: its file, verified, and what else names it.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use crate::elf::{DebugLink, ElfInfo, NamedSection, code_sections, named_sections};
use crate::go::{GoTable, GoTableError};
use crate::minidebug::{PACKED_BYTES_MAX, unpack};
use crate::protocol::{Refusal, Request, Role, Trouble};
use crate::search::Search;
use crate::split::Split;
use crate::symtab::SymTable;

/// An image whose files are the build that they are said to be.
pub(crate) struct Known {
    pub image: File,
    /// Its debug information, where that is a file of its own.
    pub debug: Option<File>,
    /// Its symbols, where blazesym cannot read them.
    pub symbols: Option<SymTable>,
    /// What lies in `.dwo` files or a package.
    pub split: Option<Split>,
    /// Go's function table.
    pub go: Option<GoTable>,
    /// The address ranges of its code.
    pub code: Vec<Range<u64>>,
}

/// The files that came with a request.
#[derive(Default)]
pub(crate) struct Passed {
    pub image: Option<File>,
    pub roots: Vec<File>,
}

impl Passed {
    pub(crate) fn sorted(request: &Request, files: Vec<File>) -> Self {
        let mut passed = Self::default();
        for (role, file) in request.roles.iter().zip(files) {
            match role {
                Role::Image => passed.image = Some(file),
                Role::Root => passed.roots.push(file),
            }
        }
        passed
    }
}

impl Known {
    /// Opens what there is, if the image is the build that it is said to be.
    pub(crate) fn verified(
        build_id: &str,
        request: &Request,
        passed: Passed,
        trouble: &mut Trouble,
    ) -> Result<Self, Refusal> {
        let image = passed.image.ok_or(Refusal::NoFile)?;
        let info = ElfInfo::read(&image).map_err(|_| Refusal::Unreadable)?;
        if info.build_id.to_string() != build_id {
            return Err(Refusal::OtherBuild);
        }
        let code = code_sections(&image);
        let mut known = Self { image, debug: None, symbols: None, split: None, go: None, code };
        let length = known.image.metadata().map_or(0, |metadata| metadata.len());
        let sections = named_sections(&known.image, length).unwrap_or_default();
        let has = |name: &str| sections.iter().any(|section| section.name == name);
        if request.debug_info && !has(".debug_info") && !has(".zdebug_info") {
            let link = DebugLink::read(&known.image, &sections).ok().flatten();
            let path = Path::new(&request.path);
            let search = Search::run(&passed.roots, path, &info.build_id, link.as_ref());
            trouble.debug_files_refused += search.strangers;
            known.debug = search.found;
        }
        let packed = sections.iter().find(|section| section.name == ".gnu_debugdata");
        if let Some(packed) = packed.filter(|_| !has(".symtab")) {
            known.unpack(packed, request.debug_info, trouble);
        }
        if request.debug_info && has(".debug_addr") {
            let (roots, path) = (&passed.roots, Path::new(&request.path));
            known.split = Split::read(&known.image, roots, path, &mut trouble.split_unreadable);
        }
        known.go = match GoTable::of(&known.image, &sections) {
            Ok(table) => Some(table),
            Err(GoTableError::None) => None,
            Err(_) => {
                trouble.go_tables_unreadable += 1;
                None
            }
        };
        Ok(known)
    }

    /// Makes a symbol table of what is packed and what the image exports.
    fn unpack(&mut self, packed: &NamedSection, trusted: bool, trouble: &mut Trouble) {
        let content = packed.content(&self.image, PACKED_BYTES_MAX).ok().filter(|_| trusted);
        let unpacked = content.and_then(|content| unpack(&content));
        trouble.debugdata_unreadable += u32::from(unpacked.is_none());
        let unpacked = unpacked.unwrap_or_default();
        self.symbols = Some(SymTable::of_minidebug(&self.image, &unpacked));
    }
}
