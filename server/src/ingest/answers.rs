//! The last words to an agent whose stream ends: what was wrong, and what to do.

use std::sync::Arc;
use std::time::Duration;

use stoker_dag::UnixNanos;
use stoker_wire::proto::push_response::Message as Out;
use stoker_wire::{BatchBody, WireError, proto};
use tonic::Status;

use super::metrics::RefusalCode;
use crate::store::{BatchSource, SpoolId, StoreError};

/// How far ahead of the server's clock a batch may begin.
pub const MAX_FUTURE: Duration = Duration::from_secs(600);
/// How long an agent should wait before it sends again what could not be stored.
const RETRY_AFTER_MS: u32 = 2000;
/// The longest host name or version; a host name has at most 253 bytes, RFC 1035.
const MAX_HELLO_TEXT: usize = 256;

/// How a batch is called that a panic came up over.
pub(super) const CRASHED: &str = RefusalCode::Crashed.as_str();

/// Why a stream ends.
pub(super) enum End {
    /// The agent closed it, or is gone.
    Closed,
    /// The last word to the agent.
    Answer(Out, RefusalCode),
    /// The connection is broken or the message could not be read.
    Status(Status),
}

pub(super) fn source_of(hello: &proto::Hello) -> Result<BatchSource, End> {
    let id = |bytes: &[u8], what| <[u8; 16]>::try_from(bytes).map_err(|_| bad_hello(what));
    for text in [&hello.host_name, &hello.agent_version] {
        if text.len() > MAX_HELLO_TEXT {
            return Err(bad_hello("a text of Hello is longer than 256 bytes"));
        }
    }
    Ok(BatchSource {
        spool_id: SpoolId(id(&hello.spool_id, "a spool id has 16 bytes")?),
        host_id: id(&hello.host_id, "a host id has 16 bytes")?,
        host_name: Arc::from(hello.host_name.as_str()),
    })
}

pub(super) fn check_time(body: &BatchBody, now: UnixNanos) -> Result<(), End> {
    let now = now.0;
    let future = u64::try_from(MAX_FUTURE.as_nanos()).unwrap_or(u64::MAX);
    if body.start.0 <= now.saturating_add(future) {
        return Ok(());
    }
    let ahead_s = (body.start.0 - now) / 1_000_000_000;
    let message = format!("the batch begins {ahead_s} s in the future");
    Err(refused(body.sequence, RefusalCode::Future, message, "set the clock of the host"))
}

fn refused(sequence: u64, code: RefusalCode, message: String, hint: &str) -> End {
    let hint = hint.to_owned();
    let refused = proto::Refused { sequence, code: code.as_str().to_owned(), message, hint };
    End::Answer(Out::Refused(refused), code)
}

pub(super) fn bad_hello(message: &str) -> End {
    refused(0, RefusalCode::BadHello, message.to_owned(), "is this an agent of Stoker?")
}

pub(super) fn wire_answer(sequence: u64, error: &WireError) -> End {
    let message = error.to_string();
    let report = "the agent has an error: please report it";
    match error {
        WireError::UnknownId { dictionary, id } => {
            let unknown =
                proto::UnknownId { sequence, dictionary: (*dictionary).to_owned(), id: *id };
            End::Answer(Out::Unknown(unknown), RefusalCode::UnknownId)
        }
        WireError::TooLarge { .. } => {
            let hint = "send smaller batches, or open a new stream";
            refused(sequence, RefusalCode::TooLarge, message, hint)
        }
        WireError::Malformed(_) => refused(sequence, RefusalCode::Malformed, message, report),
    }
}

/// Only what can never be stored is refused; the rest is to be sent again.
pub(super) fn store_answer(sequence: u64, error: &StoreError) -> End {
    match error {
        StoreError::TooLarge(_) => {
            let hint = "send smaller batches";
            refused(sequence, RefusalCode::TooLarge, error.to_string(), hint)
        }
        StoreError::TooManySeries { .. } => {
            let hint = "a label has too many values: make it an attribute";
            refused(sequence, RefusalCode::TooManySeries, error.to_string(), hint)
        }
        StoreError::BeyondRetention { .. } => {
            let hint = "the server keeps less than the agent's spool: --retain-functions";
            refused(sequence, RefusalCode::BeyondRetention, error.to_string(), hint)
        }
        StoreError::Crashed { .. } => {
            let hint = "the server has kept the batch in set-aside/: please report it with it";
            refused(sequence, RefusalCode::Crashed, error.to_string(), hint)
        }
        StoreError::Closed => End::Status(Status::unavailable("the server is stopping")),
        _ => {
            tracing::error!(%error, sequence, "a batch could not be stored; the agent keeps it");
            busy(sequence)
        }
    }
}

/// Not now: the agent sends the batch again, on a new stream.
pub(super) fn busy(sequence: u64) -> End {
    let busy = proto::Busy { sequence, retry_after_ms: RETRY_AFTER_MS };
    End::Answer(Out::Busy(busy), RefusalCode::Busy)
}
