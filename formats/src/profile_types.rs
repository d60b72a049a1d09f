//! Making profile types out of what files call things.

use stoker_dag::ProfileType;

/// The most characters of one part; five of them fit into a profile type.
const MAX_PART_CHARS: usize = 48;
/// What stands for a part that the file leaves empty.
const NO_PART: &str = "unknown";

/// On-CPU samples, where only their number is known.
pub(crate) fn cpu_samples() -> ProfileType {
    unique(["process_cpu", "samples", "count", "cpu", "nanoseconds"], |_| false)
}

/// The profile type of five texts, which become words of letters, digits and underscores. Where
/// `is_taken` says that there is one already, a number tells them apart.
pub(crate) fn unique(parts: [&str; 5], is_taken: impl Fn(&ProfileType) -> bool) -> ProfileType {
    let mut words = parts.map(part);
    let kind = words[1].clone();
    let mut again = 1usize;
    loop {
        let text = words.join(":");
        let made = ProfileType::parse(&text).expect("five short words");
        if !is_taken(&made) {
            return made;
        }
        again += 1;
        words[1] = format!("{kind}_{again}");
    }
}

fn part(text: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let part: String = text.chars().take(MAX_PART_CHARS).map(allowed).collect();
    if part.is_empty() { NO_PART.to_owned() } else { part }
}
