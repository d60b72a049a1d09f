//! Ingest over real sockets: what is acknowledged is stored once, and a stream that misbehaves ends
//! alone.

#[path = "ingest/agent.rs"]
mod agent;
#[path = "ingest/bad.rs"]
mod bad;
#[path = "ingest/good.rs"]
mod good;
