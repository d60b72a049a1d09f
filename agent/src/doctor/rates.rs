//! How stacks were followed and frames named, per file: from a running agent's metrics, or from a
//! few seconds of sampling. Pure; [`super::stacks`] gets it.

use stoker_unwind::Outcome;
use stoker_wire::FileNames;

use super::Finding;
use crate::run::UnwindStatus;
use crate::symbolize::NamingNews;

/// Fewer whole stacks, or names, than this part are worth looking into.
const FEW: f64 = 0.95;
/// Fewer stacks or frames than this say nothing.
pub(super) const COUNT_MIN: u64 = 200;
/// Files that are listed, of each kind.
const FILES_SHOWN: usize = 5;

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rates {
    /// User stacks by how they ended.
    pub totals: Vec<(Outcome, u64)>,
    /// Where they broke, the worst first.
    pub worst: Vec<(String, Outcome, u64)>,
    /// Frames that got a name.
    pub named: u64,
    /// Frames for which there is none.
    pub nameless: u64,
    /// The files of those.
    pub files: Vec<FileNames>,
}

impl Rates {
    pub(super) fn of(unwind: &UnwindStatus, names: &NamingNews) -> Self {
        let worst = unwind.worst.iter().map(|(file, why, count)| (file.to_string(), *why, *count));
        let mut files = names.files.clone();
        files.sort_by(|a, b| b.nameless.cmp(&a.nameless).then_with(|| a.file.cmp(&b.file)));
        Self {
            totals: unwind.totals.clone(),
            worst: worst.collect(),
            named: names.named,
            nameless: names.nameless,
            files,
        }
    }

    /// Reads them from an agent's metrics. What is not understood is passed over.
    pub(super) fn read(metrics: &str) -> Self {
        let mut rates = Self::default();
        for line in metrics.lines().filter_map(Line::read) {
            rates.take(&line);
        }
        rates
    }

    fn take(&mut self, line: &Line<'_>) {
        let outcome = || Outcome::ALL.into_iter().find(|of| of.name() == line.label("result"));
        match line.name {
            "unwind_total" => self.totals.extend(outcome().map(|of| (of, line.value))),
            "unwind_broken_total" => {
                let file = line.label("file");
                self.worst.extend(outcome().map(|of| (file, of, line.value)));
            }
            "names_total" if line.label("result") == "named" => self.named = line.value,
            "names_total" if line.label("result") == "nameless" => self.nameless = line.value,
            "file_frames" => self.take_file(line),
            _ => {}
        }
    }

    fn take_file(&mut self, line: &Line<'_>) {
        let (file, build_id) = (line.label("file"), line.label("build_id"));
        let known = |held: &FileNames| *held.file == *file && *held.build_id == *build_id;
        let at = self.files.iter().position(known).unwrap_or_else(|| {
            let (file, build_id) = (file.as_str().into(), build_id.as_str().into());
            self.files.push(FileNames { file, build_id, named: 0, nameless: 0 });
            self.files.len() - 1
        });
        match line.label("result").as_str() {
            "named" => self.files[at].named = line.value,
            _ => self.files[at].nameless = line.value,
        }
    }

    /// What is to be said; `source` says what was looked at.
    pub(super) fn findings(&self, source: &str) -> Vec<Finding> {
        let mut findings = vec![self.stacks(source)];
        let all = self.by_tables();
        for (file, why, count) in self.worst.iter().take(FILES_SHOWN) {
            let file = if file.is_empty() { "code without a file" } else { file };
            let share = percent(*count, all);
            let found = format!("{count} stacks ({share}) broke in {file}: {}", reason(*why));
            findings.push(Finding::info("broken stacks", found));
        }
        findings.push(self.names());
        for FileNames { file, build_id, named, nameless } in self.files.iter().take(FILES_SHOWN) {
            let build = build_id.rsplit(':').next().unwrap_or_default();
            let build = build.get(..12).unwrap_or(build);
            let found = format!("{file} {build}: {nameless} of {} frames", named + nameless);
            findings.push(Finding::info("without names", found));
        }
        findings
    }

    fn count(&self, of: Outcome) -> u64 {
        self.totals.iter().filter(|(outcome, _)| *outcome == of).map(|(_, count)| count).sum()
    }

    /// Stacks that were followed by tables.
    fn by_tables(&self) -> u64 {
        let all: u64 = self.totals.iter().map(|(_, count)| count).sum();
        all - self.count(Outcome::FramePointers)
    }

    fn stacks(&self, source: &str) -> Finding {
        const NAME: &str = "whole stacks";
        let (complete, all) = (self.count(Outcome::Complete), self.by_tables());
        let mut found =
            format!("{} of {all} user stacks reach their thread's start", percent(complete, all));
        if let early @ 1.. = self.count(Outcome::FramePointers) {
            found +=
                &format!("; {early} more were taken before the tables of their process were there");
        }
        found += &format!(" ({source})");
        let mend = "callers are missing from flame graphs: see below in which files, and why";
        judge(NAME, found, complete, all, mend)
    }

    fn names(&self) -> Finding {
        const NAME: &str = "names";
        let all = self.named + self.nameless;
        let found = format!("{} of {all} frames have one", percent(self.named, all));
        let mend = "install debug symbols of the files below on this host, or give them to the \
                    server with `stoker symbols push FILE`";
        judge(NAME, found, self.named, all, mend)
    }
}

fn judge(name: &str, found: String, good: u64, all: u64, mend: &str) -> Finding {
    match all {
        ..COUNT_MIN => Finding::info(name, format!("{found}: too few to judge by")),
        _ if share(good, all) < FEW => Finding::degraded(name, found, mend),
        _ => Finding::fine(name, found),
    }
}

#[expect(clippy::cast_precision_loss, reason = "for a share")]
fn share(part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { part as f64 / all as f64 }
}

fn percent(part: u64, all: u64) -> String {
    format!("{:.1} %", 100.0 * share(part, all))
}

/// Why a stack ends there, for people.
fn reason(why: Outcome) -> &'static str {
    match why {
        Outcome::FramePointers => "followed by frame pointers",
        Outcome::Complete => "it did not",
        Outcome::TooDeep => "deeper than is kept",
        Outcome::NoMapping => "a return address points to no code of the process",
        Outcome::NoTable => "the file has no unwinding table, or it is not loaded yet",
        Outcome::Gap => "the file's unwinding information leaves this code out",
        Outcome::Unsupported => "the file describes this code by means that are not supported",
        Outcome::Broken => "the file's unwinding information is damaged",
        Outcome::Unreadable => "the stack's memory could not be read at that moment",
        Outcome::NotAscending => "the caller's frame would lie below its callee's",
        Outcome::NoRegisters => "the thread has no user registers",
    }
}

/// One value of the metrics' text.
struct Line<'a> {
    name: &'a str,
    labels: &'a str,
    value: u64,
}

impl<'a> Line<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let (key, value) = line.strip_prefix("stoker_agent_")?.rsplit_once(' ')?;
        let (name, labels) = key.split_once('{').unwrap_or((key, ""));
        let labels = labels.strip_suffix('}').unwrap_or(labels);
        Some(Self { name, labels, value: value.parse().ok()? })
    }

    /// The label's value, empty where there is none.
    fn label(&self, name: &str) -> String {
        let mut rest = self.labels;
        while let Some((key, after)) = rest.split_once("=\"") {
            let (value, after) = quoted(after);
            if key.trim_start_matches(',') == name {
                return value;
            }
            rest = after;
        }
        String::new()
    }
}

/// A quoted text without its escapes, and what follows its end.
fn quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    const METRICS: &str = r#"# HELP stoker_agent_unwind_total User stacks by how they ended
stoker_agent_unwind_total{result="frame_pointers"} 30
stoker_agent_unwind_total{result="complete"} 900
stoker_agent_unwind_total{result="gap"} 100
stoker_agent_unwind_total{result="something new"} 1
stoker_agent_unwind_broken_total{file="odd\\ \"name\", x=\"y\".so",result="gap"} 100
stoker_agent_names_total{result="named"} 990
stoker_agent_names_total{result="nameless"} 10
stoker_agent_names_total{result="cached"} 5
stoker_agent_file_frames{file="app",build_id="0123456789abcdef",result="named"} 1
stoker_agent_file_frames{file="app",build_id="0123456789abcdef",result="nameless"} 10
stoker_agent_memory_bytes{of="agent"} 123
"#;

    #[test]
    fn a_running_agents_metrics_are_understood() {
        let rates = Rates::read(METRICS);
        let odd = ("odd\\ \"name\", x=\"y\".so".to_owned(), Outcome::Gap, 100);
        assert_eq!(rates.worst, [odd]);
        assert_eq!((rates.named, rates.nameless), (990, 10));
        assert_eq!(
            (&*rates.files[0].file, rates.files[0].named, rates.files[0].nameless),
            ("app", 1, 10)
        );
        let findings = rates.findings("the agent at 127.0.0.1:4042, since its start");
        let said: Vec<_> = findings.iter().map(|one| (one.level, one.found.as_str())).collect();
        assert_eq!(said[0].0, Level::Degraded);
        assert!(said[0].1.starts_with("90.0 % of 1000 user stacks reach"), "{}", said[0].1);
        assert!(said[0].1.contains("; 30 more"), "{}", said[0].1);
        assert!(said[1].1.starts_with("100 stacks (10.0 %) broke in odd\\"), "{}", said[1].1);
        assert_eq!(said[2], (Level::Fine, "99.0 % of 1000 frames have one"));
        assert_eq!(said[3], (Level::Info, "app 0123456789ab: 10 of 11 frames"));
    }

    #[test]
    fn few_are_not_judged_and_nonsense_is_passed_over() {
        let rates = Rates::read(
            "stoker_agent_unwind_total{result=\"gap\"} 10\nstoker_agent_x{a=\" 1\nx y z\n",
        );
        assert_eq!(rates.findings("x")[0].level, Level::Info);
        assert_eq!(Rates::read("").findings("x").len(), 2);
    }
}
