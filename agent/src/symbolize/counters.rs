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
    /// Requests that the worker refused, because the file was another build or unreadable or the
    /// answer too large.
    pub requests_refused: u64,
    /// Workers started.
    pub workers_started: u64,
    /// Workers that could not be started, or were none.
    pub worker_start_failures: u64,
    /// Workers that died with a request unanswered.
    pub worker_deaths: u64,
    /// Workers killed because they did not answer in time.
    pub worker_timeouts: u64,
    /// Images put into quarantine.
    pub images_quarantined: u64,
    /// Files that lay where debug information may lie and did not belong to the image.
    pub debug_files_refused: u64,
    /// `.gnu_debugdata` that could not be unpacked.
    pub debugdata_unreadable: u64,
    /// Go function tables that could not be read.
    pub go_tables_unreadable: u64,
    /// Split DWARF that was missing, or could not be read.
    pub split_unreadable: u64,
}

impl SymbolizeCounters {
    /// Adds what the thread that feeds the workers counted.
    pub(super) fn add(&mut self, counted: WorkerCounters) {
        self.requests_refused += counted.requests_refused;
        self.workers_started += counted.workers_started;
        self.worker_start_failures += counted.worker_start_failures;
        self.worker_deaths += counted.worker_deaths;
        self.worker_timeouts += counted.worker_timeouts;
        self.images_quarantined += counted.images_quarantined;
        self.debug_files_refused += counted.debug_files_refused;
        self.debugdata_unreadable += counted.debugdata_unreadable;
        self.go_tables_unreadable += counted.go_tables_unreadable;
        self.split_unreadable += counted.split_unreadable;
    }
}
