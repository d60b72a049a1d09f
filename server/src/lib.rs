//! See docs/architecture.md.

pub mod store;
