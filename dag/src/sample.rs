//! Sample rows and what they are measured in.

use std::fmt;
use std::sync::Arc;

use crate::labels::LabelIx;
use crate::tables::NodeIx;

/// Rows of raw data are summed into windows of this length.
pub const WINDOW_NS: u64 = 10_000_000_000;
/// The same in seconds: what a gauge's value is multiplied by for each window.
pub const WINDOW_SECONDS: u64 = WINDOW_NS / 1_000_000_000;

/// What a value counts, as Pyroscope and Grafana write it:
/// `process_cpu:cpu:nanoseconds:cpu:nanoseconds`, that is
/// name : sample type : sample unit : period type : period unit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProfileType(Arc<str>);

/// A text that is no profile type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no profile type: write a short name such as `cpu`, or five parts such as \
     process_cpu:cpu:nanoseconds:cpu:nanoseconds"
)]
pub struct ProfileTypeError(String);

/// Short names and what they stand for.
const SHORT_NAMES: [(&str, &str); 1] = [("cpu", "process_cpu:cpu:nanoseconds:cpu:nanoseconds")];

impl ProfileType {
    /// On-CPU time.
    #[must_use]
    pub fn cpu() -> Self {
        Self(SHORT_NAMES[0].1.into())
    }

    /// Reads a long or a short name.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &str) -> Result<Self, ProfileTypeError> {
        if let Some((_, long)) = SHORT_NAMES.iter().find(|(short, _)| *short == text) {
            return Ok(Self((*long).into()));
        }
        let parts: Vec<&str> = text.split(':').collect();
        let is_word = |part: &&str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        };
        if parts.len() != 5 || text.len() > 256 || !parts.iter().all(is_word) {
            return Err(ProfileTypeError(text.chars().take(64).collect()));
        }
        Ok(Self(text.into()))
    }

    /// The long name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The short name, or the long one where there is none.
    #[must_use]
    pub fn short(&self) -> &str {
        let known = SHORT_NAMES.iter().find(|(_, long)| *long == &*self.0);
        known.map_or(&self.0, |(short, _)| short)
    }

    /// Whether values are what was there at a moment (memory in use, goroutines), not what happened
    /// over time. They are stored as value × seconds, so that folding stays a sum, and divided on
    /// display. The words are pprof's.
    #[must_use]
    pub fn is_gauge(&self) -> bool {
        let mut parts = self.0.split(':');
        let (name, kind) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        // A second one of a name has a number behind it.
        let kind = kind.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('_');
        matches!(kind, "inuse_objects" | "inuse_space" | "objects" | "space")
            || matches!(name, "goroutine" | "threadcreate")
    }

    /// The unit of values.
    #[must_use]
    pub fn unit(&self) -> &str {
        self.0.split(':').nth(2).unwrap_or("")
    }
}

impl fmt::Display for ProfileType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A moment, in nanoseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixNanos(pub u64);

impl UnixNanos {
    /// The start of the window that holds this moment.
    #[must_use]
    pub const fn window_start(self) -> Self {
        Self(self.0 - self.0 % WINDOW_NS)
    }
}

/// One sample row: so much value on one stack of one series, with one attribute set. The window and
/// the profile type belong to the group it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SampleRow {
    /// Labels of bounded cardinality.
    pub series: LabelIx,
    /// Everything of high cardinality.
    pub attributes: LabelIx,
    /// The stack.
    pub node: NodeIx,
    /// In the profile type's unit.
    pub value: u64,
    /// How many samples.
    pub count: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_names_are_one() {
        let cpu = ProfileType::parse("cpu").unwrap();
        assert_eq!(cpu, ProfileType::cpu());
        assert_eq!(ProfileType::parse(cpu.as_str()).unwrap(), cpu);
        assert_eq!((cpu.short(), cpu.unit()), ("cpu", "nanoseconds"));
        for wrong in ["", "cpus", "a:b:c:d", "a:b:c:d:e:f", "a:b::d:e", "a:b:c d:d:e"] {
            assert!(ProfileType::parse(wrong).is_err(), "{wrong}");
        }
    }
}
