//! Stoker's server: takes batches from agents, keeps them, and answers questions about them.
//!
//! `ingest` verifies what agents send and hands it to `store`, which acknowledges once it is on
//! disk; `query` folds what the store holds, with names from what `symbols` was given; `http` answers
//! with it. Each knows only those before it, but for `query`, which asks through a trait. [`start`] puts them together, in this process or in `stoker up`'s.
//!
//! It refuses to be reached from elsewhere unless told so: both addresses are loopback by default,
//! and any other needs [`ServerConfig::insecure`], since nothing is encrypted yet and nobody is
//! asked who they are.

#![forbid(unsafe_code)]

pub mod annotations;
pub mod config;
pub mod http;
pub mod ingest;
pub mod links;
pub mod query;
mod serve;
pub mod store;
mod store_backend;
pub mod symbols;
pub mod upkeep;

pub use config::ServerConfig;
pub use serve::{RunningServer, ServerError, start};
