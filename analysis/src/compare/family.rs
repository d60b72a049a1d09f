//! Which values of which keys are tested, and how they share the error rate.

use std::cell::RefCell;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::stats::{Assignments, Bar, Contrast, MaxTail, bonferroni, max_tail, t_quantile, t_tail};

use super::engine::Options;
use super::evidence::{Evidence, Method, floats};
use super::report::What;
use super::sums::Sums;
use super::table::{KeyIx, Table};

/// The part of the error rate that the total has; functions have the rest.
const PART_OF_TOTAL: f64 = 0.5;
/// The part of the functions' rate that small ones have, which inform and never gate.
const PART_OF_SMALL: f64 = 0.2;

/// What is tested.
pub(super) struct Family {
    /// Values that are large enough for a gate.
    pub(super) large: FxHashSet<(KeyIx, What)>,
    /// Others with samples enough to inform.
    pub(super) small: FxHashSet<(KeyIx, What)>,
    /// Distinct tests among them: a caller with one callee is no further test.
    pub(super) tests: [usize; 2],
    tail: Option<MaxTail>,
    total_tail: Option<MaxTail>,
    alpha: [f64; 3],
    method: Method,
    /// Quantiles of Student's t that were asked for before.
    quantiles: RefCell<FxHashMap<(u64, u64), f64>>,
}

impl Family {
    pub(super) fn of(
        table: &Table,
        sums: &Sums,
        evidence: &Evidence,
        method: Method,
        options: &Options,
    ) -> Self {
        // Few replicates have no tail far enough out for thousands of small functions.
        let has_small = matches!(method, Method::StudentT | Method::Placebo { .. });
        let small_part = if has_small { PART_OF_SMALL } else { 0.0 };
        let functions = options.alpha * (1.0 - PART_OF_TOTAL);
        let mut family = Self {
            large: FxHashSet::default(),
            small: FxHashSet::default(),
            tests: [0; 2],
            tail: None,
            total_tail: None,
            alpha: [
                functions * (1.0 - small_part),
                functions * small_part,
                options.alpha * PART_OF_TOTAL,
            ],
            method,
            quantiles: RefCell::default(),
        };
        let rows = family.choose(table, sums, evidence, options, has_small);
        if matches!(method, Method::Permutation { .. }) {
            family.permute(&rows, evidence, table);
        }
        family
    }

    /// Sorts values into large and small; gives the distinct rows of the large.
    fn choose<'a>(
        &mut self,
        table: &Table,
        sums: &'a Sums,
        evidence: &Evidence,
        options: &Options,
        has_small: bool,
    ) -> Vec<&'a [u64]> {
        let (mut distinct, mut rows) = (FxHashSet::default(), Vec::new());
        for key in (0u32..).map(KeyIx).take(table.keys.len()) {
            for (what, row, samples) in [
                (What::Own, sums.own(key), sums.own_samples[key.at()]),
                (What::Total, sums.total(key), sums.total_samples[key.at()]),
            ] {
                let is_leaf = what == What::Total && row == sums.own(key);
                if samples[0].saturating_add(samples[1]) < options.min_samples || is_leaf {
                    continue;
                }
                let is_large = mean_share(row, evidence) >= options.min_share / 2.0;
                if !is_large && !has_small {
                    continue;
                }
                if distinct.insert(row) {
                    self.tests[usize::from(!is_large)] += 1;
                    if is_large {
                        rows.push(row);
                    }
                }
                let members = if is_large { &mut self.large } else { &mut self.small };
                members.insert((key, what));
            }
        }
        rows
    }

    fn permute(&mut self, rows: &[&[u64]], evidence: &Evidence, table: &Table) {
        let deals = Assignments::of(&evidence.design, evidence.n.len());
        let columns: Vec<Vec<f64>> = rows.iter().map(|row| floats(row)).collect();
        let by_replicate: Vec<Vec<f64>> = (0..evidence.n.len())
            .map(|h| columns.iter().map(|column| column[h]).collect())
            .collect();
        let floor: Vec<f64> = columns.iter().map(|column| evidence.floor(column)).collect();
        self.tail = Some(max_tail(&by_replicate, &evidence.n, &floor, &evidence.design, &deals));
        self.total_tail = evidence.of_total(table).map(|per| {
            let total: Vec<Vec<f64>> = evidence.n.iter().map(|value| vec![*value]).collect();
            max_tail(&total, &per.n, &[0.0], &per.design, &deals)
        });
    }

    /// What a value's t must exceed.
    pub(super) fn bar(&self, key: KeyIx, what: What, df: f64) -> Bar {
        let (large, small) = (self.tests[0], self.tests[1]);
        if self.small.contains(&(key, what)) {
            return self.student(bonferroni(self.alpha[1], small), df);
        }
        match &self.tail {
            Some(tail) => tail.bar(self.alpha[0]),
            None => self.student(bonferroni(self.alpha[0], large), df),
        }
    }

    /// What the total's t must exceed.
    pub(super) fn total_bar(&self, df: f64) -> Bar {
        match &self.total_tail {
            Some(tail) => tail.bar(self.alpha[2]),
            None => self.student(self.alpha[2], df),
        }
    }

    fn student(&self, alpha: f64, df: f64) -> Bar {
        if self.method == Method::None || df <= 0.0 {
            return Bar { t: f64::INFINITY, is_one_sided: false };
        }
        let df = on_grid(df);
        let mut known = self.quantiles.borrow_mut();
        let t =
            known.entry((alpha.to_bits(), df.to_bits())).or_insert_with(|| t_quantile(alpha, df));
        Bar { t: *t, is_one_sided: false }
    }

    /// Tests in all, the total's among them.
    pub(super) fn size(&self) -> usize {
        self.tests[0] + self.tests[1] + 1
    }
}

/// Degrees of freedom on a grid, rounded down, so that few quantiles are computed.
fn on_grid(df: f64) -> f64 {
    let step = match df {
        ..10.0 => 0.25,
        ..100.0 => 1.0,
        _ => 10.0,
    };
    if df.is_finite() { (df / step).floor() * step } else { f64::MAX }
}

/// The mean of the shares of both sides: exchanging replicates hardly changes it.
fn mean_share(row: &[u64], evidence: &Evidence) -> f64 {
    let x = floats(row);
    let share = |side: &[usize]| {
        let sum = |column: &[f64]| side.iter().map(|&h| column[h]).sum::<f64>();
        let weight = sum(&evidence.n);
        if weight > 0.0 { sum(&x) / weight } else { 0.0 }
    };
    f64::midpoint(share(&evidence.design.base), share(&evidence.design.new))
}

/// The p-value of one contrast by itself.
pub(super) fn alone(contrast: &Contrast) -> f64 {
    if contrast.error.is_finite() { t_tail(contrast.t(), contrast.df) } else { 1.0 }
}
