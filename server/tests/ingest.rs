//! Ingest over real sockets: what is acknowledged is stored once, and a stream that misbehaves ends
//! alone.

#![expect(clippy::unwrap_used, reason = "a test ends where its own set-up fails")]

#[path = "ingest/agent.rs"]
mod agent;
#[path = "ingest/bad.rs"]
mod bad;
#[path = "ingest/good.rs"]
mod good;
#[path = "ingest/overload.rs"]
mod overload;
#[path = "ingest/quarantine.rs"]
mod quarantine;
