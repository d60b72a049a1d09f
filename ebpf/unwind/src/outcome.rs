//! How far a stack could be followed, and why no further: the same numbers in the kernel's records,
//! in metrics and in frames.

/// What became of a user stack.
#[repr(u8)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// Not by tables: the kernel walked frame pointers, because nothing is known of the process yet.
    #[default]
    FramePointers = 0,
    /// Followed to the start of the thread.
    Complete = 1,
    /// More frames than a record holds.
    TooDeep = 2,
    /// An address in no executable mapping of the process.
    NoMapping = 3,
    /// The mapping has no table: not compiled yet, none to be had, or code without a file.
    NoTable = 4,
    /// The file says nothing about this address.
    Gap = 5,
    /// The file describes this frame in a way that rules cannot express.
    Unsupported = 6,
    /// The file's description is damaged.
    Broken = 7,
    /// Memory that a rule names cannot be read.
    Unreadable = 8,
    /// The caller's frame would lie below its callee's.
    NotAscending = 9,
    /// The thread has no user registers.
    NoRegisters = 10,
}

impl Outcome {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 11] = [
        Self::FramePointers,
        Self::Complete,
        Self::TooDeep,
        Self::NoMapping,
        Self::NoTable,
        Self::Gap,
        Self::Unsupported,
        Self::Broken,
        Self::Unreadable,
        Self::NotAscending,
        Self::NoRegisters,
    ];

    /// The number that stands for it in the kernel's records.
    #[must_use]
    #[inline]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The outcome with this number.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// The reason for a guess, from what a cursor keeps of it.
    #[must_use]
    #[inline(always)]
    pub(crate) const fn of_guess(code: u32) -> Self {
        if code == Self::NoMapping as u32 {
            Self::NoMapping
        } else if code == Self::NoTable as u32 {
            Self::NoTable
        } else {
            Self::Gap
        }
    }

    /// The value of a metric's label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FramePointers => "frame_pointers",
            Self::Complete => "complete",
            Self::TooDeep => "too_deep",
            Self::NoMapping => "no_mapping",
            Self::NoTable => "no_table",
            Self::Gap => "gap",
            Self::Unsupported => "unsupported",
            Self::Broken => "broken",
            Self::Unreadable => "unreadable",
            Self::NotAscending => "not_ascending",
            Self::NoRegisters => "no_registers",
        }
    }

    /// Whether the stack ends before its thread's start, for a reason that lies in it.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        !matches!(self, Self::FramePointers | Self::Complete | Self::TooDeep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_places_in_the_list() {
        for (at, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(outcome.code()), at);
            assert_eq!(Outcome::from_code(outcome.code()), Some(outcome));
        }
        assert_eq!(Outcome::from_code(11), None);
    }
}
