//! `/metrics`: every counter of the agent. `docs/agent.md` has the table.
//!
//! The numbers are counted elsewhere; this writes one reading of them in the text format of
//! Prometheus (version 0.0.4), which needs no registry.

use std::fmt::{Display, Write as _};

use crate::run::{AgentStatus, UnwindStatus};
use crate::ship::ShipSnapshot;

/// Metrics as text.
#[derive(Default)]
pub(super) struct Text(String);

impl Text {
    pub(super) fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP stoker_agent_{name} {help}");
        let _ = writeln!(self.0, "# TYPE stoker_agent_{name} {kind}");
    }

    pub(super) fn value(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = writeln!(self.0, "stoker_agent_{name}{labels} {value}");
    }

    pub(super) fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, "counter", help);
        self.value(name, "", value);
    }

    pub(super) fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, "gauge", help);
        self.value(name, "", value);
    }

    /// One counter with one label and its values.
    pub(super) fn counters(&mut self, name: &str, help: &str, label: &str, values: &[(&str, u64)]) {
        self.head(name, "counter", help);
        self.by_label(name, label, values);
    }

    fn gauges(&mut self, name: &str, help: &str, label: &str, values: &[(&str, u64)]) {
        self.head(name, "gauge", help);
        self.by_label(name, label, values);
    }

    fn by_label(&mut self, name: &str, label: &str, values: &[(&str, u64)]) {
        for (of, value) in values {
            self.value(name, &format!("{{{label}=\"{of}\"}}"), value);
        }
    }
}

/// All metrics.
pub(super) fn text(status: &AgentStatus, shipped: &ShipSnapshot, waiting: (usize, u64)) -> String {
    let mut text = Text::default();
    let version = env!("CARGO_PKG_VERSION");
    text.head("info", "gauge", "Which agent this is, and what makes it sample");
    let source = status.source.map_or("unknown", crate::kernel::SampleSource::name);
    text.value("info", &format!("{{version=\"{version}\",source=\"{source}\"}}"), 1);
    sampling(&mut text, status);
    guard(&mut text, status);
    process(&mut text, status);
    super::names::symbolize(&mut text, status);
    ship(&mut text, shipped, waiting);
    text.0
}

fn sampling(text: &mut Text, status: &AgentStatus) {
    text.gauge(
        "frequency_hertz",
        "Samples per second and CPU now; 0 while off",
        status.frequency_hz,
    );
    text.gauge("frequency_asked_hertz", "Samples per second and CPU as asked for", status.asked_hz);
    let off = |of| u64::from(status.off == Some(of));
    let reasons = [crate::run::Off::KillSwitch, crate::run::Off::Budget, crate::run::Off::Failed];
    let reasons = reasons.map(|of| (of.reason(), off(of)));
    text.gauges("off", "Whether sampling is off, by reason", "reason", &reasons);
    let (stats, tally) = (&status.sampler, &status.tally);
    let help = "Samples by what became of them";
    let values = [("taken", tally.taken), ("counted", tally.counted), ("lost", tally.lost)];
    text.counters("samples_total", help, "result", &values);
    let values = [
        ("taken", stats.taken),
        ("lost", stats.lost),
        ("filtered", stats.filtered),
        ("idle", stats.idle),
    ];
    text.counters("fired_total", "Times that a CPU was interrupted to sample", "result", &values);
    let help = "Samples that the frequency called for";
    text.counter("samples_expected_total", help, stats.expected);
    let help = "Sample records that made no sense";
    text.counter("samples_malformed_total", help, stats.malformed);
    let quality = &status.quality;
    let values = [
        ("complete", quality.complete),
        ("truncated", quality.truncated),
        ("failed", quality.failed),
    ];
    text.counters("stacks_total", "Stacks by how far they were followed", "result", &values);
    unwind(text, &status.unwind);
    let help = "Samples whose user stack could not be read";
    text.counter("user_stack_failed_total", help, stats.user_stack_failed);
    let values =
        [("lost", stats.process_events_lost), ("malformed", stats.process_events_malformed)];
    text.counters("process_events_total", "Process events that are missing", "result", &values);
    text.counter("events_late_total", "Events that came after younger ones", stats.late);
    let help = "Children of a sampled process that found the target full";
    text.counter("children_missed_total", help, stats.children_missed);
}

fn unwind(text: &mut Text, status: &UnwindStatus) {
    let values: Vec<_> = status.totals.iter().map(|(of, count)| (of.name(), *count)).collect();
    text.counters("unwind_total", "User stacks by how they ended", "result", &values);
    let help = "User stacks with a frame that only a frame pointer vouches for";
    text.counter("unwind_guessed_total", help, status.guessed);
    let help = "User stacks that broke, by the file in which; the worst files only";
    text.head("unwind_broken_total", "counter", help);
    for (file, of, count) in &status.worst {
        let file = file.replace('\\', "\\\\").replace('"', "\\\"");
        let labels = format!("{{file=\"{file}\",result=\"{}\"}}", of.name());
        text.value("unwind_broken_total", &labels, count);
    }
    let loads = &status.loads;
    let values = [("processes", loads.processes), ("tables", loads.tables)];
    text.gauges("unwind_loaded", "What is loaded for the unwinder", "what", &values);
    let values = [("used", loads.used_bytes), ("room", loads.room_bytes)];
    text.gauges("unwind_memory_bytes", "Kernel memory for tables and mappings", "of", &values);
    let values = [
        ("compiled", loads.compiled),
        ("refused", loads.refused),
        ("queue full", loads.queue_full),
        ("no room", loads.no_room),
        ("evicted", loads.tables_evicted),
        ("process evicted", loads.processes_evicted),
        ("mapping dropped", loads.mappings_dropped),
        ("kernel refused", loads.store_failed),
    ];
    text.counters("unwind_tables_total", "Tables by what became of them", "event", &values);
    let seconds = std::time::Duration::from_nanos(loads.compile_ns).as_secs_f64();
    text.counter("unwind_compile_seconds_total", "Time that compiling tables took", seconds);
}

fn guard(text: &mut Text, status: &AgentStatus) {
    let usage = &status.usage;
    text.head("cpu_seconds_total", "counter", "CPU time that the agent used");
    let times =
        [("agent", usage.agent_ns), ("worker", usage.worker_ns), ("kernel", usage.kernel_ns)];
    for (of, ns) in times {
        let seconds = std::time::Duration::from_nanos(ns).as_secs_f64();
        text.value("cpu_seconds_total", &format!("{{of=\"{of}\"}}"), seconds);
    }
    let values = [
        ("agent", usage.resident_bytes),
        ("worker", usage.worker_bytes),
        ("rings", usage.ring_bytes),
    ];
    text.gauges("memory_bytes", "Memory that the agent holds", "of", &values);
    let cpu = f64::from(status.budget.cpu_percent.unwrap_or(0)) / 100.0;
    text.gauge("cpu_budget_cores", "CPU that the agent may use; 0 without a bound", cpu);
    let help = "Memory that the agent may use; 0 without a bound";
    text.gauge("memory_budget_bytes", help, status.budget.memory_bytes.unwrap_or(0));
    let naming = status.plan.is_none_or(|plan| plan.naming);
    text.gauge("naming", "Whether names are made now", u8::from(naming));
    let guarded = &status.guarded;
    let values = [
        ("frequency lowered", guarded.frequency_lowered),
        ("frequency raised", guarded.frequency_raised),
        ("naming paused", guarded.naming_paused),
        ("caches dropped", guarded.caches_dropped),
        ("rested", guarded.rests),
        ("kill switch", guarded.kill_switch_offs),
    ];
    text.counters("guard_total", "What was done for the sake of the host", "action", &values);
    text.counter("reloads_total", "Times that settings were reloaded", guarded.reloads);
}

fn process(text: &mut Text, status: &AgentStatus) {
    let counters = &status.process_counters;
    text.gauge("processes", "Processes that are known", status.processes);
    let help = "Processes that did not fit into the table";
    text.counter("processes_dropped_total", help, counters.processes_dropped);
    let help = "Mappings that did not fit or made no sense";
    text.counter("mappings_dropped_total", help, counters.mappings_dropped);
    let help = "Times that a process's mappings were read from /proc";
    text.counter("maps_read_total", help, counters.maps_read);
    let values = [
        ("unknown mapping", counters.frames_unknown_mapping),
        ("unreadable file", counters.frames_unreadable_file),
        ("process gone", counters.frames_process_gone),
        ("unknown kernel address", counters.kernel.unknown),
    ];
    text.counters("frames_failed_total", "Frames without a place", "reason", &values);
    let values = [("read", counters.perf_maps_read), ("forgotten", counters.perf_maps_forgotten)];
    text.counters("perf_maps_total", "Perf maps by what was done", "action", &values);
    let values = [("inherited", counters.meta_inherited), ("missing", counters.meta_missing)];
    text.counters("labels_gone_total", "Processes gone before their labels", "result", &values);
    let binaries = &counters.binaries;
    let values = [
        ("read", binaries.files_read),
        ("unopened", binaries.unopened),
        ("mismatched", binaries.mismatched),
        ("not elf", binaries.not_elf),
        ("malformed", binaries.malformed),
    ];
    text.counters(
        "binaries_total",
        "Mapped files by what they were found to be",
        "result",
        &values,
    );
    let help = "Times that all binaries were forgotten at their bound";
    text.counter("binaries_cleared_total", help, binaries.cleared);
    let help = "Times that the kernel's images were read again";
    text.counter("kernel_rereads_total", help, counters.kernel.rereads);
}

fn ship(text: &mut Text, shipped: &ShipSnapshot, (batches, bytes): (usize, u64)) {
    let values = [
        ("acked", shipped.batches_acked),
        ("duplicate", shipped.batches_duplicate),
        ("refused", shipped.batches_refused),
    ];
    text.counters("batches_total", "Batches by what the server said", "result", &values);
    let values = [("acked", shipped.samples_acked), ("refused", shipped.samples_refused)];
    text.counters("shipped_samples_total", "Samples of those batches", "result", &values);
    text.counter("shipped_rows_total", "Sample rows of acknowledged batches", shipped.rows_acked);
    let help = "Encoded bytes that were sent, before compression";
    text.counter("sent_bytes_total", help, shipped.bytes_sent);
    let values = [("opened", shipped.streams_opened), ("broken", shipped.streams_broken)];
    text.counters("streams_total", "Streams to the server", "event", &values);
    text.gauge("spool_batches", "Batches that wait for the server", batches);
    text.gauge("spool_bytes", "Bytes of those batches", bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<&str> {
        let kinds = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        kinds.filter_map(|line| line.split(' ').next()).collect()
    }

    #[test]
    fn every_metric_is_typed_once_and_in_the_table() {
        let text = text(&AgentStatus::default(), &ShipSnapshot::default(), (0, 0));
        let mut names = names(&text);
        let docs = include_str!("../../../docs/agent.md");
        for name in &names {
            assert!(docs.contains(&format!("`{name}`")), "docs/agent.md does not know {name}");
        }
        for word in docs.split('`').filter(|word| word.starts_with("stoker_agent_")) {
            let known = word.split('{').next().unwrap_or_default();
            assert!(names.contains(&known), "docs/agent.md knows {known}, which is gone");
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let value = line.rsplit_once(' ').map(|(_, value)| value.parse::<f64>().is_ok());
            assert_eq!(value, Some(true), "{line}");
        }
    }
}
