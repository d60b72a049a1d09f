//! What frames mean, as columns. Frames are taken by file and offset, whatever their numbers: those of one
//! function stand together then, so that most say what the one before said, but for a line near by.

use std::io;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use stoker_dag::{BuildId, Definition, DefinitionSource, Frame, FrameIx, FrameTable, Location};
use stoker_wire::limits;

use super::columns::{ColumnWriter, Reader, columns, put, unzigzag, zigzag};

/// Columns: which frames (steps), source and number of locations, functions, files, lines, lengths of
/// strings, strings.
const COLUMNS: usize = 7;
/// What stands for the string of the definition before; others follow.
const SAME: u64 = 0;
/// What stands for a string that comes for the first time.
const NEW: u64 = 1;
/// Sources are below it.
const SOURCES: u64 = 8;

/// Frames in the order in which they are told of: that of `Frame` itself, which is a part of the format by this.
/// Golden segments hold it. Native frames, nearly all, are the first in it: sorted by build once for each build,
/// and then by a number.
fn order(frames: &FrameTable) -> Vec<FrameIx> {
    let (mut builds, mut others) = (FxHashMap::<&BuildId, Vec<(u64, FrameIx)>>::default(), vec![]);
    for at in (0u32..).map(FrameIx).take(frames.len()) {
        match frames.frame(at) {
            Frame::Native { build_id, offset } => {
                builds.entry(build_id).or_default().push((*offset, at));
            }
            _ => others.push(at),
        }
    }
    let mut builds: Vec<_> = builds.into_iter().collect();
    builds.sort_unstable_by_key(|(build_id, _)| *build_id);
    builds.iter_mut().for_each(|(_, of_build)| of_build.sort_unstable());
    others.sort_by(|a, b| frames.frame(*a).cmp(frames.frame(*b)));
    let native = builds.into_iter().flat_map(|(_, of_build)| of_build).map(|(_, frame)| frame);
    native.chain(others).collect()
}

/// Numbers of strings, in the order in which they come up.
#[derive(Default)]
struct Strings {
    numbers: FxHashMap<Arc<str>, u64>,
    lengths: Vec<u8>,
    bytes: Vec<u8>,
}

impl Strings {
    fn number(&mut self, text: &Arc<str>) -> (u64, bool) {
        let next = self.numbers.len() as u64;
        let number = *self.numbers.entry(Arc::clone(text)).or_insert(next);
        if number == next {
            put(&mut self.lengths, text.len() as u64);
            self.bytes.extend_from_slice(text.as_bytes());
        }
        (number, number == next)
    }
}

/// What a location is likely to be, from those before it.
#[derive(Default)]
struct Last {
    function: u64,
    /// The file and the line that a function had last.
    places: FxHashMap<u64, (u64, u32)>,
}

/// Definitions of frames, and the length when decompressed. Those of frames that are not in the table, and
/// all but the last of a frame, are left out.
///
/// # Errors
/// When compression fails for want of memory.
pub fn write_definitions(
    frames: &FrameTable,
    definitions: &[(FrameIx, Definition)],
    level: i32,
) -> io::Result<(Vec<u8>, u64)> {
    let of: FxHashMap<FrameIx, &Definition> = definitions.iter().map(|(ix, d)| (*ix, d)).collect();
    let [mut steps, mut heads, mut functions, mut files, mut lines] = [const { Vec::new() }; 5];
    let (mut strings, mut last, mut step) = (Strings::default(), Last::default(), 0);
    for frame in order(frames) {
        let Some(definition) = of.get(&frame) else {
            step += 1;
            continue;
        };
        put(&mut steps, std::mem::take(&mut step));
        let count = definition.locations.len() as u64;
        put(&mut heads, count * SOURCES + u64::from(definition.source.code()));
        for Location { function, file, line } in definition.locations.iter() {
            let (function, is_new) = strings.number(function);
            put(&mut functions, code(function, is_new, last.function));
            last.function = function;
            let (file, is_new) = strings.number(file);
            let before = last.places.insert(function, (file, *line)).unwrap_or((u64::MAX, 0));
            put(&mut files, code(file, is_new, before.0));
            put(&mut lines, zigzag(i64::from(*line) - i64::from(before.1)));
        }
    }
    let mut writer = ColumnWriter::default();
    for column in [steps, heads, functions, files, lines, strings.lengths, strings.bytes] {
        writer.push(&column, level)?;
    }
    Ok(writer.finish())
}

fn code(number: u64, is_new: bool, before: u64) -> u64 {
    match (is_new, number == before) {
        (true, _) => NEW,
        (false, true) => SAME,
        (false, false) => number + NEW + 1,
    }
}

/// Strings of a block.
struct Known<'a> {
    lengths: Reader<'a>,
    bytes: Reader<'a>,
    all: Vec<Arc<str>>,
}

impl Known<'_> {
    /// The number that a code stands for.
    fn number(&mut self, code: u64, before: u64) -> Option<u64> {
        match code {
            SAME => Some(before).filter(|number| *number < self.all.len() as u64),
            NEW => {
                let length = usize::try_from(self.lengths.get()?).ok()?;
                if length > limits::MAX_STRING_BYTES {
                    return None;
                }
                self.all.push(std::str::from_utf8(self.bytes.bytes(length)?).ok()?.into());
                Some(self.all.len() as u64 - 1)
            }
            other => Some(other - NEW - 1).filter(|number| *number < self.all.len() as u64),
        }
    }

    fn text(&self, number: u64) -> Option<Arc<str>> {
        self.all.get(usize::try_from(number).ok()?).cloned()
    }
}

/// What a block of at most `limit` bytes, decompressed, says of frames, in order of frame; nothing where it
/// contradicts itself.
pub fn read_definitions(
    block: &[u8],
    limit: u64,
    frames: &FrameTable,
) -> Option<Vec<(FrameIx, Definition)>> {
    let all = columns::<COLUMNS>(block, limit)?;
    let [mut steps, mut heads, mut functions, mut files, mut lines, lengths, bytes] =
        std::array::from_fn(|at| Reader::new(&all[at]));
    let mut known = Known { lengths, bytes, all: Vec::new() };
    let (mut last, mut order) = (Last::default(), order(frames).into_iter());
    let mut definitions = Vec::with_capacity(heads.remaining().min(frames.len()));
    while !steps.is_at_end() {
        let frame = order.nth(usize::try_from(steps.get()?).ok()?)?;
        let head = heads.get()?;
        let source = DefinitionSource::from_code(u8::try_from(head % SOURCES).ok()?)?;
        let count = usize::try_from(head / SOURCES).ok()?;
        // Each location has a byte at least, so the count is bounded by what is there.
        if count > functions.remaining() || count > limits::MAX_LOCATIONS {
            return None;
        }
        let mut locations = Vec::with_capacity(count);
        for _ in 0..count {
            let function = known.number(functions.get()?, last.function)?;
            last.function = function;
            let before = last.places.get(&function).copied().unwrap_or((u64::MAX, 0));
            let file = known.number(files.get()?, before.0)?;
            let line = i64::from(before.1).checked_add(unzigzag(lines.get()?))?;
            let line = u32::try_from(line).ok()?;
            last.places.insert(function, (file, line));
            let (function, file) = (known.text(function)?, known.text(file)?);
            locations.push(Location { function, file, line });
        }
        definitions.push((frame, Definition { source, locations: locations.into() }));
    }
    definitions.sort_by_key(|(frame, _)| *frame);
    let rest = [heads, functions, files, lines, known.lengths, known.bytes];
    rest.iter().all(Reader::is_at_end).then_some(definitions)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use stoker_dag::{BuildIdKind, KernelImage, SpecialFrame};

    use super::*;

    fn frame() -> impl Strategy<Value = Frame> {
        let build = (0..3u8, 1..4usize, any::<bool>()).prop_map(|(byte, length, is_gnu)| {
            let kind = if is_gnu { BuildIdKind::Gnu } else { BuildIdKind::Content };
            BuildId::new(kind, &vec![byte; length]).unwrap()
        });
        prop_oneof![
            8 => (build.clone(), 0..9u64)
                .prop_map(|(build_id, offset)| Frame::Native { build_id, offset }),
            1 => (build, 0..9u64).prop_map(|(build, offset)| {
                Frame::Kernel { image: KernelImage::Build(build), offset }
            }),
            1 => Just(Frame::Special(SpecialFrame::Truncated)),
        ]
    }

    fn definition() -> impl Strategy<Value = Definition> {
        let location = ("[ab]{0,2}", "[xy]{0,1}", any::<u32>());
        (0..5usize, prop::collection::vec(location, 0..4)).prop_map(|(source, locations)| {
            let locations = locations.into_iter().map(|(function, file, line)| Location {
                function: function.into(),
                file: file.into(),
                line,
            });
            let source = DefinitionSource::ALL[source];
            Definition { source, locations: locations.collect() }
        })
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_frames(all in prop::collection::vec(frame(), 0..60)) {
            let mut frames = FrameTable::default();
            all.iter().for_each(|frame| _ = frames.intern(frame));
            let told: Vec<&Frame> = order(&frames).into_iter().map(|ix| frames.frame(ix)).collect();
            prop_assert!(told.len() == frames.len() && told.is_sorted(), "{told:?}");
        }

        #[test]
        fn definitions_are_read_back_or_refused(
            all in prop::collection::vec((any::<u16>(), prop::option::of(definition())), 0..60),
            flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=255u8), 1..4),
        ) {
            let mut frames = FrameTable::default();
            let mut definitions = Vec::new();
            for (offset, definition) in all {
                let kind = BuildIdKind::Gnu;
                let build_id = BuildId::new(kind, &[u8::try_from(offset % 3).unwrap(); 4]).unwrap();
                let before = frames.len();
                let frame = frames.intern(&Frame::Native { build_id, offset: offset.into() });
                if frames.len() > before {
                    definitions.extend(definition.map(|definition| (frame, definition)));
                }
            }
            let (mut block, raw) = write_definitions(&frames, &definitions, 3).unwrap();
            prop_assert_eq!(read_definitions(&block, raw, &frames).unwrap(), definitions);
            for (at, flip) in flips {
                let at = at.index(block.len());
                block[at] ^= flip;
            }
            for (frame, _) in read_definitions(&block, raw, &frames).unwrap_or_default() {
                prop_assert!(frame.at() < frames.len());
            }
        }
    }
}
