//! How much time writing a segment takes for how few bytes.

/// How much time writing takes for how few bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// Where a log is sealed: fast enough that sealing keeps up with ingest; and where segments are merged of an
    /// hour that is not over. They are merged again soon.
    Quick,
    /// Where segments of an hour that is over are merged, which happens once and is read for days.
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
