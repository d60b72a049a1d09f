//! What a bench comes to, for programs and for people. `docs/cli.md` describes the JSON.

use serde::Serialize;
use stoker_analysis::compare::Side;
use stoker_analysis::stats::{Design, drift, paired, t_quantile, unpaired};
use stoker_server::query::diff::DiffAnswer;

use super::plan::Plan;
use super::runs::Run;

/// A drift this unlikely by chance is told.
const DRIFT_P: f64 = 0.01;
/// A smaller drift from the first to the last run troubles nobody.
const DRIFT_LEAST: f64 = 0.005;
/// Fewer samples a run than this say little of functions.
const FEW_SAMPLES: u64 = 200;

/// Two commands compared.
#[derive(Debug, Serialize)]
pub(super) struct BenchAnswer {
    /// The base's command.
    pub(super) base: String,
    /// The other.
    pub(super) new: String,
    /// Runs of each that were made.
    pub(super) pairs: usize,
    /// Runs of each that were planned.
    pub(super) planned: usize,
    /// How many looks share the error rate.
    pub(super) looks: usize,
    /// CPU time as the kernel accounts it, in nanoseconds a run.
    pub(super) cpu: TimeChange,
    /// From start to end, in nanoseconds a run.
    pub(super) wall: TimeChange,
    /// How CPU time changed from the first run to the last, whichever command; null when unknown.
    pub(super) drift: Option<DriftAnswer>,
    /// In the order in which they were made.
    pub(super) runs: Vec<RunAnswer>,
    /// What must be known.
    pub(super) notes: Vec<String>,
    /// CPU time by function, as `stoker diff` has it.
    pub(super) diff: DiffAnswer,
}

/// A time of both commands.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct TimeChange {
    /// Mean of the base's runs.
    pub(super) base_ns: f64,
    /// Mean of the other's.
    pub(super) new_ns: f64,
    /// New minus base, relative to the base.
    pub(super) change: f64,
    /// Half the width of the interval, at the error rate of one look; null when unknown.
    pub(super) margin: Option<f64>,
    /// Whether chance is ruled out.
    pub(super) is_significant: bool,
}

/// Whether the machine changed meanwhile.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct DriftAnswer {
    /// From the first to the last run, relative to the mean.
    pub(super) change: f64,
    /// The probability of so much where nothing drifts.
    pub(super) p: f64,
}

/// One run.
#[derive(Debug, Serialize)]
pub(super) struct RunAnswer {
    name: String,
    cpu_ns: u64,
    wall_ns: u64,
    samples: u64,
    lost_samples: u64,
}

impl BenchAnswer {
    pub(super) fn new(runs: &[Run], diff: DiffAnswer, plan: &Plan, commands: [&str; 2]) -> Self {
        let cpu = |run: &Run| run.cpu.as_secs_f64() * 1e9;
        let values: Vec<(Side, f64)> = runs.iter().map(|run| (run.side, cpu(run))).collect();
        let drift = drift(&values).map(|drift| DriftAnswer { change: drift.change, p: drift.p });
        let mut answer = Self {
            base: commands[0].to_owned(),
            new: commands[1].to_owned(),
            pairs: runs.len() / 2,
            planned: plan.pairs,
            looks: plan.looks.len(),
            cpu: time_change(runs, plan, cpu),
            wall: time_change(runs, plan, |run| run.wall.as_secs_f64() * 1e9),
            drift,
            runs: runs.iter().map(RunAnswer::of).collect(),
            notes: Vec::new(),
            diff,
        };
        answer.notes = answer.notes();
        answer
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(drift) = self.drift
            && drift.p < DRIFT_P
            && drift.change.abs() >= DRIFT_LEAST
        {
            notes.push(format!(
                "the machine drifted: CPU time changed by {:+.1} % from the first run to the last. \
                 A steady drift favours neither command, but blurs small changes: stop what else \
                 runs, or raise --warmup",
                100.0 * drift.change
            ));
        }
        let count = u64::try_from(self.runs.len()).unwrap_or(u64::MAX).max(1);
        let samples = self.runs.iter().map(|run| run.samples).sum::<u64>() / count;
        if samples < FEW_SAMPLES {
            notes.push(format!(
                "{samples} samples a run say little of functions: let the commands run longer, or \
                 raise -F"
            ));
        }
        let lost: u64 = self.runs.iter().map(|run| run.lost_samples).sum();
        if lost > 0 {
            notes.push(format!("{lost} samples were lost"));
        }
        notes
    }

    /// Whether a look before the last one decided.
    pub(super) const fn has_stopped_early(&self) -> bool {
        self.pairs < self.planned
    }
}

impl RunAnswer {
    fn of(run: &Run) -> Self {
        let ns = |time: std::time::Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Self {
            name: run.name.clone(),
            cpu_ns: ns(run.cpu),
            wall_ns: ns(run.wall),
            samples: run.recording.profile.samples(),
            lost_samples: run.lost,
        }
    }
}

/// The change of a time, runs as replicates.
fn time_change(runs: &[Run], plan: &Plan, time: impl Fn(&Run) -> f64) -> TimeChange {
    let of = |side: Side| (0..runs.len()).filter(|&at| runs[at].side == side).collect();
    let pairs = runs.len() / 2;
    let design =
        Design { base: of(Side::Base), new: of(Side::New), is_paired: plan.is_paired(pairs) };
    let x: Vec<f64> = runs.iter().map(time).collect();
    let n = vec![1.0; runs.len()];
    let compare = if design.is_paired { paired } else { unpaired };
    let contrast = compare(&x, &n, &design, (0.0, 0.0));
    let relative = |value: f64| if contrast.base > 0.0 { value / contrast.base } else { 0.0 };
    let margin = contrast.error * t_quantile(plan.alpha(), contrast.df);
    let (change, margin) = (relative(contrast.change()), relative(margin));
    TimeChange {
        base_ns: contrast.base,
        new_ns: contrast.new,
        change,
        margin: margin.is_finite().then_some(margin),
        is_significant: margin.is_finite() && change.abs() > margin,
    }
}
