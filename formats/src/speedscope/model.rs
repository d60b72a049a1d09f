//! The file as it stands, in columns: no structure of its own for each sample.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

/// A whole file. Unknown keys are skipped.
#[derive(Debug, Deserialize)]
pub(super) struct File {
    pub(super) shared: Shared,
    pub(super) profiles: Vec<ProfileModel>,
    #[serde(default, rename = "activeProfileIndex")]
    pub(super) active: Option<u32>,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) exporter: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Shared {
    pub(super) frames: Vec<FrameModel>,
}

#[derive(Debug, Deserialize)]
pub(super) struct FrameModel {
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) file: Option<String>,
    #[serde(default)]
    pub(super) line: Option<Number>,
}

/// Either kind of profile; `kind` says which fields count.
#[derive(Debug, Deserialize)]
pub(super) struct ProfileModel {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) unit: String,
    #[serde(default, rename = "stoker")]
    pub(super) ours: Option<Ours>,
    #[serde(default, rename = "startValue")]
    pub(super) start: Option<Number>,
    #[serde(default, rename = "endValue")]
    pub(super) end: Option<Number>,
    #[serde(default)]
    pub(super) events: Vec<Event>,
    #[serde(default)]
    pub(super) samples: Stacks,
    #[serde(default)]
    pub(super) weights: Option<Vec<Number>>,
}

/// What Stoker says of a profile over time and the format has no place for. Stacks without frames are
/// gaps there.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ours<Text = String> {
    /// What values count, where the profile's name says which thread it is.
    pub(super) profile_type: Text,
    /// When the recording began; 0 where nobody knows.
    #[serde(default)]
    pub(super) start_unix_ns: u64,
    /// How long all of it was; 0 where nobody knows. A profile of several threads is longer.
    #[serde(default)]
    pub(super) duration_ns: u64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Event {
    #[serde(rename = "type")]
    pub(super) kind: EventKind,
    pub(super) frame: u32,
    pub(super) at: Number,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum EventKind {
    #[serde(rename = "O")]
    Open,
    #[serde(rename = "C")]
    Close,
}

/// A number as it was written: whole numbers above 2^53 keep their last digit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Whole(u64),
    Real(f64),
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Numbers;
        impl Visitor<'_> for Numbers {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Number, E> {
                Ok(Number::Whole(value))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Number, E> {
                #[expect(clippy::cast_precision_loss, reason = "negative numbers are refused")]
                Ok(Number::Real(value as f64))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Number, E> {
                Ok(Number::Real(value))
            }
        }
        deserializer.deserialize_any(Numbers)
    }
}

/// All stacks of a sampled profile, one after the other, outermost frame first.
#[derive(Debug, Default)]
pub(super) struct Stacks {
    frames: Vec<u32>,
    ends: Vec<usize>,
}

impl Stacks {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u32]> {
        let starts = std::iter::once(&0).chain(&self.ends);
        starts.zip(&self.ends).map(|(&from, &until)| &self.frames[from..until])
    }
}

impl<'de> Deserialize<'de> for Stacks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Outer;
        impl<'de> Visitor<'de> for Outer {
            type Value = Stacks;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of stacks")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Stacks, A::Error> {
                let mut stacks = Stacks::default();
                while seq.next_element_seed(Inner(&mut stacks.frames))?.is_some() {
                    stacks.ends.push(stacks.frames.len());
                }
                Ok(stacks)
            }
        }
        deserializer.deserialize_seq(Outer)
    }
}

/// Appends one stack.
struct Inner<'a>(&'a mut Vec<u32>);

impl<'de> DeserializeSeed<'de> for Inner<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Inner<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a stack: a list of indices of frames")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(frame) = seq.next_element()? {
            self.0.push(frame);
        }
        Ok(())
    }
}
