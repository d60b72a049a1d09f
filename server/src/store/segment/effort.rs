//! How much time writing a segment takes for how few bytes.

/// How much time writing takes for how few bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// Where a log is sealed: fast enough that sealing keeps up with ingest. It is merged within the hour.
    Quick,
    /// Where segments are merged, which happens once and is read for days.
    Thorough,
}

impl Effort {
    /// zstd's level.
    #[must_use]
    pub const fn level(self) -> i32 {
        match self {
            Self::Quick => 1,
            Self::Thorough => 9,
        }
    }
}
