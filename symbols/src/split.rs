//! Split DWARF (`-gsplit-dwarf`): what the binary says of its functions lies in `.dwo` files, one for
//! each unit, or in one package, `.dwp`, beside it (DWARF 5, section 7.3).
//!
//! Each is found by the name that the binary gives it, in the roots that the parent gave, and must
//! carry the id that the binary gives it. All that a binary names is read when it is opened, within
//! bounds; what is missing or too large is counted, and blazesym's answer stands. Worker only.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use addr2line::{Context, LookupContinuation as _, LookupResult};
use gimli::{Dwarf, DwarfPackage, DwoId, EndianArcSlice, LittleEndian, Reader as _, SectionId};
use object::read::{ObjectSection as _, ReadCache};
use rustc_hash::FxHashMap;

use crate::demangled::demangled;
use crate::inside::open_inside;
use crate::protocol::{FILE_BYTES_MAX, INLINED_MAX, Meaning, NAME_BYTES_MAX, Spot};
use crate::text::clean_text;

/// Most bytes of DWARF that are held for one image, its own and split.
const BYTES_MAX: usize = 48 << 20;
/// Most units whose files are read.
const UNITS_MAX: usize = 4096;
/// What a package is called beside its binary.
const PACKAGE_ENDING: &str = ".dwp";

type Bytes = EndianArcSlice<LittleEndian>;

/// A binary's split debug information.
pub(crate) struct Split {
    context: Context<Bytes>,
    units: FxHashMap<u64, Arc<Dwarf<Bytes>>>,
}

/// How much may still be read.
struct Budget(usize);

impl Split {
    /// Reads what `file` names, which lies at `path` in the roots; `None` where it has no split
    /// DWARF. Adds what could not be read to `unreadable`.
    pub(crate) fn read(
        file: &File,
        roots: &[File],
        path: &Path,
        unreadable: &mut u32,
    ) -> Option<Self> {
        let mut budget = Budget(BYTES_MAX);
        let dwarf = Arc::new(budget.dwarf(file, |id| Some(id.name()))?);
        let wanted = split_units(&dwarf)?;
        let mut units = FxHashMap::default();
        let package = package(roots, path, &mut budget);
        for unit in wanted {
            let found = package
                .as_ref()
                .and_then(|package| package.find_cu(unit.id, &dwarf).ok().flatten())
                .or_else(|| unit.open(roots, &dwarf, &mut budget));
            match found {
                Some(found) => {
                    units.insert(unit.id.0, Arc::new(found));
                }
                None => *unreadable += 1,
            }
        }
        let context = Context::from_arc_dwarf(dwarf).ok()?;
        Some(Self { context, units })
    }

    /// What stands at `address`; `None` where that is not known by name.
    pub(crate) fn find(&self, address: u64) -> Option<Meaning> {
        let mut step = self.context.find_frames(address);
        let mut frames = loop {
            match step {
                LookupResult::Output(frames) => break frames.ok()?,
                LookupResult::Load { load, continuation } => {
                    step = continuation.resume(self.units.get(&load.dwo_id.0).cloned());
                }
            }
        };
        let mut spots = Vec::new();
        while let Some(frame) = frames.next().ok()? {
            let name = frame.function?;
            let name = name.raw_name().ok()?.into_owned();
            let (file, line) = match frame.location {
                Some(at) => (at.file.unwrap_or_default(), at.line.unwrap_or(0)),
                None => ("", 0),
            };
            spots.push(Spot {
                function: clean_text(&demangled(&name), NAME_BYTES_MAX),
                file: clean_text(file, FILE_BYTES_MAX),
                line,
            });
        }
        spots.reverse();
        spots.truncate(INLINED_MAX + 1);
        (!spots.is_empty()).then_some(Meaning { from_debug_info: true, spots })
    }
}

/// A unit that says where the rest of it is.
struct SplitUnit {
    id: DwoId,
    path: PathBuf,
}

/// The units of a binary that are split; `None` where none is.
fn split_units(dwarf: &Dwarf<Bytes>) -> Option<Vec<SplitUnit>> {
    let mut found = Vec::new();
    let mut headers = dwarf.units();
    while let Some(header) = headers.next().ok().flatten() {
        let Ok(unit) = dwarf.unit(header) else { continue };
        let (Some(id), Ok(Some(name))) = (unit.dwo_id, unit.dwo_name()) else { continue };
        let text = |bytes: Bytes| bytes.to_string_lossy().ok().map(std::borrow::Cow::into_owned);
        let name = dwarf.attr_string(&unit, name).ok().and_then(text);
        let dir = unit.comp_dir.clone().and_then(text).unwrap_or_default();
        if let Some(name) = name.filter(|_| found.len() < UNITS_MAX) {
            found.push(SplitUnit { id, path: Path::new(&dir).join(name) });
        }
    }
    (!found.is_empty()).then_some(found)
}

impl SplitUnit {
    /// The unit's own file, if it is the one that is meant.
    fn open(
        &self,
        roots: &[File],
        parent: &Dwarf<Bytes>,
        budget: &mut Budget,
    ) -> Option<Dwarf<Bytes>> {
        roots.iter().find_map(|root| {
            let file = open_inside(root, &self.path).ok()?;
            let mut dwarf = budget.dwarf(&file, SectionId::dwo_name)?;
            dwarf.make_dwo(parent);
            let header = dwarf.units().next().ok().flatten()?;
            let id = dwarf.unit(header).ok()?.dwo_id;
            (id == Some(self.id)).then_some(dwarf)
        })
    }
}

/// The package beside the binary.
fn package(roots: &[File], path: &Path, budget: &mut Budget) -> Option<DwarfPackage<Bytes>> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(PACKAGE_ENDING);
    let file = roots.iter().find_map(|root| open_inside(root, Path::new(&beside)).ok())?;
    let cache = ReadCache::new(BufReader::new(&file));
    let object = object::File::parse(&cache).ok()?;
    let mut load = |id: SectionId| budget.section(&object, id.dwo_name());
    DwarfPackage::load(&mut load, empty()).ok()
}

impl Budget {
    /// The DWARF of a file, by the names that `name` gives its sections.
    fn dwarf(
        &mut self,
        file: &File,
        name: impl Fn(SectionId) -> Option<&'static str>,
    ) -> Option<Dwarf<Bytes>> {
        let cache = ReadCache::new(BufReader::new(file));
        let object = object::File::parse(&cache).ok()?;
        Dwarf::load(|id| self.section(&object, name(id))).ok()
    }

    /// A section's content, unpacked; nothing for one that is not there, an error past the bound.
    fn section<'data>(
        &mut self,
        object: &impl object::Object<'data>,
        name: Option<&'static str>,
    ) -> Result<Bytes, gimli::Error> {
        let Some(section) = name.and_then(|name| object.section_by_name(name)) else {
            return Ok(empty());
        };
        let too_large = gimli::Error::UnexpectedEof(gimli::ReaderOffsetId(0));
        let packed = section.compressed_data().map_err(|_| too_large)?;
        let size = usize::try_from(packed.uncompressed_size).unwrap_or(usize::MAX);
        self.0 = self.0.checked_sub(size).ok_or(too_large)?;
        let content = packed.decompress().map_err(|_| too_large)?;
        Ok(EndianArcSlice::new(content.as_ref().into(), LittleEndian))
    }
}

fn empty() -> Bytes {
    EndianArcSlice::new(Arc::default(), LittleEndian)
}
