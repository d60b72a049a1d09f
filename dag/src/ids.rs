//! Content-addressed identities: 16 bytes of BLAKE3, shown as hexadecimal.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use crate::encode::{Domain, hash16};

/// Why a text is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an id is 32 hexadecimal digits, got {0:?}")]
pub struct ParseIdError(String);

macro_rules! id16 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name([u8; 16]);

        impl Hash for $name {
            /// Half of an id is as good a hash as any: it is one.
            fn hash<H: Hasher>(&self, state: &mut H) {
                let [a, b, c, d, e, f, g, h, ..] = self.0;
                state.write_u64(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
            }
        }

        impl $name {
            /// The id with these bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The 16 bytes of the id.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let wrong = || ParseIdError(text.chars().take(64).collect());
                if text.len() != 32 || !text.is_ascii() {
                    return Err(wrong());
                }
                let mut bytes = [0; 16];
                for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
                    let digits = std::str::from_utf8(digits).map_err(|_| wrong())?;
                    *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
                }
                Ok(Self(bytes))
            }
        }
    };
}

id16!(
    /// Identity of a [`Frame`](crate::Frame): a hash of its encoding.
    FrameId
);
id16!(
    /// Identity of a node, and so of the stack that ends there: a hash over its parent and frame.
    NodeId
);
id16!(
    /// Identity of a [`Function`](crate::Function), the unit of comparison across builds.
    FunctionId
);

impl NodeId {
    /// The empty stack.
    pub const ROOT: Self = Self([0; 16]);

    /// The node that stands below `self` with `frame` on top.
    #[must_use]
    pub fn child(&self, frame: FrameId) -> Self {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&self.0);
        bytes[16..].copy_from_slice(&frame.0);
        Self(hash16(Domain::Node, &bytes))
    }

    /// The id of a whole stack, outermost frame first.
    #[must_use]
    pub fn of_stack(frames: impl IntoIterator<Item = FrameId>) -> Self {
        frames.into_iter().fold(Self::ROOT, |node, frame| node.child(frame))
    }
}
