//! See docs/architecture.md.

pub mod aggregate;
pub mod guard;
pub mod kernel;
pub mod process;
pub mod run;
pub mod ship;
pub mod symbolize;
