//! What a recording says of itself at its end.

use std::fmt::Write as _;

use stoker_agent::run::{Recorded, Sight};
use stoker_analysis::{TopBy, top};
use stoker_dag::{BoxKind, Frame, Profile};

use crate::local::LocalProfile;
use crate::table::{Align, Style, Table, amount, share};

/// Functions that are named.
const HOTTEST: usize = 5;

/// What is not in the profile itself.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// What was recorded.
    pub recorded: &'a Counts,
    /// What made the CPUs take samples.
    pub source: &'a str,
    /// How much was seen.
    pub sight: Sight,
    /// Samples per second and CPU.
    pub frequency_hz: u32,
}

/// Numbers of a recording.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    pub samples: u64,
    pub lost: u64,
    pub complete: u64,
    pub truncated: u64,
    pub failed: u64,
    pub seconds: f64,
    pub names_missing: bool,
}

impl Counts {
    pub fn of(recorded: &Recorded) -> Self {
        Self {
            samples: recorded.tally.counted,
            lost: recorded.tally.lost,
            complete: recorded.quality.complete,
            truncated: recorded.quality.truncated,
            failed: recorded.quality.failed,
            seconds: recorded.duration.as_secs_f64(),
            names_missing: recorded.names_missing,
        }
    }
}

/// The whole summary, lines with their ends.
pub fn summary(local: &LocalProfile, facts: Facts<'_>, style: Style) -> String {
    let Facts { recorded, source, sight, frequency_hz } = facts;
    let Counts { samples, lost, seconds, .. } = *recorded;
    let mut text = format!(
        "{samples} samples in {seconds:.1} s at {frequency_hz} Hz ({source}): {} of CPU time; \
         {lost} samples lost\n",
        amount(local.profile.total(), "nanoseconds"),
    );
    text.push_str(not_seen(sight));
    if samples == 0 {
        text.push_str("nothing of what was recorded ran on a CPU while it was looked at\n");
        return text;
    }
    let stacks = recorded.complete + recorded.truncated + recorded.failed;
    let (named, frames) = named_frames(local);
    let missing = if recorded.names_missing { " (some did not come in time)" } else { "" };
    let _ = writeln!(
        text,
        "stacks: {} complete, {} cut, {} not unwound; {} of frames named{missing}",
        share(recorded.complete, stacks),
        share(recorded.truncated, stacks),
        share(recorded.failed, stacks),
        share(named, frames),
    );
    text.push_str(&hottest(local).render(style));
    text
}

/// What a recording without all rights lacks.
const fn not_seen(sight: Sight) -> &'static str {
    match sight {
        Sight::All => "",
        Sight::Own => "recorded through perf events alone: stacks by frame pointers\n",
        Sight::OwnUserMode => {
            "recorded without root: stacks by frame pointers, and no time that the kernel worked \
             for the program\n"
        }
    }
}

fn hottest(local: &LocalProfile) -> Table {
    let headings = [
        ("SELF", Align::Right),
        ("SELF%", Align::Right),
        ("TOTAL%", Align::Right),
        ("FUNCTION", Align::Left),
        ("MODULE", Align::Left),
    ];
    let mut table = Table::new(&headings, 3);
    let tree = local.tree();
    let total = local.profile.total();
    for row in top(&tree, TopBy::Function).into_iter().take(HOTTEST) {
        table.push([
            amount(row.self_value, local.profile_type.unit()),
            share(row.self_value, total),
            share(row.total, total),
            row.name,
            row.module,
        ]);
    }
    table
}

/// Frames that have a function's name, of all frames on the stacks of all samples. Frames that say
/// what could not be seen are in neither.
fn named_frames(local: &LocalProfile) -> (u64, u64) {
    let profile: &Profile = &local.profile;
    let naming = local.naming();
    let mut samples: Vec<u64> = vec![0; profile.nodes.len()];
    for (node, _, count) in profile.rows() {
        samples[node.at()] = count;
    }
    profile.nodes.accumulate(&mut samples);
    let is_named = |frame: &Frame| match frame {
        Frame::Interpreted { .. } => true,
        _ => naming.definition(frame).is_some_and(|found| {
            found.locations.iter().any(|location| !location.function.is_empty())
        }),
    };
    profile.nodes.iter().fold((0, 0), |(named, all), (node, _, frame)| {
        let frame = profile.frames.frame(frame);
        let count = samples[node.at()];
        match stoker_analysis::Naming::kind(frame) {
            BoxKind::Special => (named, all),
            _ if is_named(frame) => (named + count, all + count),
            _ => (named, all + count),
        }
    })
}
