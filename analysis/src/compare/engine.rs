//! From a table to what can be said of it.

use rustc_hash::FxHashMap;

use crate::stats::benjamini_hochberg;

use super::evidence::{Evidence, Method};
use super::family::{Family, alone};
use super::moves::{self, Moves};
use super::report::{Change, Comparison, Finding, Row, SideTotals, Warning, What};
use super::select::{Found, Selection, Selector};
use super::sums::{Explained, Sums, sums};
use super::table::{KeyIx, Side, Table};

/// How a comparison is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// The chance of any false alarm.
    pub alpha: f64,
    /// Keys of a smaller share inform and never gate.
    pub min_share: f64,
    /// Keys with fewer samples are not tested.
    pub min_samples: u64,
    /// The k-th replicates of both sides belong together.
    pub is_paired: bool,
    /// Sides lie in different time: hosts are no replicates of time.
    pub is_time_disjoint: bool,
    /// Rows are whole stacks of the table's keys.
    pub is_by_stack: bool,
    /// Placebos of which one's new range is the next one's base.
    pub is_chained: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            alpha: 0.01,
            min_share: 0.01,
            min_samples: 20,
            is_paired: false,
            is_time_disjoint: false,
            is_by_stack: false,
            is_chained: false,
        }
    }
}

/// A comparison, or `None` where values overflowed.
#[must_use]
pub fn compare(table: &Table, options: &Options) -> Option<Comparison> {
    let plain = sums(table, &Explained::nothing(table));
    if plain.has_overflowed {
        return None;
    }
    let moves = moves::find(table, &plain);
    let moved = table.remapped(|key| moves.target(key));
    let moved = if options.is_by_stack { moved.by_stack() } else { moved };
    let settled = sums(&moved, &Explained::nothing(&moved));
    Some(Comparer::new(&moved, &settled, options).run(&moves))
}

struct Comparer<'a> {
    table: &'a Table,
    all: &'a Sums,
    options: &'a Options,
    evidence: Evidence,
    method: Method,
    family: Family,
    /// Replicates of base and new.
    members: [Vec<usize>; 2],
}

impl<'a> Comparer<'a> {
    fn new(table: &'a Table, all: &'a Sums, options: &'a Options) -> Self {
        let evidence = Evidence::of_shares(table, all, options.is_paired, options.is_chained);
        let method = evidence.method(options.is_time_disjoint);
        let family = Family::of(table, all, &evidence, method, options);
        let members = [Side::Base, Side::New].map(|side| table.side(side, 0));
        Self { table, all, options, evidence, method, family, members }
    }

    fn run(&self, moves: &Moves) -> Comparison {
        let selector = Selector {
            table: self.table,
            all: self.all,
            evidence: &self.evidence,
            family: &self.family,
            method: self.method,
            options: self.options,
        };
        let selection = selector.run();
        let rows = self.rows(&selector, &selection);
        let findings = selection.found.iter().map(|found| self.finding(found, &rows)).collect();
        Comparison {
            sides: self.sides(),
            method: self.method,
            tests: self.family.size(),
            total: self.total(),
            warnings: self.warnings(&rows, &selection),
            keys: self.table.keys.clone(),
            rows,
            findings,
            moves: moves.list().to_vec(),
        }
    }

    fn sides(&self) -> [SideTotals; 2] {
        let clusters = self.evidence.clusters();
        [(0, Side::Base), (1, Side::New)].map(|(at, side)| {
            let members = self.table.side(side, 0);
            let sum = |values: &dyn Fn(usize) -> u64| {
                members.iter().fold(0u64, |sum, &h| sum.saturating_add(values(h)))
            };
            SideTotals {
                total: sum(&|h| self.all.all[h]),
                samples: self.all.samples[at],
                replicates: members.iter().filter(|&&h| self.all.all[h] > 0).count(),
                clusters: clusters[at],
                exposure: sum(&|h| self.table.replicates[h].exposure),
            }
        })
    }

    /// Change of the total per exposure, relative to the base.
    fn total(&self) -> Option<Change> {
        let per = self.evidence.of_total(self.table)?;
        let contrast = per.contrast(&self.evidence.n, self.method);
        if contrast.base <= 0.0 {
            return None;
        }
        let bar = self.family.total_bar(contrast.df);
        let scaled = Change::new(contrast, bar).scaled(1.0 / contrast.base);
        // Relative to a base that is itself uncertain: the error grows with what the change is.
        let error = scaled.error * scaled.new.max(1.0);
        Some(Change { base: 0.0, new: scaled.new - 1.0, error, ..scaled })
    }

    fn rows(&self, selector: &Selector<'_>, selection: &Selection) -> Vec<Row> {
        let found: FxHashMap<(KeyIx, What), Change> =
            selection.found.iter().map(|f| ((f.key, f.what), f.change)).collect();
        let mut rows: Vec<Row> = (0u32..)
            .map(KeyIx)
            .take(self.table.keys.len())
            .map(|key| self.row(key, selector, selection, &found))
            .filter(|row| row.total != [0, 0])
            .collect();
        self.explore(&mut rows);
        rows.sort_by(|a, b| {
            let size = |change: &Change| change.change().abs();
            let by_own = size(&b.own_change).total_cmp(&size(&a.own_change));
            by_own
                .then_with(|| size(&b.total_change).total_cmp(&size(&a.total_change)))
                .then_with(|| self.table.keys[a.key.at()].cmp(&self.table.keys[b.key.at()]))
        });
        rows
    }

    fn row(
        &self,
        key: KeyIx,
        selector: &Selector<'_>,
        selection: &Selection,
        found: &FxHashMap<(KeyIx, What), Change>,
    ) -> Row {
        let (own, total) = (self.all.own(key), self.all.total(key));
        let now = (&self.evidence, 1.0);
        let rest = (&selection.rest_evidence, selection.scale);
        let known = |what: What| found.get(&(key, what)).copied();
        let is_large = |what: What| self.family.large.contains(&(key, what));
        let is_tested =
            [What::Own, What::Total].iter().any(|w| self.family.small.contains(&(key, *w)));
        let is_gated = is_large(What::Own) || is_large(What::Total);
        let own_change = selector.change(own, (key, What::Own), now);
        let total_change = selector.change(total, (key, What::Total), now);
        // Without findings the rest is everything.
        let (own_rest, total_rest) = if selection.found.is_empty() {
            (own_change, total_change)
        } else {
            let of =
                |what, row| known(what).unwrap_or_else(|| selector.change(row, (key, what), rest));
            (of(What::Own, own), of(What::Total, selection.rest.total(key)))
        };
        Row {
            key,
            own: self.by_side(own),
            total: self.by_side(total),
            samples: self.all.total_samples[key.at()],
            own_change,
            total_change,
            own_rest,
            total_rest,
            is_gated,
            is_tested: is_tested || is_gated,
            q: 1.0,
        }
    }

    fn by_side(&self, row: &[u64]) -> [u64; 2] {
        let sum = |side: &Vec<usize>| side.iter().fold(0u64, |sum, &h| sum.saturating_add(row[h]));
        self.members.each_ref().map(sum)
    }

    /// False discovery rates, for exploring.
    fn explore(&self, rows: &mut [Row]) {
        if self.method == Method::None {
            return;
        }
        let contrast = |change: &Change| {
            let Change { base, new, error, df, .. } = *change;
            alone(&crate::stats::Contrast { base, new, error, df })
        };
        let tested: Vec<usize> = (0..rows.len()).filter(|&at| rows[at].is_tested).collect();
        let p: Vec<f64> = tested
            .iter()
            .map(|&at| contrast(&rows[at].own_rest).min(contrast(&rows[at].total_rest)) * 2.0)
            .map(|p| p.min(1.0))
            .collect();
        for (at, q) in tested.into_iter().zip(benjamini_hochberg(&p)) {
            rows[at].q = q;
        }
    }

    fn finding(&self, found: &Found, rows: &[Row]) -> Finding {
        let mut callers: FxHashMap<Option<KeyIx>, [u64; 2]> = FxHashMap::default();
        for (place, replicate, value, _) in self.table.cells() {
            let replicate = &self.table.replicates[replicate.at()];
            let mut at = place;
            // Of a total every place on the way counts, of self only the end.
            while let Some(key) = self.table.key_of(at) {
                let above = self.table.parent(at);
                if key == found.key && replicate.placebo == 0 {
                    let side = usize::from(replicate.side == Side::New);
                    let held = &mut callers.entry(self.table.key_of(above)).or_default()[side];
                    *held = held.saturating_add(value);
                }
                if found.what == What::Own || key == found.key {
                    break;
                }
                at = above;
            }
        }
        let mut places: Vec<(Option<KeyIx>, [u64; 2])> = callers.into_iter().collect();
        places.sort_by_key(|(key, [base, new])| (std::cmp::Reverse(base.abs_diff(*new)), *key));
        let is_gated = rows.iter().any(|row| row.key == found.key && row.is_gated);
        Finding { key: found.key, what: found.what, change: found.change, places, is_gated }
    }

    fn warnings(&self, rows: &[Row], selection: &Selection) -> Vec<Warning> {
        let mut warnings = Vec::new();
        match self.method {
            Method::None => warnings.push(Warning::NoReplicates),
            Method::Few if !self.options.is_time_disjoint => warnings.push(Warning::FewReplicates),
            _ => {}
        }
        let is_covered = matches!(self.method, Method::Placebo { .. });
        if self.options.is_time_disjoint && !is_covered {
            let placebos = u32::try_from(self.evidence.days()).unwrap_or(u32::MAX);
            warnings.push(Warning::TrafficNotCovered { placebos });
        }
        let only_looks = |row: &&Row| {
            let is_told =
                |change: &Change, rest: &Change| change.is_significant() && !rest.is_significant();
            is_told(&row.own_change, &row.own_rest) && row.is_tested
        };
        let keys = rows.iter().filter(only_looks).count();
        if keys > 0 && !selection.found.is_empty() {
            warnings.push(Warning::Composition { keys });
        }
        if selection.scale < LITTLE_REST {
            warnings.push(Warning::LittleRest { share: selection.scale });
        }
        if selection.is_cut {
            warnings.push(Warning::MoreFindings);
        }
        warnings
    }
}

/// Below this part of the base, shares of the rest say little.
const LITTLE_REST: f64 = 0.3;
