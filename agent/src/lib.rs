//! See docs/architecture.md.

pub mod aggregate;
pub mod doctor;
pub mod guard;
pub mod http;
pub mod kernel;
pub mod privileges;
pub mod process;
pub mod run;
pub mod ship;
pub mod symbolize;
pub mod unwind;
