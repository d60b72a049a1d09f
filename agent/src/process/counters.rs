//! What the process table counts, so that nothing is dropped in silence.

use super::binary::BinaryCounters;
use super::kernel_map::KernelCounters;

/// Everything counted since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProcessCounters {
    /// Processes that did not fit into the table.
    pub processes_dropped: u64,
    /// Mappings that did not fit, or made no sense.
    pub mappings_dropped: u64,
    /// Times that a process's mappings were read from `/proc`, at the start or because an address
    /// lay in none that was known.
    pub maps_read: u64,
    /// User frames of an unknown mapping.
    pub frames_unknown_mapping: u64,
    /// User frames of a file that could not be read.
    pub frames_unreadable_file: u64,
    /// User frames of a process that had gone before anything was known of it.
    pub frames_process_gone: u64,
    /// Perf maps that were read, or read again.
    pub perf_maps_read: u64,
    /// Perf maps whose memory was given back at the bound on all of them together.
    pub perf_maps_forgotten: u64,
    /// Processes that took over labels from their parent, because they had gone.
    pub meta_inherited: u64,
    /// Processes that had gone and left no labels but their command name.
    pub meta_missing: u64,
    /// How files were found.
    pub binaries: BinaryCounters,
    /// How kernel addresses were resolved.
    pub kernel: KernelCounters,
}
