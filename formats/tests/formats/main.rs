//! What is written sums to what was there and comes back; what is read agrees with others; hostile
//! input is refused or harmless.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails says where")]

mod hostile;
mod oracle;
mod perf;
mod pprof_rules;
mod round_trips;
mod support;
mod testdata;
mod writers;
