//! Rules: how to get from a frame to its caller. One array of rules serves all files of a machine,
//! because compilers use few: the tables hold numbers of rules.

/// The number of a rule in the machine's array.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(pub u16);

impl RuleId {
    /// No unwinding information here: frame pointers are the last resort.
    pub const NONE: Self = Self(0);
    /// Here is the start of a thread: the return address is undefined, the stack is complete.
    pub const END: Self = Self(1);
    /// By frame pointers, because whoever compiled this keeps them (Go).
    pub const FRAME_POINTER: Self = Self(2);
    /// There is information, of a kind that a rule cannot express.
    pub const UNSUPPORTED: Self = Self(3);
    /// The information is damaged, or the machine's array of rules is full.
    pub const BROKEN: Self = Self(4);
    /// Rules from here on are made from the files.
    pub const FIRST_FREE: Self = Self(16);
}

/// How the canonical frame address (CFA), the stack pointer's value before the call, is found.
/// [`Rule::cfa`] is one of these.
pub mod cfa {
    /// Not at all: see the fixed [`RuleId`](super::RuleId)s.
    pub const NONE: u8 = 0;
    /// Stack pointer + `cfa_offset`.
    pub const STACK: u8 = 1;
    /// Frame pointer + `cfa_offset`.
    pub const FRAME: u8 = 2;
    /// The word at stack pointer + `cfa_offset`, and `operand` more (a stack pointer that was saved
    /// before the stack was aligned, as hand-written cryptography does).
    pub const AT_STACK: u8 = 3;
    /// The word at frame pointer + `cfa_offset`, and `operand` more.
    pub const AT_FRAME: u8 = 4;
    /// A linkage stub: stack pointer + `cfa_offset`, and 8 more where the low four bits of the
    /// instruction pointer are at least `operand`.
    pub const STUB: u8 = 5;
}

/// Where a register of the caller is. [`Rule::frame`] and [`Rule::ra`] are of these.
pub mod saved {
    /// Unchanged. A return address never is.
    pub const SAME: u8 = 0;
    /// In memory at CFA + offset.
    pub const AT_CFA: u8 = 1;
    /// In memory at this frame's stack pointer + offset (signal frames).
    pub const AT_STACK: u8 = 2;
    /// In memory at this frame's frame pointer + offset.
    pub const AT_FRAME: u8 = 3;
    /// Lost. For the return address that is the end of the stack.
    pub const UNDEFINED: u8 = 4;
}

/// Bits of [`Rule::flags`].
pub mod flags {
    /// A signal frame: the address found is not a return address but where the signal hit.
    pub const SIGNAL: u8 = 1;
}

/// How to get from a frame to its caller, x86-64. The frame pointer is rbp.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rule {
    /// One of [`cfa`].
    pub cfa: u8,
    /// Where the caller's frame pointer is: one of [`saved`].
    pub frame: u8,
    /// Where the return address is: one of [`saved`].
    pub ra: u8,
    /// Bits of [`flags`].
    pub flags: u8,
    /// For [`Rule::cfa`].
    pub cfa_offset: i32,
    /// For [`Rule::frame`].
    pub frame_offset: i32,
    /// For [`Rule::ra`].
    pub ra_offset: i16,
    /// For [`cfa::STUB`], [`cfa::AT_STACK`] and [`cfa::AT_FRAME`].
    pub operand: u16,
}

const _: () = assert!(size_of::<Rule>() == 16);

impl Rule {
    /// The fixed rule of [`RuleId::FRAME_POINTER`].
    pub const FRAME_POINTER: Self = Self {
        cfa: cfa::FRAME,
        frame: saved::AT_CFA,
        ra: saved::AT_CFA,
        flags: 0,
        cfa_offset: 16,
        frame_offset: -16,
        ra_offset: -8,
        operand: 0,
    };
}
