//! Frames: where the machine was when it was sampled, free of load addresses and of names.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::encode::{Domain, Encoder};
use crate::ids::FrameId;

/// The longest build id that is accepted; Go's, the longest in use, have 83 bytes.
pub const MAX_BUILD_ID_BYTES: usize = 96;

/// Where a build id was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BuildIdKind {
    /// The GNU note, `NT_GNU_BUILD_ID`.
    Gnu,
    /// Go's note, the text of `go tool buildid`.
    Go,
    /// A hash of the file's content, for files without a note.
    Content,
}

/// Names one build of one binary. Written as plain hexadecimal for GNU ids and with a prefix
/// (`go:`, `content:`) for the others.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BuildId {
    kind: BuildIdKind,
    bytes: Arc<[u8]>,
}

/// Why bytes or a text are no build id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildIdError {
    /// Empty, or longer than [`MAX_BUILD_ID_BYTES`].
    #[error("a build id has 1 to {MAX_BUILD_ID_BYTES} bytes, got {0}")]
    Length(usize),
    /// Not hexadecimal.
    #[error("a build id is written in hexadecimal, after an optional `go:` or `content:`")]
    Digits,
}

impl BuildId {
    /// The build id with these bytes.
    ///
    /// # Errors
    /// When there are none or too many.
    pub fn new(kind: BuildIdKind, bytes: &[u8]) -> Result<Self, BuildIdError> {
        if bytes.is_empty() || bytes.len() > MAX_BUILD_ID_BYTES {
            return Err(BuildIdError::Length(bytes.len()));
        }
        Ok(Self { kind, bytes: bytes.into() })
    }

    /// Where it was read from.
    #[must_use]
    pub fn kind(&self) -> BuildIdKind {
        self.kind
    }

    /// Its bytes, without the kind.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            BuildIdKind::Gnu => "",
            BuildIdKind::Go => "go:",
            BuildIdKind::Content => "content:",
        })?;
        self.bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BuildId({self})")
    }
}

impl FromStr for BuildId {
    type Err = BuildIdError;

    fn from_str(text: &str) -> Result<Self, BuildIdError> {
        let (kind, digits) = match text.split_once(':') {
            Some(("go", rest)) => (BuildIdKind::Go, rest),
            Some(("content", rest)) => (BuildIdKind::Content, rest),
            Some(_) => return Err(BuildIdError::Digits),
            None => (BuildIdKind::Gnu, text),
        };
        if digits.len() > 2 * MAX_BUILD_ID_BYTES {
            return Err(BuildIdError::Length(digits.len() / 2));
        }
        if !digits.len().is_multiple_of(2) || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(BuildIdError::Digits);
        }
        let bytes: Result<Vec<u8>, _> = (0..digits.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&digits[at..at + 2], 16))
            .collect();
        Self::new(kind, &bytes.map_err(|_| BuildIdError::Digits)?)
    }
}

/// Which kernel image or module a kernel frame lies in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KernelImage {
    /// Named by its build id, as in `/sys/kernel/notes` and `/sys/module/*/notes`.
    Build(BuildId),
    /// Named by the release string and the module's name (empty for the kernel proper), only where
    /// no build id can be read.
    Release {
        /// `uname -r`.
        release: Arc<str>,
        /// The module, or empty.
        module: Arc<str>,
    },
}

/// Why a stack stops before its thread's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UnwindFailure {
    /// There was no user stack to walk at all.
    NoUserStack,
    /// An address lies in no mapping that is known.
    UnknownMapping,
    /// The mapped file could not be read, so that no offset in it can be told.
    UnreadableFile,
    /// The process had gone before its mappings were known.
    ProcessGone,
    /// The code has no unwinding table (yet), and frame pointers led nowhere.
    NoTable,
    /// The file says nothing about the place, and frame pointers led nowhere.
    NoInformation,
    /// The file describes the frame in a way that is not supported.
    Unsupported,
    /// The file's unwinding information is damaged.
    Damaged,
    /// The stack's memory could not be read.
    UnreadableStack,
    /// The caller's frame would lie below its callee's.
    NotAscending,
}

impl UnwindFailure {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 10] = [
        Self::NoUserStack,
        Self::UnknownMapping,
        Self::UnreadableFile,
        Self::ProcessGone,
        Self::NoTable,
        Self::NoInformation,
        Self::Unsupported,
        Self::Damaged,
        Self::UnreadableStack,
        Self::NotAscending,
    ];

    /// The number that stands for it in ids and on the wire. Never reused.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::NoUserStack => 1,
            Self::UnknownMapping => 2,
            Self::UnreadableFile => 3,
            Self::ProcessGone => 4,
            Self::NoTable => 5,
            Self::NoInformation => 6,
            Self::Unsupported => 7,
            Self::Damaged => 8,
            Self::UnreadableStack => 9,
            Self::NotAscending => 10,
        }
    }

    /// What a person reads in a flame graph.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NoUserStack => "no user stack",
            Self::UnknownMapping => "unknown mapping",
            Self::UnreadableFile => "unreadable file",
            Self::ProcessGone => "process gone",
            Self::NoTable => "no unwinding table",
            Self::NoInformation => "no unwinding information",
            Self::Unsupported => "unwinding information not supported",
            Self::Damaged => "damaged unwinding information",
            Self::UnreadableStack => "stack unreadable",
            Self::NotAscending => "frames out of order",
        }
    }
}

/// A frame that stands for what could not be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpecialFrame {
    /// The stack was deeper than the limit; what was above is not known.
    Truncated,
    /// The stack could not be followed further.
    UnwindFailed(UnwindFailure),
}

impl SpecialFrame {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 11] = [
        Self::Truncated,
        Self::UnwindFailed(UnwindFailure::NoUserStack),
        Self::UnwindFailed(UnwindFailure::UnknownMapping),
        Self::UnwindFailed(UnwindFailure::UnreadableFile),
        Self::UnwindFailed(UnwindFailure::ProcessGone),
        Self::UnwindFailed(UnwindFailure::NoTable),
        Self::UnwindFailed(UnwindFailure::NoInformation),
        Self::UnwindFailed(UnwindFailure::Unsupported),
        Self::UnwindFailed(UnwindFailure::Damaged),
        Self::UnwindFailed(UnwindFailure::UnreadableStack),
        Self::UnwindFailed(UnwindFailure::NotAscending),
    ];

    /// The number that stands for it in ids and on the wire. Never reused.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Truncated => 0,
            Self::UnwindFailed(failure) => failure.code(),
        }
    }

    /// The frame with this code.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        if code == 0 {
            return Some(Self::Truncated);
        }
        UnwindFailure::ALL.into_iter().find(|f| f.code() == code).map(Self::UnwindFailed)
    }
}

impl fmt::Display for SpecialFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("[truncated]"),
            Self::UnwindFailed(failure) => write!(f, "[unwind failed: {}]", failure.reason()),
        }
    }
}

/// Where the machine was.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Frame {
    /// In an ELF file: build id and virtual offset as the file's own program headers count.
    Native {
        /// The build.
        build_id: BuildId,
        /// Virtual offset in the ELF file.
        offset: u64,
    },
    /// In the kernel or one of its modules.
    Kernel {
        /// Which image.
        image: KernelImage,
        /// Offset from `_text`, or from the module's start.
        offset: u64,
    },
    /// In interpreted or just-in-time compiled code, or in a profile that came without addresses.
    Interpreted {
        /// The runtime, as `jit`, `python`, `import`.
        runtime: Arc<str>,
        /// Module or file.
        module: Arc<str>,
        /// Function, as the runtime names it.
        function: Arc<str>,
        /// Line, 0 where it is not known.
        line: u32,
    },
    /// What could not be seen.
    Special(SpecialFrame),
}

impl Frame {
    /// The frame's identity: BLAKE3 over its canonical encoding.
    #[must_use]
    pub fn id(&self) -> FrameId {
        FrameId::from_bytes(self.encoding().hash(Domain::Frame))
    }

    fn encoding(&self) -> Encoder {
        match self {
            Self::Native { build_id, offset } => {
                encode_build(Encoder::tagged(1), build_id).number(*offset)
            }
            Self::Kernel { image: KernelImage::Build(build_id), offset } => {
                encode_build(Encoder::tagged(2), build_id).number(*offset)
            }
            Self::Kernel { image: KernelImage::Release { release, module }, offset } => {
                Encoder::tagged(3).text(release).text(module).number(*offset)
            }
            Self::Interpreted { runtime, module, function, line } => Encoder::tagged(4)
                .text(runtime)
                .text(module)
                .text(function)
                .number(u64::from(*line)),
            Self::Special(special) => Encoder::tagged(5).byte(special.code()),
        }
    }

    /// The build whose debug information could name this frame.
    #[must_use]
    pub fn build_id(&self) -> Option<&BuildId> {
        match self {
            Self::Native { build_id, .. }
            | Self::Kernel { image: KernelImage::Build(build_id), .. } => Some(build_id),
            _ => None,
        }
    }
}

fn encode_build(encoder: Encoder, build_id: &BuildId) -> Encoder {
    let kind = match build_id.kind() {
        BuildIdKind::Gnu => 1,
        BuildIdKind::Go => 2,
        BuildIdKind::Content => 3,
    };
    encoder.byte(kind).bytes(build_id.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_ids_are_read_as_they_are_written() {
        for text in ["deadbeef", "go:6162", "content:00ff"] {
            assert_eq!(text.parse::<BuildId>().unwrap().to_string(), text);
        }
        assert_eq!("abc".parse::<BuildId>(), Err(BuildIdError::Digits));
        assert_eq!("zz".parse::<BuildId>(), Err(BuildIdError::Digits));
        assert_eq!("".parse::<BuildId>(), Err(BuildIdError::Length(0)));
        assert_eq!("0a".repeat(97).parse::<BuildId>(), Err(BuildIdError::Length(97)));
    }

    #[test]
    fn special_codes_come_back() {
        for code in 0..=10 {
            assert_eq!(SpecialFrame::from_code(code).unwrap().code(), code);
        }
        assert_eq!(SpecialFrame::from_code(11), None);
    }
}
