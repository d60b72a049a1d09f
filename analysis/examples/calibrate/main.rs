//! Calibration of the diff: how often it raises a false alarm where nothing changed, and how often it
//! finds a change of a known size. `docs/diffs.md` shows what it printed.
//!
//! `calibrate [RUNS] [FLEETS] [--quiet-only] [--plot FOLDER]`: so many runs of the fleets whose names hold
//! one of the words (with `;` between them), without changes only, with pictures.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a simulation for people"
)]

mod plot;
#[path = "../../tests/calibration/world.rs"]
mod world;

use stoker_analysis::compare::Options;
use world::{Fleet, Injected, Judged, judge, table};

fn options(fleet: &Fleet) -> Options {
    Options {
        is_paired: fleet.is_paired && fleet.placebos == 0,
        is_time_disjoint: fleet.placebos > 0,
        ..Options::default()
    }
}

fn runs(name: &str, fleet: &Fleet, injected: Injected, count: usize) -> Vec<Judged> {
    let seed = name.bytes().fold(1u64, |seed, byte| seed.wrapping_mul(31) + u64::from(byte));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|at| {
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(seed + 1000 * at as u64);
                    let leaf = injected.map_or(5, |(leaf, _)| leaf);
                    (0..count.div_ceil(threads))
                        .map(|_| {
                            let table = table(fleet, injected, &mut random);
                            judge(&table, &options(fleet), leaf, injected.is_some())
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("no panic")).collect()
    })
}

fn percent(judged: &[Judged], is: impl Fn(&Judged) -> bool) -> f64 {
    100.0 * judged.iter().filter(|one| is(one)).count() as f64 / judged.len() as f64
}

fn mean(judged: &[Judged], of: impl Fn(&Judged) -> f64) -> f64 {
    judged.iter().map(of).sum::<f64>() / judged.len() as f64
}

fn median(judged: &[Judged], of: impl Fn(&Judged) -> f64) -> f64 {
    let mut values: Vec<f64> = judged.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn fleets() -> Vec<(&'static str, Fleet)> {
    let fleet = |hosts, cv| Fleet { hosts, cv, ..Fleet::default() };
    let seldom = |hosts, cv| Fleet { samples: 300.0, ..fleet(hosts, cv) };
    let pairs = |hosts, cv| Fleet { is_paired: true, ..fleet((hosts, hosts), cv) };
    let days = |placebos, cycle, drift| Fleet {
        hosts: (20, 20),
        is_paired: true,
        placebos,
        cycle,
        drift,
        ..Fleet::default()
    };
    vec![
        ("5 v 5, CV 10 %", fleet((5, 5), 0.1)),
        ("5 v 5, CV 50 %", fleet((5, 5), 0.5)),
        ("6 v 6, CV 50 %", fleet((6, 6), 0.5)),
        ("8 v 8, CV 30 %", fleet((8, 8), 0.3)),
        ("5 v 50, CV 50 %", fleet((5, 50), 0.5)),
        ("8 v 8, 300 samples", seldom((8, 8), 0.3)),
        ("12 v 12, CV 30 %", fleet((12, 12), 0.3)),
        ("12 v 12, CV 50 %", fleet((12, 12), 0.5)),
        ("12 v 24, CV 50 %", fleet((12, 24), 0.5)),
        ("12 v 60, CV 50 %", fleet((12, 60), 0.5)),
        ("20 v 20, CV 10 %", fleet((20, 20), 0.1)),
        ("20 v 20, CV 50 %", fleet((20, 20), 0.5)),
        ("20 v 20, 300 samples", seldom((20, 20), 0.3)),
        ("64 v 64, CV 30 %", fleet((64, 64), 0.3)),
        ("64 v 64, CV 50 %", fleet((64, 64), 0.5)),
        ("20 v 20, sizes CV 100 %", Fleet { size_cv: 1.0, ..fleet((20, 20), 0.3) }),
        ("20 v 20, correlated 0.9", Fleet { correlation: 0.9, ..fleet((20, 20), 0.3) }),
        ("20 v 20, 24 hours", Fleet { hours: 24, persistent: 0.5, ..fleet((20, 20), 0.3) }),
        ("8 pairs, CV 30 %", pairs(8, 0.3)),
        ("20 pairs, CV 50 %", pairs(20, 0.5)),
        ("20 hosts, cycle 10 %, 8 days", days(8, 0.1, 0.0)),
        ("20 hosts, cycle + drift 3 %, 8 days", days(8, 0.1, 0.03)),
        ("20 hosts, cycle + drift 3 %, 28 days", days(28, 0.1, 0.03)),
    ]
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let plain: Vec<&String> = words.iter().take_while(|word| !word.starts_with("--")).collect();
    let count = plain.first().and_then(|n| n.parse().ok()).unwrap_or(2000);
    let only = plain.get(1).map_or("", |word| word);
    let is_wanted = |name: &str| only.split(';').any(|word| name.contains(word));
    let folder = words.iter().skip_while(|word| *word != "--plot").nth(1);
    let mut plots = plot::Plots::default();
    println!("{count} runs each; {} functions of self, {} callers", world::LEAVES, world::GROUPS);
    println!("\nNothing changed:");
    println!("{:<38}{:>8}{:>8}{:>12}", "fleet", "alarm", "any", "naive");
    for (name, fleet) in fleets().into_iter().filter(|(name, _)| is_wanted(name)) {
        let judged = runs(name, &fleet, None, count);
        println!(
            "{name:<38}{:>7.2}%{:>7.2}%{:>12.1}",
            percent(&judged, |one| one.is_alarm),
            percent(&judged, |one| one.findings > 0),
            mean(&judged, |one| one.naive as f64),
        );
        plots.quiet.push(plot::Quiet {
            fleet: name.to_owned(),
            any: percent(&judged, |one| one.findings > 0),
            naive: percent(&judged, |one| one.naive > 0),
        });
    }
    if words.iter().any(|word| word == "--quiet-only") {
        plots.write(folder);
        return;
    }
    println!("\nA function of 5 % made slower by so many times the printed minimum:");
    println!(
        "{:<38}{:>9}{:>7}{:>8}{:>8}{:>9}{:>12}{:>7}",
        "fleet", "minimum", "times", "found", "FDR", "alarm", "naive", "rank"
    );
    for (name, fleet) in fleets().into_iter().filter(|(name, _)| is_wanted(name)) {
        let plain = median(&runs(name, &fleet, None, 200), |one| one.minimum);
        for times in [1.0, 2.0, 4.0] {
            // What grows varies more, and the minimum that is printed of it grows too: the change is
            // set against what the comparison prints that has the change in it.
            let mut minimum = plain;
            for _ in 0..3 {
                let injected = Some((5, injected_by(minimum * times)));
                minimum = median(&runs(name, &fleet, injected, 100), |one| one.minimum);
            }
            let by = injected_by(minimum * times);
            let judged = runs(name, &fleet, Some((5, by)), count / 4);
            println!(
                "{name:<38}{:>8.2}%{times:>7}{:>7.1}%{:>7.2}%{:>8.2}%{:>12.1}{:>7.1}",
                100.0 * minimum,
                percent(&judged, |one| one.is_found),
                100.0 * mean(&judged, |one| one.wrong as f64 / one.findings.max(1) as f64),
                percent(&judged, |one| one.is_alarm),
                mean(&judged, |one| one.naive as f64),
                mean(&judged, |one| one.rank as f64),
            );
            let found = percent(&judged, |one| one.is_found);
            plots.changed.push((name.to_owned(), times, found));
        }
    }
    plots.write(folder);
}

/// How many times slower a function of 5 % becomes when its share of the new total grows by `points`.
fn injected_by(points: f64) -> f64 {
    let new = (0.05 + points).min(0.9);
    new * 0.95 / (0.05 * (1.0 - new))
}
