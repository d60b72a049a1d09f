//! The store as the HTTP API sees it: one tenant's rows, the agents, and what is counted.

use std::sync::Arc;

use crate::annotations::Annotations;
use crate::http::{AgentEntry, Backend, Metric, MetricKind, NameCounts, UnwindCounts};
use crate::ingest::{Agent, Agents, IngestCounts, IngestMetrics, RefusalCode};
use crate::links::{LinkCounts, Links};
use crate::query::{Parts, TenantParts};
use crate::store::{StoreError, StoreMetrics};
use crate::symbols::{NamedParts, SymbolCounts};

/// A server's data.
pub(crate) struct StoreBackend {
    pub(crate) parts: NamedParts,
    pub(crate) agents: Agents,
    pub(crate) annotations: Annotations,
    pub(crate) links: Links,
    pub(crate) ingest: Arc<IngestMetrics>,
}

type Read = fn(&StoreMetrics) -> u64;

/// What the store counts, in the order of `docs/operations.md`.
const METRICS: [(&str, MetricKind, &str, Read); 29] = {
    use MetricKind::{Counter, Gauge};
    [
        ("store_batches", Counter, "Batches that were made durable", |m| m.batches),
        ("store_rows", Counter, "Rows that were made durable", |m| m.rows),
        (
            "store_duplicates",
            Counter,
            "Batches that had been stored before and were not stored again",
            |m| m.duplicates,
        ),
        ("store_log_bytes", Counter, "Bytes written to logs", |m| m.log_bytes),
        ("store_log_syncs", Counter, "Syncs of logs", |m| m.log_syncs),
        ("store_log_failures", Counter, "Logs that could not be written or synced", |m| {
            m.log_failures
        }),
        ("store_logs_waiting", Gauge, "Logs that wait to be sealed", |m| m.logs_waiting),
        (
            "store_logs_left",
            Gauge,
            "Logs that an error in this server keeps from being sealed: their rows are missing from answers",
            |m| m.logs_left,
        ),
        ("store_segments_sealed", Counter, "Segments that were written", |m| m.segments_sealed),
        ("store_seal_failures", Counter, "Attempts to write a segment that failed", |m| {
            m.seal_failures
        }),
        (
            "store_seals_held_up",
            Counter,
            "Logs that were sealed later because merging was far behind",
            |m| m.seals_held_up,
        ),
        ("store_segments", Gauge, "Segments that there are", |m| m.segments),
        ("store_segment_bytes", Gauge, "Bytes of all segments", |m| m.segment_bytes),
        ("store_segment_rows", Gauge, "Rows of all segments", |m| m.segment_rows),
        (
            "store_read_failures",
            Counter,
            "Segments that could not be read when asked: their rows are missing from answers",
            |m| m.read_failures,
        ),
        (
            "store_set_aside",
            Gauge,
            "Damaged files that were set aside when the store was opened",
            |m| m.set_aside,
        ),
        ("store_merges", Counter, "Times that small segments were merged into one", |m| {
            m.compactions
        }),
        (
            "store_segments_expired",
            Counter,
            "Segments that were removed: too old, or the disk's share was used up",
            |m| m.segments_expired,
        ),
        ("store_rows_expired", Counter, "Rows of segments that were removed", |m| m.rows_expired),
        (
            "store_segments_rolled",
            Counter,
            "Segments that were summed up by the hour or by function",
            |m| m.segments_rolled,
        ),
        ("store_rows_rolled", Counter, "Rows that were summed up", |m| m.rows_rolled),
        (
            "store_maintenance_failures",
            Counter,
            "Attempts to merge or remove segments that failed; nothing is lost by that",
            |m| m.maintenance_failures,
        ),
        ("store_disk_used_bytes", Gauge, "Bytes of logs and segments", |m| m.disk_used_bytes),
        ("store_disk_free_bytes", Gauge, "Bytes that the disk has left", |m| m.disk_free_bytes),
        ("store_logs_memory_bytes", Gauge, "Memory of logs that are not sealed yet", |m| {
            m.logs_memory_bytes
        }),
        (
            "store_read_only",
            Gauge,
            "1 where the data folder's disk is read-only and nothing is stored",
            |m| m.is_read_only,
        ),
        (
            "store_batches_quarantined",
            Counter,
            "Batches that could not be decoded and were set aside",
            |m| m.batches_quarantined,
        ),
        (
            "store_attributes_dropped_rows",
            Counter,
            "Rows that were stored without their attributes: there were too many sets of them",
            |m| m.attributes_dropped,
        ),
        ("store_definitions", Gauge, "Frames that have a name", |m| m.definitions),
    ]
};

type ReadSymbols = fn(&SymbolCounts) -> u64;

/// What pushed debug information counts.
const SYMBOL_METRICS: [(&str, MetricKind, &str, ReadSymbols); 11] = {
    use MetricKind::{Counter, Gauge};
    [
        ("symbols_files", Gauge, "Files of debug information that are kept", |m| m.files),
        ("symbols_bytes", Gauge, "Bytes of all files of debug information", |m| m.bytes),
        ("symbols_pushed", Counter, "Files of debug information that were taken", |m| m.pushed),
        ("symbols_refused", Counter, "Files of debug information that were refused", |m| m.refused),
        (
            "symbols_evicted",
            Counter,
            "Files of debug information that went to make room (--max-symbols)",
            |m| m.evicted,
        ),
        (
            "symbols_unreadable",
            Gauge,
            "Files of debug information that could not be read at the start",
            |m| m.unreadable,
        ),
        ("symbols_frames_named", Counter, "Frames named from pushed files", |m| m.named),
        (
            "symbols_frames_nameless",
            Counter,
            "Frames for which the pushed file of their build has no name",
            |m| m.nameless,
        ),
        (
            "symbols_frames_unanswered",
            Counter,
            "Frames that were not looked up in the time of their query",
            |m| m.unanswered,
        ),
        (
            "symbols_frames_quarantined",
            Counter,
            "Frames of pushed files that are left alone because they killed workers",
            |m| m.quarantined,
        ),
        (
            "symbols_worker_failures",
            Counter,
            "Workers that died over a pushed file or did not answer in time",
            |m| m.worker_failures,
        ),
    ]
};

type ReadLinks = fn(&LinkCounts) -> u64;

/// What short links count.
const LINK_METRICS: [(&str, MetricKind, &str, ReadLinks); 5] = {
    use MetricKind::{Counter, Gauge};
    [
        ("links", Gauge, "Short links that are kept", |m| m.links),
        ("links_bytes", Gauge, "Bytes of the data of all short links", |m| m.bytes),
        ("links_made", Counter, "Short links that were made", |m| m.made),
        ("links_evicted", Counter, "Short links that went to make room (--max-links)", |m| {
            m.evicted
        }),
        ("links_unreadable", Gauge, "Short links that could not be read at the start", |m| {
            m.unreadable
        }),
    ]
};

type ReadIngest = fn(&IngestCounts) -> u64;

/// What ingest counts.
const INGEST_METRICS: [(&str, MetricKind, &str, ReadIngest); 8] = {
    use MetricKind::{Counter, Gauge};
    [
        ("ingest_streams_open", Gauge, "Streams of agents that are open", |m| m.streams_open),
        ("ingest_streams", Counter, "Streams that were ever opened", |m| m.streams),
        ("ingest_batches", Counter, "Batches that were stored", |m| m.batches),
        ("ingest_duplicates", Counter, "Batches that had been stored before", |m| m.duplicates),
        ("ingest_rows", Counter, "Rows of batches that were stored", |m| m.rows),
        ("ingest_samples", Counter, "Samples of batches that were stored", |m| m.samples),
        ("ingest_streams_memory_bytes", Gauge, "Memory of the dictionaries of all streams", |m| {
            m.stream_bytes
        }),
        ("ingest_bytes", Counter, "Bytes of all batches that came, decompressed", |m| m.bytes),
    ]
};

impl StoreBackend {
    fn refusals(&self) -> impl Iterator<Item = Metric> {
        RefusalCode::ALL.into_iter().map(|code| Metric {
            name: "ingest_refusals",
            help: "Streams and batches that were refused, by reason",
            kind: MetricKind::Counter,
            label: Some(("code", code.as_str())),
            value: self.ingest.refused(code),
        })
    }
}

impl Backend for StoreBackend {
    fn parts(&self) -> &dyn Parts {
        &self.parts
    }

    fn writable(&self) -> Option<TenantParts> {
        Some(self.parts.rows.clone())
    }

    fn symbols(&self) -> Option<NamedParts> {
        Some(self.parts.clone())
    }

    fn annotations(&self) -> Option<Annotations> {
        Some(self.annotations.clone())
    }

    fn links(&self) -> Option<Links> {
        Some(self.links.clone())
    }

    fn agents(&self) -> Vec<AgentEntry> {
        self.agents.list(&self.parts.rows.tenant).iter().map(entry).collect()
    }

    fn metrics(&self) -> Vec<Metric> {
        let counted = self.parts.rows.store.metrics();
        let store =
            METRICS.iter().map(|(name, kind, help, read)| (name, kind, help, read(&counted)));
        let counted = self.ingest.counts();
        let ingest = INGEST_METRICS
            .iter()
            .map(|(name, kind, help, read)| (name, kind, help, read(&counted)));
        let counted = self.parts.symbols.counts();
        let symbols = SYMBOL_METRICS
            .iter()
            .map(|(name, kind, help, read)| (name, kind, help, read(&counted)));
        let counted = self.links.counts();
        let links =
            LINK_METRICS.iter().map(|(name, kind, help, read)| (name, kind, help, read(&counted)));
        let plain =
            store.chain(ingest).chain(symbols).chain(links).map(|(name, kind, help, value)| {
                Metric { name, help, kind: *kind, label: None, value }
            });
        plain.chain(self.refusals()).collect()
    }

    fn troubles(&self) -> Vec<String> {
        self.parts.rows.store.left_logs()
    }

    fn ready(&self) -> Result<(), String> {
        self.parts.rows.store.ready().map_err(|error| match error {
            StoreError::Closed => "The store is closing: ask again when it has restarted.".into(),
            other => format!("Queries are answered, batches are not taken: {other}."),
        })
    }
}

fn entry(agent: &Agent) -> AgentEntry {
    let host_id = agent.host_id.iter().map(|byte| format!("{byte:02x}")).collect();
    AgentEntry {
        host: agent.host.to_string(),
        host_id,
        version: agent.version.to_string(),
        last_seen_ms: agent.last_seen.0 / 1_000_000,
        cpus: agent.cpus,
        sample_source: agent.sample_source.to_string(),
        frequency_hz: agent.frequency_hz,
        samples_taken: agent.samples_taken,
        samples_lost: agent.samples_lost,
        unwind: UnwindCounts {
            complete: agent.unwind.complete,
            truncated: agent.unwind.truncated,
            failed: agent.unwind.failed,
        },
        names: NameCounts {
            named: agent.trouble.frames.named,
            nameless: agent.trouble.frames.nameless,
        },
        broken: agent.trouble.broken().collect(),
        nameless: agent.trouble.nameless().collect(),
    }
}
