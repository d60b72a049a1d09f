//! As few rights as work: what the agent gives up before it looks at anybody's files.
//!
//! It reads what every process on the host has mapped, so it is worth attacking. What it does not
//! hold cannot be taken from it: all capabilities but [`KEPT`] go before the first thread starts,
//! from the bounding set too, so that no program that it starts gets them back; no new ones can be
//! gained; and once sampling runs, system calls that it does not need fail with `ENOSYS`.
//!
//! Process-wide and for good, so only the daemon does it: `stoker up` hosts a server too.

mod capabilities;
mod seccomp;

pub use capabilities::{KEPT, PrivilegeError, give_up_capabilities, names};
pub use seccomp::give_up_system_calls;
