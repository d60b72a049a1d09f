//! Cost that moved. A function that was renamed, put into another class, inlined away or split off
//! its callers is gone on one side and its cost stands elsewhere on the other. It is recognised by
//! its callers, its module and its class, and both sides are brought to the same names before
//! anything is compared: what remains is a change of cost, not of names.

use std::cmp::Ordering;

use rustc_hash::{FxHashMap, FxHashSet};

use super::report::{Move, MoveKind};
use super::sums::Sums;
use super::table::{KeyIx, PlaceIx, Side, Table};

/// Keys of a smaller share are not looked for.
const MIN_SHARE: f64 = 0.005;
/// Nor those with fewer samples.
const MIN_SAMPLES: u64 = 20;
/// A key with less than this part of its share on the other side is gone there.
const GONE: f64 = 0.02;
/// How much two keys must have the same callers to be one.
const SAME_CALLERS: f64 = 0.6;
/// A renamed function may cost so many times more or less.
const SIMILAR_SIZE: f64 = 3.0;
/// Which part of a function must be found again at its callers.
const FOUND_AGAIN: f64 = 0.5;

/// What moved, and what each key counts as.
pub(super) struct Moves {
    list: Vec<Move>,
    targets: FxHashMap<KeyIx, Option<KeyIx>>,
}

impl Moves {
    pub(super) fn list(&self) -> &[Move] {
        &self.list
    }

    /// What a key counts as; `None` is its caller, whichever that is.
    pub(super) fn target(&self, key: KeyIx) -> Option<KeyIx> {
        self.targets.get(&key).copied().unwrap_or(Some(key))
    }
}

/// Looks for cost that moved.
pub(super) fn find(table: &Table, sums: &Sums) -> Moves {
    let mut finder = Finder {
        table,
        edges: Edges::of(table),
        moves: Moves { list: Vec::new(), targets: FxHashMap::default() },
        shares: shares(table, sums),
    };
    let gone = finder.one_sided(sums, 0);
    let fresh = finder.one_sided(sums, 1);
    let left = finder.renamed(&gone, &fresh);
    let taken: FxHashSet<KeyIx> = finder.moves.targets.keys().copied().collect();
    for key in left {
        finder.inlined(key, 0);
    }
    let named: FxHashSet<KeyIx> =
        finder.moves.targets.values().filter_map(|target| *target).collect();
    for key in fresh.into_iter().filter(|key| !taken.contains(key) && !named.contains(key)) {
        finder.inlined(key, 1);
    }
    finder.moves
}

/// By key and side, the shares of self and of total.
fn shares(table: &Table, sums: &Sums) -> Vec<[[f64; 2]; 2]> {
    let sides = [table.side(Side::Base, 0), table.side(Side::New, 0)];
    #[expect(clippy::cast_precision_loss, reason = "shares")]
    let sum = |row: &[u64], side: usize| sides[side].iter().map(|&h| row[h] as f64).sum::<f64>();
    let all = [sum(&sums.all, 0).max(1.0), sum(&sums.all, 1).max(1.0)];
    let of_key = |key: KeyIx| {
        [sums.own(key), sums.total(key)].map(|row| [sum(row, 0) / all[0], sum(row, 1) / all[1]])
    };
    (0u32..).map(KeyIx).take(table.keys.len()).map(of_key).collect()
}

/// Who calls whom, and how much: shares of the side's whole, by side.
#[derive(Default)]
struct Edges {
    callers: FxHashMap<KeyIx, FxHashMap<KeyIx, [f64; 2]>>,
    callees: FxHashMap<KeyIx, FxHashMap<KeyIx, [f64; 2]>>,
}

impl Edges {
    #[expect(clippy::cast_precision_loss, reason = "shares")]
    fn of(table: &Table) -> Self {
        let mut value: FxHashMap<PlaceIx, [f64; 2]> = FxHashMap::default();
        let mut all = [0.0f64; 2];
        for (place, replicate, of_cell, _) in table.cells() {
            let replicate = &table.replicates[replicate.at()];
            if replicate.placebo == 0 {
                let side = usize::from(replicate.side == Side::New);
                value.entry(place).or_default()[side] += of_cell as f64;
                all[side] += of_cell as f64;
            }
        }
        let mut edges = Self::default();
        let places: Vec<_> = table.places().collect();
        for (place, parent, key) in places.into_iter().rev() {
            let Some(held) = value.remove(&place) else { continue };
            let above = value.entry(parent).or_default();
            (0..2).for_each(|side| above[side] += held[side]);
            if let Some(caller) = table.key_of(parent) {
                for (map, from, to) in
                    [(&mut edges.callers, key, caller), (&mut edges.callees, caller, key)]
                {
                    let edge = map.entry(from).or_default().entry(to).or_default();
                    (0..2).for_each(|side| edge[side] += held[side] / all[side].max(1.0));
                }
            }
        }
        edges
    }
}

struct Finder<'a> {
    table: &'a Table,
    edges: Edges,
    moves: Moves,
    shares: Vec<[[f64; 2]; 2]>,
}

impl Finder<'_> {
    /// Which of two that are alike comes first: keys are numbered as they come, names are not.
    fn by_name(&self, a: KeyIx, b: KeyIx) -> Ordering {
        self.table.keys[a.at()].cmp(&self.table.keys[b.at()])
    }

    /// Keys that are on `side` only, the largest first.
    fn one_sided(&self, sums: &Sums, side: usize) -> Vec<KeyIx> {
        let is_one_sided = |key: &KeyIx| {
            let total = self.shares[key.at()][1];
            total[side] >= MIN_SHARE
                && sums.total_samples[key.at()][side] >= MIN_SAMPLES
                && total[1 - side] < GONE * total[side]
        };
        let keys = (0u32..).map(KeyIx).take(self.table.keys.len());
        let mut keys: Vec<KeyIx> = keys.filter(is_one_sided).collect();
        let size = |key: &KeyIx| self.shares[key.at()][1][side];
        keys.sort_by(|a, b| size(b).total_cmp(&size(a)).then_with(|| self.by_name(*a, *b)));
        keys
    }

    /// Matches what is gone with what is new; gives what is gone and has no match. Callers come
    /// before their callees, so that a renamed caller is known as one.
    fn renamed(&mut self, gone: &[KeyIx], fresh: &[KeyIx]) -> Vec<KeyIx> {
        let mut free: Vec<KeyIx> = fresh.to_vec();
        let mut left = Vec::new();
        for &old in gone {
            let scored = free.iter().map(|&new| (self.likeness(old, new), new));
            let best = scored.filter(|(score, _)| *score > 0.0);
            let best =
                best.max_by(|(a, x), (b, y)| a.total_cmp(b).then_with(|| self.by_name(*y, *x)));
            let Some((_, new)) = best else {
                left.push(old);
                continue;
            };
            free.retain(|other| *other != new);
            let (from, to) = (&self.table.keys[old.at()], &self.table.keys[new.at()]);
            let is_relocated = last_part(&from.name) == last_part(&to.name);
            self.moves.list.push(Move {
                kind: if is_relocated { MoveKind::Relocated } else { MoveKind::Renamed },
                from: from.clone(),
                to: vec![to.clone()],
                share: [self.shares[old.at()][1][0], self.shares[new.at()][1][1]],
            });
            self.moves.targets.insert(old, Some(new));
        }
        left
    }

    /// How likely two keys are one function; 0 is not at all.
    fn likeness(&self, old: KeyIx, new: KeyIx) -> f64 {
        let (from, to) = (&self.table.keys[old.at()], &self.table.keys[new.at()]);
        let size = self.shares[new.at()][1][1] / self.shares[old.at()][1][0];
        let is_like_sized = (1.0 / SIMILAR_SIZE..=SIMILAR_SIZE).contains(&size);
        let same_name = last_part(&from.name) == last_part(&to.name);
        let callers = self.overlap(&self.edges.callers, old, new);
        if !is_like_sized || callers < SAME_CALLERS || !(from.module == to.module || same_name) {
            return 0.0;
        }
        let bonus = |is: bool| if is { 0.5 } else { 0.0 };
        callers
            + 0.5 * self.overlap(&self.edges.callees, old, new)
            + bonus(same_name)
            + bonus(class(&from.name) == class(&to.name))
            - 0.5 * size.ln().abs()
    }

    /// How much two keys have the same neighbours: from 0 to 1.
    fn overlap(
        &self,
        edges: &FxHashMap<KeyIx, FxHashMap<KeyIx, [f64; 2]>>,
        old: KeyIx,
        new: KeyIx,
    ) -> f64 {
        let parts = |key: KeyIx, side: usize| {
            let mut parts: FxHashMap<KeyIx, f64> = FxHashMap::default();
            for (other, value) in edges.get(&key).into_iter().flatten() {
                let other = self.moves.target(*other).unwrap_or(*other);
                // Who calls itself is called by itself whatever its name.
                let other = if other == key { KeyIx(u32::MAX) } else { other };
                *parts.entry(other).or_default() += value[side];
            }
            let sum: f64 = parts.values().sum();
            parts.values_mut().for_each(|value| *value /= sum.max(f64::MIN_POSITIVE));
            parts
        };
        let (before, after) = (parts(old, 0), parts(new, 1));
        if before.is_empty() && after.is_empty() {
            return 1.0;
        }
        let common = before.iter().map(|(key, part)| part.min(*after.get(key).unwrap_or(&0.0)));
        common.sum()
    }

    /// A key on `side` only whose cost stands at its callers on the other side: what ended in it now
    /// ends in them, what it called they call.
    fn inlined(&mut self, key: KeyIx, side: usize) {
        let other = 1 - side;
        let callers = match self.edges.callers.get(&key) {
            Some(callers) if !callers.contains_key(&key) => callers,
            _ => return,
        };
        let [own, total] = self.shares[key.at()];
        let gain: f64 = callers
            .keys()
            .map(|caller| self.shares[caller.at()][0])
            .map(|own| own[other] - own[side])
            .sum();
        let mut found = gain.clamp(0.0, own[side]);
        for (callee, through) in self.edges.callees.get(&key).into_iter().flatten() {
            let direct = callers.keys().filter_map(|c| self.edges.callees.get(c)?.get(callee));
            let gain: f64 = direct.map(|value| value[other] - value[side]).sum();
            found += gain.clamp(0.0, through[side]);
        }
        if found < FOUND_AGAIN * total[side] {
            return;
        }
        let to_one = callers.len() == 1;
        let mut to: Vec<(&KeyIx, &[f64; 2])> = callers.iter().collect();
        to.sort_by(|(a, x), (b, y)| {
            y[side].total_cmp(&x[side]).then_with(|| self.by_name(**a, **b))
        });
        let to = to.into_iter().map(|(caller, _)| self.table.keys[caller.at()].clone()).collect();
        self.moves.list.push(Move {
            kind: if side == 0 { MoveKind::Inlined } else { MoveKind::Outlined },
            from: self.table.keys[key.at()].clone(),
            to,
            share: total,
        });
        // With one caller only, stacks that lack it (cut ones, or from before tables were loaded) go there too.
        let only = if to_one { callers.keys().next().copied() } else { None };
        let target = only.and_then(|caller| self.moves.target(caller));
        self.moves.targets.insert(key, target);
    }
}

/// The name without what stands before its last `::` or `.`, and without arguments.
fn last_part(name: &str) -> &str {
    let name = name.split(['(', '<']).next().unwrap_or(name);
    name.rsplit(['.', ':', '/']).next().unwrap_or(name)
}

/// What stands before the last part: a class, a module, a package.
fn class(name: &str) -> &str {
    let bare = name.split(['(', '<']).next().unwrap_or(name);
    &bare[..bare.len() - last_part(name).len()]
}

#[cfg(test)]
mod tests {
    use super::super::table::{Key, Replicate};
    use super::super::{Options, compare};
    use super::*;

    /// Ten hosts a side of `main;parse;scan` and `main;rest`; on the new side `scan` is inlined. Some
    /// stacks are cut, with neither `main` nor `parse`.
    fn cut_stacks() -> Table {
        let mut table = Table::default();
        let [main, parse, scan, rest] = ["main", "parse", "scan", "rest"]
            .map(|name| table.key(Key { name: name.into(), module: "exe".into() }));
        let top = table.place(PlaceIx::ROOT, main);
        let in_parse = table.place(top, parse);
        let in_scan = table.place(in_parse, scan);
        let in_rest = table.place(top, rest);
        let [cut_scan, cut_parse] = [scan, parse].map(|key| table.place(PlaceIx::ROOT, key));
        for (side, whole, cut) in
            [(Side::Base, in_scan, cut_scan), (Side::New, in_parse, cut_parse)]
        {
            for host in 0..10u64 {
                let name = format!("{host}");
                let replicate = table.replicate(Replicate { name, side, placebo: 0, exposure: 1 });
                for (place, value) in [
                    (whole, 1_000 + host),
                    (cut, 150 + host % 3),
                    (in_parse, 900),
                    (in_rest, 8_000),
                ] {
                    table.add(place, replicate, (value, value));
                }
            }
        }
        table
    }

    #[test]
    fn stacks_that_lack_the_only_caller_follow_what_was_inlined() {
        let comparison = compare(&cut_stacks(), &Options::default()).unwrap();
        assert_eq!(comparison.moves.len(), 1, "{:?}", comparison.moves);
        assert_eq!(comparison.moves[0].kind, MoveKind::Inlined);
        assert!(comparison.findings.is_empty(), "{:?}", comparison.findings);
        let by_stack = Options { is_by_stack: true, ..Options::default() };
        assert!(compare(&cut_stacks(), &by_stack).unwrap().findings.is_empty());
    }
}
