//! From locations to frames: the rule of identity.
//!
//! Ids must be equal whenever the same profile is pushed again, from whichever machine, and must be
//! those of the agent where the file says enough. So:
//!
//! 1. A location with an address, in a mapping with a build id that lies **where it was linked** (it
//!    starts below 4 GiB: executables that are not position-independent, and files whose writer has
//!    already taken the load address away, as Stoker's) is `Native` (`Kernel` for `[kernel…]`). The
//!    address is the offset in the ELF file. Its lines become the frame's definition.
//! 2. In a mapping with a build id that was **relocated**, the offset in the ELF file is not known: the
//!    program headers would be needed, and `address - start + file offset` is wrong for files whose
//!    segments are not congruent (lld, mold). A location without lines is `Native` at that offset
//!    nonetheless, because debug information is its only hope; one with lines is rule 3, so that a
//!    name which is known never gives way to a wrong one.
//! 3. Everything else is `Interpreted { runtime: "import", module, function, line }`, one frame for
//!    each line, so that inlined functions stay boxes of their own. The address is left out: it
//!    changes with every start of the process. `module` is the last part of the mapping's file name,
//!    else the function's source file; a folder would change from build to build.

use std::sync::Arc;

use stoker_dag::{
    Definition, DefinitionSource, Frame, FrameIx, KernelImage, Location as Meaning, SpecialFrame,
};

use super::images::{Image, main_executables};
use super::message::Message;
use super::prune::{Cut, Pruner};
use super::tables::{Line, Location, Tables};
use crate::error::{Place, ReadError};
use crate::import::{Imported, cut};
use crate::limits::Limits;

/// The runtime of frames that came without a usable address.
pub(crate) const IMPORT: &str = "import";

/// Turns the locations of one message into frames, each once.
pub(super) struct Frames<'m, 'a> {
    message: &'m Message<'a>,
    tables: &'m Tables,
    pruner: Option<&'m Pruner>,
    limits: &'m Limits,
    texts: Vec<Option<Arc<str>>>,
    modules: Vec<Image>,
    import: Arc<str>,
    empty: Arc<str>,
    location: Location,
}

impl<'m, 'a> Frames<'m, 'a> {
    pub(super) fn new(
        message: &'m Message<'a>,
        tables: &'m Tables,
        pruner: Option<&'m Pruner>,
        limits: &'m Limits,
        imported: &mut Imported,
    ) -> Result<Self, ReadError> {
        let mut frames = Self {
            message,
            tables,
            pruner,
            limits,
            texts: vec![None; message.strings.len()],
            modules: Vec::with_capacity(tables.mappings.len()),
            import: IMPORT.into(),
            empty: "".into(),
            location: Location::default(),
        };
        let main = main_executables(message);
        for index in 0..tables.mappings.len() {
            let image = Image::new(message, tables, index, &main, limits, imported)?;
            frames.modules.push(image);
        }
        Ok(frames)
    }

    /// Appends the frames of a location to `out`, outermost first, and says what the file wants done
    /// with it.
    pub(super) fn of(
        &mut self,
        index: usize,
        imported: &mut Imported,
        out: &mut Vec<FrameIx>,
    ) -> Result<Cut, ReadError> {
        let bytes = self.message.locations[index];
        let mut location = std::mem::take(&mut self.location);
        let message = self.message;
        let place = || message.place("location", index, bytes);
        self.tables.location(bytes, &mut location, place)?;
        let cut = self.prune(&mut location, &place)?;
        let made = self.frames(&location, &place, imported, out);
        self.location = location;
        made.map(|()| cut)
    }

    /// Takes away the functions that the file wants dropped. What remains of a location no longer
    /// stands for its address, so that rule 3 names it.
    fn prune(&self, location: &mut Location, place: &impl Fn() -> Place) -> Result<Cut, ReadError> {
        let Some(pruner) = self.pruner else {
            return Ok(Cut::Stays);
        };
        for at in (0..location.lines.len()).rev() {
            let Some(function) = location.lines[at].function else {
                continue;
            };
            let name = self.message.text(self.tables.functions[function].name, place)?;
            if !pruner.drops(name) {
                continue;
            }
            if at + 1 == location.lines.len() {
                return Ok(Cut::Goes);
            }
            location.lines.drain(..=at);
            location.address = 0;
            return Ok(Cut::Ends);
        }
        Ok(Cut::Stays)
    }

    fn frames(
        &mut self,
        location: &Location,
        place: &impl Fn() -> Place,
        imported: &mut Imported,
        out: &mut Vec<FrameIx>,
    ) -> Result<(), ReadError> {
        if let Some(frame) = self.addressed(location) {
            let id = frame.id();
            let mut meanings = Vec::with_capacity(location.lines.len());
            for line in location.lines.iter().rev() {
                meanings.push(self.meaning(*line, place, imported)?);
            }
            learn(imported, id, meanings.into());
            out.push(imported.frames.intern_owned(id, frame));
            return Ok(());
        }
        if location.lines.is_empty() {
            out.push(imported.frames.intern(&self.bare(location)));
        }
        for line in location.lines.iter().rev() {
            let frame = self.named(location, *line, place, imported)?;
            out.push(frame);
        }
        Ok(())
    }

    /// Rules 1 and 2.
    fn addressed(&self, location: &Location) -> Option<Frame> {
        let image = &self.modules[location.mapping?];
        let build_id = image.build_id.clone()?;
        let is_linked = image.is_linked();
        if location.address == 0 || (!is_linked && !location.lines.is_empty()) {
            return None;
        }
        let offset =
            if is_linked { location.address } else { image.file_offset(location.address)? };
        Some(if image.is_kernel {
            Frame::Kernel { image: KernelImage::Build(build_id), offset }
        } else {
            Frame::Native { build_id, offset }
        })
    }

    /// Rule 3 without any line: all that is left is where it was in its file.
    fn bare(&self, location: &Location) -> Frame {
        let image = location.mapping.map(|at| &self.modules[at]);
        let offset = image.and_then(|image| image.file_offset(location.address));
        let function = match offset.unwrap_or(location.address) {
            0 => "[unknown]".to_owned(),
            offset => format!("{offset:#x}"),
        };
        let module = image.map_or_else(|| Arc::clone(&self.empty), |image| Arc::clone(&image.name));
        Frame::Interpreted {
            runtime: Arc::clone(&self.import),
            module,
            function: function.into(),
            line: 0,
        }
    }

    /// Rule 3.
    fn named(
        &mut self,
        location: &Location,
        line: Line,
        place: &impl Fn() -> Place,
        imported: &mut Imported,
    ) -> Result<FrameIx, ReadError> {
        let meaning = self.meaning(line, place, imported)?;
        let image = location.mapping.map(|at| &self.modules[at]);
        let known = image.filter(|image| !image.name.is_empty());
        if known.is_none() && location.address == 0 && meaning.file.is_empty() {
            let special =
                SpecialFrame::ALL.into_iter().find(|s| s.to_string() == *meaning.function);
            if let Some(special) = special {
                return Ok(imported.frames.intern(&Frame::Special(special)));
            }
        }
        let frame = Frame::Interpreted {
            runtime: Arc::clone(&self.import),
            module: Arc::clone(known.map_or(&meaning.file, |image| &image.name)),
            function: Arc::clone(&meaning.function),
            line: meaning.line,
        };
        let id = frame.id();
        if known.is_some() && !meaning.file.is_empty() {
            learn(imported, id, Arc::new([meaning]));
        }
        Ok(imported.frames.intern_owned(id, frame))
    }

    fn meaning(
        &mut self,
        line: Line,
        place: &impl Fn() -> Place,
        imported: &mut Imported,
    ) -> Result<Meaning, ReadError> {
        let Some(at) = line.function else {
            let empty = &self.empty;
            return Ok(Meaning {
                function: Arc::clone(empty),
                file: Arc::clone(empty),
                line: line.line,
            });
        };
        let function = self.tables.functions[at];
        let mut name = self.text(function.name, place, imported)?;
        if name.is_empty() {
            name = self.text(function.system_name, place, imported)?;
        }
        let file = self.text(function.file_name, place, imported)?;
        Ok(Meaning { function: name, file, line: line.line })
    }

    fn text(
        &mut self,
        index: i64,
        place: &impl Fn() -> Place,
        imported: &mut Imported,
    ) -> Result<Arc<str>, ReadError> {
        let text = self.message.text(index, place)?;
        if text.is_empty() {
            return Ok(Arc::clone(&self.empty));
        }
        let Some(held) = usize::try_from(index).ok().and_then(|at| self.texts.get_mut(at)) else {
            return Ok(Arc::clone(&self.empty));
        };
        let shared =
            held.get_or_insert_with(|| cut(text, self.limits, &mut imported.notes).as_ref().into());
        Ok(Arc::clone(shared))
    }
}

fn learn(imported: &mut Imported, frame: stoker_dag::FrameId, locations: Arc<[Meaning]>) {
    if !locations.is_empty() {
        let source = DefinitionSource::PerfMap;
        imported.definitions.learn(frame, Definition { source, locations });
    }
}
