//! Unwinding native stacks by tables.

pub mod compile;
