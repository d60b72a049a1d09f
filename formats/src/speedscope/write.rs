//! From call trees to speedscope's JSON: one sampled profile for each, and one table of frames.

use std::io::Write;

use rustc_hash::FxHashMap;
use serde::ser::{Serialize, SerializeSeq, SerializeStruct, Serializer};
use stoker_dag::{BoxIx, CallTree, ProfileType};

use super::unit_word;
use crate::WriteError;
use crate::text::{NO_STACK, box_name, harmless};

const SCHEMA: &str = "https://www.speedscope.app/file-format-schema.json";

/// One profile of a file.
#[derive(Debug, Clone, Copy)]
pub struct SpeedscopeSource<'a> {
    /// What values count; the profile is called by its long name.
    pub profile_type: &'a ProfileType,
    /// The stacks, in depth-first order, as `CallTreeBuilder::finish` gives them.
    pub tree: &'a CallTree,
}

/// Writes the profiles as one file that shows `name` as its title.
///
/// # Errors
/// When `out` does not take the bytes.
pub fn write(
    profiles: &[SpeedscopeSource<'_>],
    name: &str,
    out: &mut impl Write,
) -> Result<(), WriteError> {
    let mut frames = Frames::default();
    let of_boxes: Vec<Vec<u32>> =
        profiles.iter().map(|profile| frames.of_boxes(profile.tree)).collect();
    let sampled: Vec<Sampled<'_>> = profiles
        .iter()
        .zip(&of_boxes)
        .map(|(profile, frames)| Sampled { profile, frames })
        .collect();
    write_file(&frames, &sampled, name, out)
}

/// A file of these profiles over these frames.
pub(super) fn write_file(
    frames: &Frames,
    profiles: &[impl Serialize],
    name: &str,
    out: &mut impl Write,
) -> Result<(), WriteError> {
    let file = File { name: &harmless(name), frames: &frames.list, profiles };
    serde_json::to_writer(&mut *out, &file).map_err(std::io::Error::from)?;
    out.write_all(b"\n")?;
    Ok(())
}

/// Name, file, line.
type FrameKey = (String, String, u32);

#[derive(Default)]
pub(super) struct Frames {
    list: Vec<FrameKey>,
    index: FxHashMap<FrameKey, u32>,
}

impl Frames {
    /// The frame of each box.
    pub(super) fn of_boxes(&mut self, tree: &CallTree) -> Vec<u32> {
        (0u32..).map(BoxIx).take(tree.len()).map(|at| self.of(tree, at)).collect()
    }

    /// The frame of stacks that have none.
    pub(super) fn of_no_stack(&mut self) -> u32 {
        self.intern((NO_STACK.to_owned(), String::new(), 0))
    }

    fn of(&mut self, tree: &CallTree, at: BoxIx) -> u32 {
        let label = tree.label[at.at()];
        let (file, module) = (tree.names.get(label.file), tree.names.get(label.module));
        let place = if file.is_empty() { module } else { file };
        let place = if place.is_empty() { String::new() } else { harmless(place).into_owned() };
        self.intern((harmless(&box_name(tree, at)).into_owned(), place, label.line))
    }

    fn intern(&mut self, key: FrameKey) -> u32 {
        let next = u32::try_from(self.list.len()).expect("hardly more frames than boxes");
        let ix = *self.index.entry(key.clone()).or_insert(next);
        if ix == next {
            self.list.push(key);
        }
        ix
    }
}

struct File<'a, P> {
    name: &'a str,
    frames: &'a [FrameKey],
    profiles: &'a [P],
}

impl<P: Serialize> Serialize for File<'_, P> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut file = serializer.serialize_struct("File", 5)?;
        file.serialize_field("$schema", SCHEMA)?;
        file.serialize_field("exporter", concat!("stoker ", env!("CARGO_PKG_VERSION")))?;
        file.serialize_field("name", self.name)?;
        file.serialize_field("shared", &Shared(self.frames))?;
        file.serialize_field("profiles", self.profiles)?;
        file.end()
    }
}

struct Shared<'a>(&'a [FrameKey]);

impl Serialize for Shared<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let frames: Vec<FrameJson<'_>> = self.0.iter().map(FrameJson).collect();
        let mut shared = serializer.serialize_struct("Shared", 1)?;
        shared.serialize_field("frames", &frames)?;
        shared.end()
    }
}

struct FrameJson<'a>(&'a FrameKey);

impl Serialize for FrameJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (name, file, line) = self.0;
        let mut frame = serializer.serialize_struct("Frame", 3)?;
        frame.serialize_field("name", name)?;
        if !file.is_empty() {
            frame.serialize_field("file", file)?;
        }
        if *line != 0 {
            frame.serialize_field("line", line)?;
        }
        frame.end()
    }
}

struct Sampled<'a> {
    profile: &'a SpeedscopeSource<'a>,
    frames: &'a [u32],
}

impl Serialize for Sampled<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let tree = self.profile.tree;
        let mut sampled = serializer.serialize_struct("Profile", 7)?;
        sampled.serialize_field("type", "sampled")?;
        sampled.serialize_field("name", self.profile.profile_type.as_str())?;
        let unit = unit_word(self.profile.profile_type.unit());
        sampled.serialize_field("unit", unit)?;
        sampled.serialize_field("startValue", &0)?;
        sampled.serialize_field("endValue", &tree.total.first().copied().unwrap_or(0))?;
        sampled.serialize_field("samples", &Samples { tree, frames: self.frames })?;
        let weights: Vec<u64> =
            tree.self_value.iter().copied().filter(|value| *value > 0).collect();
        sampled.serialize_field("weights", &weights)?;
        sampled.end()
    }
}

struct Samples<'a> {
    tree: &'a CallTree,
    frames: &'a [u32],
}

impl Serialize for Samples<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut samples = serializer.serialize_seq(None)?;
        // The frames above the box at hand, each with its box.
        let mut path: Vec<(BoxIx, u32)> = Vec::new();
        for (at, &parent) in (0u32..).map(BoxIx).zip(&self.tree.parent) {
            if at != BoxIx::ROOT {
                while path.last().is_some_and(|(above, _)| *above != parent) {
                    path.pop();
                }
                path.push((at, self.frames[at.at()]));
            }
            if self.tree.self_value[at.at()] > 0 {
                let stack: Vec<u32> = path.iter().map(|(_, frame)| *frame).collect();
                samples.serialize_element(&stack)?;
            }
        }
        samples.end()
    }
}
