//! What a recording says of functions.

use std::collections::{BTreeMap, BTreeSet};

/// Where threads of programs start.
const STARTS: [&str; 6] = ["_start", "clone3", "__clone3", "clone", "__clone", "thread_start"];

/// Weights by function, of the leaf and anywhere in a stack.
#[derive(Debug, Default)]
pub struct Shares {
    total: u64,
    stacks: u64,
    whole: u64,
    /// Self and total.
    functions: BTreeMap<String, (u64, u64)>,
}

impl Shares {
    /// Reads collapsed stacks.
    pub fn read(collapsed: &str) -> Self {
        let mut shares = Self::default();
        for line in collapsed.lines() {
            let Some((stack, weight)) = line.rsplit_once(' ') else { continue };
            let Ok(weight) = weight.parse() else { continue };
            shares.add(stack, weight);
        }
        shares
    }

    fn add(&mut self, stack: &str, weight: u64) {
        let frames: Vec<String> = stack.split(';').map(bare).collect();
        self.total += weight;
        self.stacks += 1;
        let is_start = |frame: &String| STARTS.contains(&frame.as_str());
        if frames.iter().take(3).any(is_start) {
            self.whole += weight;
        }
        if let Some(leaf) = frames.last() {
            self.functions.entry(leaf.clone()).or_default().0 += weight;
        }
        for function in frames.into_iter().collect::<BTreeSet<_>>() {
            self.functions.entry(function).or_default().1 += weight;
        }
    }

    /// Distinct stacks.
    pub fn stacks(&self) -> u64 {
        self.stacks
    }

    /// Percent of the weight whose stack begins where a thread does.
    pub fn whole(&self) -> f64 {
        percent(self.whole, self.total)
    }

    fn of(&self, function: &str) -> (f64, f64) {
        let (own, total) = self.functions.get(function).copied().unwrap_or_default();
        (percent(own, self.total), percent(total, self.total))
    }
}

/// The name without what only one of the recorders writes.
fn bare(frame: &str) -> String {
    let frame = frame.split_once('(').map_or(frame, |(name, _)| name);
    let frame = frame.split_once('@').map_or(frame, |(name, _)| name);
    frame.trim_end_matches("_[k]").to_owned()
}

#[expect(clippy::cast_precision_loss, reason = "for a share")]
fn percent(part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { 100.0 * part as f64 / all as f64 }
}

/// The functions with the largest shares, and how far the recorders are apart over all.
#[expect(clippy::print_stdout, reason = "the result is for the person who asked")]
pub fn print(all: &[Shares], most: usize) {
    let [stoker, dwarf, frame_pointers] = all else { return };
    println!("\n| function | self: stoker | dwarf | -g | total: stoker | dwarf | -g |");
    println!("|---|---|---|---|---|---|---|");
    let names: BTreeSet<&String> = all.iter().flat_map(|shares| shares.functions.keys()).collect();
    let largest = |name: &str| stoker.of(name).1.max(dwarf.of(name).1);
    let mut listed: Vec<&&String> = names.iter().collect();
    listed.sort_by(|a, b| largest(b).total_cmp(&largest(a)));
    for name in listed.into_iter().take(most) {
        let of = [stoker, dwarf, frame_pointers].map(|shares| shares.of(name));
        let [own, total] = [of.map(|(own, _)| own), of.map(|(_, total)| total)];
        let cells = own.iter().chain(&total).map(|share| format!("{share:.1} %"));
        println!("| `{name}` | {} |", cells.collect::<Vec<_>>().join(" | "));
    }
    let apart = |with: &Shares| -> f64 {
        names.iter().map(|name| (stoker.of(name).0 - with.of(name).0).abs()).sum::<f64>() / 2.0
    };
    println!(
        "\nself shares that lie elsewhere: {:.1} % against dwarf, {:.1} % against -g",
        apart(dwarf),
        apart(frame_pointers)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_count_a_function_once_in_a_stack() {
        let shares = Shares::read("sh;_start;f(int);f;g 3\nh;f 1\n\nnonsense\n");
        assert_eq!(shares.of("f"), (25.0, 100.0));
        assert_eq!(shares.of("g"), (75.0, 75.0));
        assert!((shares.whole() - 75.0).abs() < 1e-9);
    }
}
