//! `/metrics` of naming: what became of frames, workers and sources of names.

use super::metrics::Text;
use crate::run::AgentStatus;

pub(super) fn symbolize(text: &mut Text, status: &AgentStatus) {
    let counters = &status.symbolize;
    let values = [
        ("asked", counters.frames_asked),
        ("named", counters.frames_named),
        ("nameless", counters.frames_nameless),
        ("given back", counters.frames_given_back),
        ("cached", counters.frames_cached),
        ("without file", counters.frames_without_file),
        ("quarantined", counters.frames_quarantined),
    ];
    text.counters("names_total", "Frames on their way to a name", "result", &values);
    let values = [
        ("started", counters.worker.workers_started),
        ("start failed", counters.worker.worker_start_failures),
        ("died", counters.worker.worker_deaths),
        ("timed out", counters.worker.worker_timeouts),
    ];
    text.counters("workers_total", "Symbolize workers by what became of them", "event", &values);
    let help = "Requests that the worker refused";
    text.counter("worker_refusals_total", help, counters.worker.requests_refused);
    let help = "Files that killed or hung a worker twice and are left alone";
    text.counter("quarantined_total", help, counters.worker.images_quarantined);
    let values = [
        ("debug file", counters.worker.debug_files_refused),
        ("gnu_debugdata", counters.worker.debugdata_unreadable),
        ("go table", counters.worker.go_tables_unreadable),
        ("split dwarf", counters.worker.split_unreadable),
    ];
    let help = "Sources of names that were left out: another build, damaged, unknown or too large";
    text.counters("name_sources_refused_total", help, "source", &values);
    let help = "Frames of the files with the most frames that have no name, since the start";
    text.head("file_frames", "gauge", help);
    for file in &status.nameless_files {
        let module = file.file.replace('\\', "\\\\").replace('"', "\\\"");
        for (result, frames) in [("named", file.named), ("nameless", file.nameless)] {
            let build_id = &file.build_id;
            let labels =
                format!("{{file=\"{module}\",build_id=\"{build_id}\",result=\"{result}\"}}");
            text.value("file_frames", &labels, frames);
        }
    }
}
