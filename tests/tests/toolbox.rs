//! The toolbox as people use it: real binaries, real programs, real files.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "toolbox/diff.rs"]
mod diff;
#[path = "toolbox/files.rs"]
mod files;
#[path = "toolbox/help.rs"]
mod help;
#[path = "toolbox/over_time.rs"]
mod over_time;
#[path = "toolbox/own.rs"]
mod own;
#[path = "toolbox/push.rs"]
mod push;
#[path = "toolbox/record.rs"]
mod record;
#[path = "toolbox/spread.rs"]
mod spread;
#[path = "toolbox/support.rs"]
mod support;
