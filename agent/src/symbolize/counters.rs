//! What naming counts.

use stoker_symbols::WorkerCounters;

/// Everything counted since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SymbolizeCounters {
    /// Frames that were put into the queue.
    pub frames_asked: u64,
    /// Frames that got a name.
    pub frames_named: u64,
    /// Frames for which the worker knew no name.
    pub frames_nameless: u64,
    /// Frames that did not fit into the queue and were given back.
    pub frames_given_back: u64,
    /// Frames that were known already when they were asked for.
    pub frames_cached: u64,
    /// Frames whose file could not be opened any more.
    pub frames_without_file: u64,
    /// Frames of images in quarantine.
    pub frames_quarantined: u64,
    /// What the thread that feeds the workers counted.
    pub worker: WorkerCounters,
}
