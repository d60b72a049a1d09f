//! The HTTP API over a real socket: what it answers, what it refuses and how it says so.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails says where")]

#[path = "http/answers.rs"]
mod answers;
#[path = "http/cache.rs"]
mod cache;
#[path = "http/capacity.rs"]
mod capacity;
#[path = "http/explore.rs"]
mod explore;
mod fixture;
#[path = "http/heatmap.rs"]
mod heatmap;
#[path = "http/lifecycle.rs"]
mod lifecycle;
#[path = "http/links.rs"]
mod links;
#[path = "http/openapi.rs"]
mod openapi;
#[path = "http/refusals.rs"]
mod refusals;
#[path = "http/stopping.rs"]
mod stopping;
#[path = "http/support.rs"]
mod support;
#[cfg(feature = "parquet")]
#[path = "http/tables.rs"]
mod tables;
