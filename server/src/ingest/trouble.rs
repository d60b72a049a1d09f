//! Which files' stacks break and why, and which files' frames have no names: what one agent has told,
//! bounded. Pure.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::Arc;

use stoker_wire::{BrokenStacks, FileNames, HostFacts};

/// Entries of each kind that are kept of one agent; the smallest give way and are counted together.
const ENTRIES_MAX: usize = 32;
/// What those are counted under.
const OTHERS: &str = "(others)";
/// Bytes of a file's name, a build id or a reason that are kept.
const TEXT_BYTES_MAX: usize = 128;

/// What one agent has told since this server started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trouble {
    /// Frames that got a name, and those for which there is none.
    pub frames: Named,
    broken: BTreeMap<(Arc<str>, Arc<str>), u64>,
    nameless: BTreeMap<(Arc<str>, Arc<str>), Named>,
}

/// Frames by whether they have a name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// Frames for which there is none.
    pub nameless: u64,
    /// Frames that got one.
    pub named: u64,
}

impl AddAssign for Named {
    fn add_assign(&mut self, other: Self) {
        self.nameless = self.nameless.saturating_add(other.nameless);
        self.named = self.named.saturating_add(other.named);
    }
}

impl Trouble {
    /// Adds what an agent tells.
    pub fn add(&mut self, facts: &HostFacts) {
        self.frames += Named { named: facts.frames_named, nameless: facts.frames_nameless };
        for BrokenStacks { file, reason, stacks } in &facts.broken {
            let held = entry(&mut self.broken, file, reason);
            *held = held.saturating_add(*stacks);
            bound(&mut self.broken, |(_, reason)| (OTHERS.into(), Arc::clone(reason)));
        }
        for FileNames { file, build_id, named, nameless } in &facts.nameless {
            let counted = Named { named: *named, nameless: *nameless };
            *entry(&mut self.nameless, file, build_id) += counted;
            bound(&mut self.nameless, |_| (OTHERS.into(), "".into()));
        }
    }

    /// User stacks that broke, by file and reason.
    pub fn broken(&self) -> impl Iterator<Item = BrokenStacks> {
        self.broken.iter().map(|((file, reason), stacks)| BrokenStacks {
            file: Arc::clone(file),
            reason: Arc::clone(reason),
            stacks: *stacks,
        })
    }

    /// Files of which some frames have no name.
    pub fn nameless(&self) -> impl Iterator<Item = FileNames> {
        self.nameless.iter().map(|((file, build_id), counted)| FileNames {
            file: Arc::clone(file),
            build_id: Arc::clone(build_id),
            named: counted.named,
            nameless: counted.nameless,
        })
    }
}

fn entry<'a, C: Default>(
    counts: &'a mut BTreeMap<(Arc<str>, Arc<str>), C>,
    file: &Arc<str>,
    of: &Arc<str>,
) -> &'a mut C {
    counts.entry((short(file), short(of))).or_default()
}

fn short(text: &Arc<str>) -> Arc<str> {
    if text.len() <= TEXT_BYTES_MAX {
        return Arc::clone(text);
    }
    let end = (0..=TEXT_BYTES_MAX).rev().find(|&end| text.is_char_boundary(end));
    text[..end.unwrap_or(0)].into()
}

/// Lets the smallest entry give way where there is one too many.
fn bound<C: Ord + Copy + Default + AddAssign>(
    counts: &mut BTreeMap<(Arc<str>, Arc<str>), C>,
    others: impl Fn(&(Arc<str>, Arc<str>)) -> (Arc<str>, Arc<str>),
) {
    let told_apart = counts.iter().filter(|((file, _), _)| &**file != OTHERS);
    if told_apart.clone().count() <= ENTRIES_MAX {
        return;
    }
    let smallest = told_apart.min_by_key(|(_, count)| **count).map(|(key, _)| key.clone());
    if let Some((key, count)) = smallest.and_then(|key| counts.remove_entry(&key)) {
        *counts.entry(others(&key)).or_default() += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(file: &str, reason: &str, stacks: u64) -> BrokenStacks {
        BrokenStacks { file: file.into(), reason: reason.into(), stacks }
    }

    #[test]
    fn what_comes_again_adds_up() {
        let mut trouble = Trouble::default();
        let nameless = FileNames { file: "a".into(), build_id: "0c".into(), named: 2, nameless: 1 };
        let facts = HostFacts {
            frames_named: 7,
            frames_nameless: 1,
            broken: vec![broken("a", "gap", 3), broken("a", "unreadable", 1)],
            nameless: vec![nameless.clone()],
            ..HostFacts::default()
        };
        trouble.add(&facts);
        trouble.add(&facts);
        assert_eq!(trouble.frames, Named { named: 14, nameless: 2 });
        let all: Vec<_> = trouble.broken().collect();
        assert_eq!(all, [broken("a", "gap", 6), broken("a", "unreadable", 2)]);
        let all: Vec<_> = trouble.nameless().collect();
        assert_eq!(all, [FileNames { named: 4, nameless: 2, ..nameless }]);
    }

    #[test]
    fn the_smallest_give_way_and_none_is_forgotten() {
        let mut trouble = Trouble::default();
        let files = 3 * ENTRIES_MAX as u64;
        let of = |n: u64| broken(&format!("{n}{}", "é".repeat(TEXT_BYTES_MAX)), "gap", n);
        let facts = HostFacts { broken: (0..files).map(of).collect(), ..HostFacts::default() };
        trouble.add(&facts);
        let all: Vec<_> = trouble.broken().collect();
        assert_eq!(all.len(), ENTRIES_MAX + 1);
        assert!(all.iter().all(|one| one.file.len() <= TEXT_BYTES_MAX));
        assert!(all.iter().any(|one| one.stacks == files - 1));
        assert_eq!(all.iter().map(|one| one.stacks).sum::<u64>(), files * (files - 1) / 2);
    }
}
