//! A recording whose samples are told one by one, as speedscope shows it: a profile for each thread, in
//! order of time.

use stoker_agent::run::ThreadMoments;
use stoker_analysis::call_tree_placed;
use stoker_formats::speedscope::{TimedSample, TimedSource, TimedThread, write_timed};

use crate::failure::Failure;
use crate::local::LocalProfile;

/// The recording in speedscope's format. What no thread tells is in it, too, without its time.
pub(super) fn speedscope(
    local: &LocalProfile,
    threads: &[ThreadMoments],
) -> Result<Vec<u8>, Failure> {
    let (tree, boxes) = call_tree_placed(&local.profile, &local.modules);
    let of_thread = |thread: &ThreadMoments| TimedThread {
        name: format!("{} {}", thread.name, thread.thread.0),
        samples: thread
            .moments
            .iter()
            .map(|moment| TimedSample {
                at: moment.at.0.saturating_sub(local.start.0),
                weight: moment.value,
                stack: boxes[moment.node.at()],
            })
            .collect(),
    };
    let source = TimedSource {
        profile_type: &local.profile_type,
        tree: &tree,
        start: local.start,
        duration_ns: local.duration_ns,
        threads: threads.iter().map(of_thread).collect(),
    };
    let mut out = Vec::new();
    write_timed(source, &local.title, &mut out)
        .map_err(|error| Failure::new(error.to_string(), "choose another format"))?;
    Ok(out)
}

/// What is to be said of samples that were only counted; nothing where there is none.
pub(super) fn not_told(samples: u64, threads: &[ThreadMoments]) -> String {
    let told: usize = threads.iter().map(|thread| thread.moments.len()).sum();
    match samples.saturating_sub(told as u64) {
        0 => String::new(),
        rest => format!(
            "{rest} samples are written without thread and time: {told} are as many as are told one by one\n"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_without_a_time_are_spoken_of_where_there_are_some() {
        assert_eq!(not_told(0, &[]), "");
        assert!(not_told(3, &[]).starts_with("3 samples are written without"));
    }
}
