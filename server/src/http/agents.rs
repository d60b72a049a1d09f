//! `/api/v1/agents`: who sends, and how well it goes.

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;

use super::Shared;
use super::error::ApiError;
use super::params::Params;

/// One agent, as `docs/api.md` describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AgentEntry {
    /// What its host calls itself.
    pub host: String,
    /// Names the host for as long as its machine id lasts.
    pub host_id: String,
    /// The agent's version.
    pub version: String,
    /// When its last batch came.
    pub last_seen_ms: u64,
    /// CPUs of the host.
    pub cpus: u32,
    /// `cycles` or `cpu-clock`.
    pub sample_source: String,
    /// Samples per second and CPU.
    pub frequency_hz: u32,
    /// Samples that its kernel took.
    pub samples_taken: u64,
    /// Samples that are in no row.
    pub samples_lost: u64,
    /// How its stacks ended.
    pub unwind: UnwindCounts,
}

/// How stacks ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct UnwindCounts {
    /// At their thread's start.
    pub complete: u64,
    /// At the limit of depth.
    pub truncated: u64,
    /// Where they could not be followed.
    pub failed: u64,
}

#[derive(Serialize)]
pub(super) struct Agents {
    agents: Vec<AgentEntry>,
}

pub(super) async fn agents(
    State(app): State<Shared>,
    RawQuery(raw): RawQuery,
) -> Result<Json<Agents>, ApiError> {
    Params::read(raw.as_deref())?.finish()?;
    let mut agents = app.backend.agents();
    agents.sort_by(|a, b| (&a.host, &a.host_id).cmp(&(&b.host, &b.host_id)));
    Ok(Json(Agents { agents }))
}
