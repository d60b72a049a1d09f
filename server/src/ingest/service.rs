//! The gRPC service: hands each stream to a task of its own.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use stoker_wire::proto::profile_ingest_server::{ProfileIngest, ProfileIngestServer};
use stoker_wire::proto::{PushRequest, PushResponse};
use stoker_wire::{BatchBody, Decoder, WireError, limits, proto};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codec::CompressionEncoding;
use tonic::{Request, Response, Status, Streaming};

use super::agents::Agents;
use super::metrics::IngestMetrics;
use super::push::{MAX_UNACKED, Stream};
use crate::store::{Store, TenantId};

/// What all streams share.
#[derive(Debug)]
pub struct Ingest {
    pub(super) store: Store,
    pub(super) agents: Agents,
    pub(super) metrics: Arc<IngestMetrics>,
    pub(super) decode: DecodeBatch,
}

/// How batches are decoded. A seam, so that a test can put an error there that no batch is known to
/// bring up.
pub type DecodeBatch = fn(&mut Decoder, &proto::Batch) -> Result<BatchBody, WireError>;

/// The service over a store. Batches larger than `MAX_BATCH_BYTES`, compressed or decompressed, are
/// refused by tonic before they are decoded.
#[must_use]
pub fn service(
    store: Store,
    agents: Agents,
    metrics: Arc<IngestMetrics>,
) -> ProfileIngestServer<Ingest> {
    service_decoding(store, agents, metrics, Decoder::decode)
}

/// As [`service`], with another decoder of batches.
#[must_use]
pub fn service_decoding(
    store: Store,
    agents: Agents,
    metrics: Arc<IngestMetrics>,
    decode: DecodeBatch,
) -> ProfileIngestServer<Ingest> {
    ProfileIngestServer::new(Ingest { store, agents, metrics, decode })
        .max_decoding_message_size(limits::MAX_BATCH_BYTES)
        .accept_compressed(CompressionEncoding::Zstd)
}

/// Counts an open stream for as long as it lasts.
struct OpenStream(Arc<IngestMetrics>);

impl OpenStream {
    fn new(metrics: &Arc<IngestMetrics>) -> Self {
        metrics.streams.fetch_add(1, Ordering::Relaxed);
        metrics.streams_open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(metrics))
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.streams_open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[tonic::async_trait]
impl ProfileIngest for Ingest {
    type PushStream = ReceiverStream<Result<PushResponse, Status>>;

    async fn push(
        &self,
        request: Request<Streaming<PushRequest>>,
    ) -> Result<Response<Self::PushStream>, Status> {
        // One answer per batch in line, and the last word.
        let (answers, stream) = mpsc::channel(MAX_UNACKED + 2);
        let ingest = Self {
            store: self.store.clone(),
            agents: self.agents.clone(),
            metrics: Arc::clone(&self.metrics),
            decode: self.decode,
        };
        let open = OpenStream::new(&self.metrics);
        let requests = request.into_inner();
        tokio::spawn(async move {
            let ended =
                Stream::new(&ingest, TenantId::default_tenant(), answers.clone()).run(requests);
            if let Err(status) = ended.await {
                // An agent that is gone does not hear it.
                let _ = answers.send(Err(status)).await;
            }
            drop(open);
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}
