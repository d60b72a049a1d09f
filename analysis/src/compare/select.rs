//! Which keys changed of themselves. One function that grows raises the totals of all its callers
//! and shrinks everybody else's share. So the largest significant change of self is taken out of
//! both sides, numerators and denominators, and the rest is looked at again; then the same with
//! totals, over the stacks that are not explained yet.

use super::engine::Options;
use super::evidence::{Evidence, Method, floats};
use super::family::Family;
use super::report::{Change, What};
use super::sums::{Explained, Sums, sums};
use super::table::{KeyIx, Table};

/// Beyond so many findings nothing is explained one by one any more.
pub(super) const MAX_FINDINGS: usize = 30;
/// A key this much nearer to the leaves is preferred to its callers if it explains as much.
const EXPLAINS_AS_MUCH: f64 = 0.8;

/// A finding before its places are known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) key: KeyIx,
    pub(super) what: What,
    pub(super) change: Change,
}

/// Findings, and what is left when they are taken out.
pub(super) struct Selection {
    pub(super) found: Vec<Found>,
    pub(super) rest: Sums,
    pub(super) rest_evidence: Evidence,
    /// What a share of the rest is times to be one of the base's whole.
    pub(super) scale: f64,
    pub(super) is_cut: bool,
}

pub(super) struct Selector<'a> {
    pub(super) table: &'a Table,
    pub(super) all: &'a Sums,
    pub(super) evidence: &'a Evidence,
    pub(super) family: &'a Family,
    pub(super) method: Method,
    pub(super) options: &'a Options,
}

impl Selector<'_> {
    pub(super) fn run(&self) -> Selection {
        let mut found = Vec::new();
        let mut explained = Explained::nothing(self.table);
        let mut rest = self.all.clone();
        if self.method.decides() {
            self.own(&mut found, &mut explained);
            if !found.is_empty() {
                rest = sums(self.table, &explained);
            }
            self.totals(&mut found, &mut explained, &mut rest);
        }
        let rest_evidence = self.evidence.with_weights(floats(&rest.all));
        let scale = self.scale(&rest_evidence);
        let is_cut = found.len() >= MAX_FINDINGS;
        Selection { found, rest, rest_evidence, scale, is_cut }
    }

    /// Σn of the base now to Σn of the base at first.
    fn scale(&self, now: &Evidence) -> f64 {
        let base = |n: &[f64]| now.design.base.iter().map(|&h| n[h]).sum::<f64>();
        let whole = base(&self.evidence.n);
        if whole > 0.0 { base(&now.n) / whole } else { 1.0 }
    }

    /// A value's change in shares of the base's whole.
    pub(super) fn change(
        &self,
        row: &[u64],
        (key, what): (KeyIx, What),
        (evidence, scale): (&Evidence, f64),
    ) -> Change {
        let contrast = evidence.contrast(&floats(row), self.method);
        let bar = self.family.bar(key, what, contrast.df);
        Change::new(contrast, bar).scaled(scale)
    }

    fn own(&self, found: &mut Vec<Found>, explained: &mut Explained) {
        let mut evidence = self.evidence.with_weights(self.evidence.n.clone());
        let mut waiting = self.members(What::Own);
        while found.len() < MAX_FINDINGS {
            let scale = self.scale(&evidence);
            let changes = waiting.iter().map(|&key| {
                let own = (key, What::Own);
                (key, self.change(self.all.own(key), own, (&evidence, scale)))
            });
            let significant = changes.filter(|(_, change)| change.is_significant());
            let largest =
                significant.max_by(|(_, a), (_, b)| a.change().abs().total_cmp(&b.change().abs()));
            let Some((key, change)) = largest else { break };
            found.push(Found { key, what: What::Own, change });
            explained.own[key.at()] = true;
            waiting.retain(|other| *other != key);
            let left = evidence.n.iter().zip(self.all.own(key));
            #[expect(clippy::cast_precision_loss, reason = "statistics")]
            let left = left.map(|(n, own)| (n - *own as f64).max(0.0)).collect();
            evidence = evidence.with_weights(left);
        }
    }

    fn totals(&self, found: &mut Vec<Found>, explained: &mut Explained, rest: &mut Sums) {
        let mut waiting = self.members(What::Total);
        while found.len() < MAX_FINDINGS {
            let evidence = self.evidence.with_weights(floats(&rest.all));
            let scale = self.scale(&evidence);
            let enough = |key: &KeyIx| {
                let [base, new] = rest.total_samples[key.at()];
                base.saturating_add(new) >= self.options.min_samples
            };
            let significant: Vec<(KeyIx, Change)> = waiting
                .iter()
                .filter(|key| enough(key))
                .map(|&key| {
                    let total = (key, What::Total);
                    (key, self.change(rest.total(key), total, (&evidence, scale)))
                })
                .filter(|(_, change)| change.is_significant())
                .collect();
            let Some(&(key, change)) = innermost(&significant) else { break };
            found.push(Found { key, what: What::Total, change });
            explained.through[key.at()] = true;
            waiting.retain(|other| *other != key);
            *rest = sums(self.table, explained);
        }
    }

    /// Keys of which this value is tested, in order.
    fn members(&self, what: What) -> Vec<KeyIx> {
        let tested = self.family.large.iter().chain(&self.family.small);
        let mut keys: Vec<KeyIx> =
            tested.filter(|(_, of)| *of == what).map(|(key, _)| *key).collect();
        keys.sort_unstable();
        keys
    }
}

/// Of those that changed as much as the clearest did, in its direction, the one with the least total:
/// callers have their callees' changes and more.
fn innermost(significant: &[(KeyIx, Change)]) -> Option<&(KeyIx, Change)> {
    let t = |change: &Change| change.change() / change.error;
    let (_, clearest) =
        significant.iter().max_by(|(_, a), (_, b)| t(a).abs().total_cmp(&t(b).abs()))?;
    let explains = |change: &Change| {
        change.change() * clearest.change().signum() >= EXPLAINS_AS_MUCH * clearest.change().abs()
    };
    let size = |change: &Change| change.base + change.new;
    let candidates = significant.iter().filter(|(_, change)| explains(change));
    candidates.min_by(|(_, a), (_, b)| size(a).total_cmp(&size(b)))
}
