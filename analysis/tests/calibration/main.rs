//! What a comparison promises, held on made-up fleets whose truth is known. `examples/calibrate.rs`
//! is the same at length; here a few hundred draws keep a later change from breaking it unseen.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test fails by panicking, a simulation rounds"
)]

mod world;

use proptest::prelude::*;
use stoker_analysis::compare::{Method, Options, Warning, compare};
use world::{Fleet, judge, share, table};

const DRAWS: usize = 60;

/// How many of the draws raise anything where nothing changed.
fn false_alarms(fleet: &Fleet) -> usize {
    let mut random = fastrand::Rng::with_seed(17);
    let options = Options { is_paired: fleet.is_paired, ..Options::default() };
    let judged = (0..DRAWS).map(|_| judge(&table(fleet, None, &mut random), &options, 5, false));
    judged.filter(|one| one.is_alarm || one.findings > 0).count()
}

#[test]
fn where_nothing_changed_nothing_is_reported() {
    for fleet in [
        Fleet { hosts: (5, 5), cv: 0.5, ..Fleet::default() },
        Fleet { hosts: (20, 20), cv: 0.3, correlation: 0.9, ..Fleet::default() },
        Fleet { hosts: (8, 8), is_paired: true, ..Fleet::default() },
    ] {
        // At 1 % a draw, 5 or more of 60 come by chance once in 3,000 times.
        let alarms = false_alarms(&fleet);
        assert!(alarms < 5, "{alarms} of {DRAWS}: {fleet:?}");
    }
}

#[test]
fn a_change_above_the_printed_minimum_is_found_and_nobody_else_accused() {
    let fleet = Fleet::default();
    let mut random = fastrand::Rng::with_seed(18);
    let options = Options::default();
    let draws: Vec<_> = (0..40)
        .map(|_| judge(&table(&fleet, Some((5, 1.35)), &mut random), &options, 5, true))
        .collect();
    // 35 % more of 5 % is 1.6 points of share; it has to be above what is printed for it.
    assert!(draws.iter().all(|one| one.minimum < 0.016), "{draws:?}");
    // In the same draws: what samples taken for independent accuse.
    let naive: usize = draws.iter().map(|one| one.naive).sum();
    assert!(naive > 40 * 5, "a z-test over samples accuses many: {naive} in 40 draws");
    assert!(draws.iter().all(|one| one.rank < world::LEAVES), "it is in the table: {draws:?}");
    let found = draws.iter().filter(|one| one.is_found).count();
    let wrong = draws.iter().filter(|one| one.wrong > 0).count();
    assert!(found >= 38 && wrong <= 2, "{found} found, {wrong} with a wrong one, of 40");
}

#[test]
fn the_printed_minimum_is_no_excuse() {
    // What the formula gives for the true variance: host effects with CV 10 %, hosts' sizes with
    // CV 20 %, and 10,000 samples a host, of a share of 5 %; 38 degrees of freedom.
    let fleet = Fleet::default();
    let p = share(5);
    let between = (p * (1.0 - p) * fleet.cv).powi(2) * (1.0 + fleet.size_cv.powi(2));
    let sampling = p * (1.0 - p) / fleet.samples;
    let error = (2.0 * (between + sampling) / fleet.hosts.0 as f64).sqrt();
    let mut random = fastrand::Rng::with_seed(19);
    let mut minima: Vec<f64> = Vec::new();
    let mut tests = 0;
    for _ in 0..20 {
        let comparison = compare(&table(&fleet, None, &mut random), &Options::default()).unwrap();
        let row = comparison.rows.iter().find(|row| row.key.at() == 5).unwrap();
        minima.push(row.own_change.minimum_detectable());
        tests = comparison.tests;
    }
    minima.sort_by(f64::total_cmp);
    let median = minima[minima.len() / 2];
    // Half of 1 % for functions, all of it over as many tests as there are of any size.
    let critical = stoker_analysis::stats::t_quantile(0.005 / tests as f64, 38.0);
    let formula = (critical + stoker_analysis::stats::t_quantile(0.1, 38.0)) * error;
    assert!(median < 1.2 * formula, "{median} against {formula}");
    assert!(median > 0.7 * formula, "{median} against {formula}: too good to be true");
}

#[test]
fn other_times_need_other_days() {
    let mut random = fastrand::Rng::with_seed(20);
    let options = Options { is_time_disjoint: true, ..Options::default() };
    let fleet =
        |placebos| Fleet { is_paired: true, drift: 0.03, cycle: 0.1, placebos, ..Fleet::default() };
    // The daily cycle alone would be a finding for hosts as replicates.
    let blind = judge(&table(&fleet(0), None, &mut random), &Options::default(), 5, false);
    assert!(blind.findings > 0, "{blind:?}");
    let few = compare(&table(&fleet(7), None, &mut random), &options).unwrap();
    assert!(few.warnings.contains(&Warning::TrafficNotCovered { placebos: 7 }));
    assert!(few.findings.is_empty() && !few.method.decides());
    let mut findings = 0;
    for _ in 0..12 {
        let table = table(&fleet(10), None, &mut random);
        let comparison = compare(&table, &options).unwrap();
        assert_eq!(comparison.method, Method::Placebo { days: 10 });
        findings += comparison.findings.len();
    }
    assert!(findings <= 1, "{findings} findings in 12 draws");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn self_changes_sum_to_the_change_of_the_total(seed in any::<u64>(), base in 1usize..7, new in 1usize..7) {
        let mut random = fastrand::Rng::with_seed(seed);
        let fleet = Fleet { hosts: (base, new), samples: 200.0, ..Fleet::default() };
        let comparison = compare(&table(&fleet, None, &mut random), &Options::default()).unwrap();
        for side in 0..2 {
            let own: u64 = comparison.rows.iter().map(|row| row.own[side]).sum();
            prop_assert_eq!(own, comparison.sides[side].total);
            prop_assert!(comparison.rows.iter().all(|row| row.own[side] <= row.total[side]));
        }
        prop_assert_eq!(comparison.method.decides(), base >= 5 && new >= 5);
    }
}
