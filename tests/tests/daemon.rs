//! The agent as a daemon one can trust: budgets, kill switch, rights, reloads, the end.
//!
//! Everything here runs the real binary on the real kernel. The soak test is long and runs with
//! `cargo test -p stoker-tests --test daemon -- --ignored soak` (`STOKER_SOAK_SECONDS`, 600 unless
//! it is set).

#![expect(clippy::unwrap_used, reason = "a test may fail by panic")]

#[path = "daemon/budget.rs"]
mod budget;
#[path = "daemon/control.rs"]
mod control;
#[path = "daemon/rights.rs"]
mod rights;
#[path = "daemon/soak.rs"]
mod soak;
#[path = "daemon/support.rs"]
mod support;
#[path = "daemon/units.rs"]
mod units;
