//! The answer as JSON, the same from the API and from the command; `docs/api.md` describes it.
//! Shares are parts of a side's total, from 0 to 1; what is not known is null.

use serde::{Deserialize, Serialize};

/// A comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DiffAnswer {
    /// What values count.
    pub profile_type: String,
    /// What values are in.
    pub unit: String,
    /// `function`, `module` or `stack`.
    pub by: String,
    /// What is compared with.
    pub base: SideAnswer,
    /// What is looked at.
    pub new: SideAnswer,
    /// Whether any error is known.
    pub has_error_bars: bool,
    /// How it was tested.
    pub method: MethodAnswer,
    /// How many tests share the error rate.
    pub tests: usize,
    /// What the total is divided by: `host_second`, `run`, `second`, `request` or `unknown`.
    pub per: String,
    /// The total per that, relative to the base.
    pub total_change: Option<ChangeAnswer>,
    /// What changed of itself.
    pub findings: Vec<FindingAnswer>,
    /// Cost that is elsewhere, not more.
    pub moves: Vec<MoveAnswer>,
    /// What must be known.
    pub warnings: Vec<WarningAnswer>,
    /// The gate, where one was given.
    pub gate: Option<GateAnswer>,
    /// Rows before the limit.
    pub rows_total: usize,
    /// In order of falling |change of self share|.
    pub rows: Vec<DiffEntry>,
}

/// One side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SideAnswer {
    /// The selector, or what stands for it.
    pub source: String,
    /// Start of the range.
    pub from_ms: u64,
    /// End of the range.
    pub until_ms: u64,
    /// The sum of all values.
    pub total: u64,
    /// How many samples.
    pub samples: u64,
    /// Samples that hosts lost.
    pub lost_samples: u64,
    /// Hosts, or runs.
    pub replicates: usize,
    /// How many those are worth.
    pub effective_replicates: f64,
}

/// How it was tested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MethodAnswer {
    /// `none`, `few`, `permutation`, `student_t` or `placebo`.
    pub kind: String,
    /// Exchanges of replicates that were tried.
    pub deals: usize,
    /// Days before that were compared.
    pub days: u32,
}

/// A change with its interval, all tests taken together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ChangeAnswer {
    /// On the base.
    pub base: f64,
    /// On the other side.
    pub new: f64,
    /// New minus base.
    pub change: f64,
    /// Half the width of the interval.
    pub margin: Option<f64>,
    /// The smallest change that would be found 19 times of 20.
    pub minimum_detectable: Option<f64>,
    /// Degrees of freedom of the error.
    pub df: Option<f64>,
    /// Whether chance is ruled out.
    pub is_significant: bool,
}

/// A key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyAnswer {
    /// Function, module or stack.
    pub name: String,
    /// The function's origin.
    pub module: String,
}

/// What changed of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FindingAnswer {
    /// Which.
    #[serde(flatten)]
    pub key: KeyAnswer,
    /// `self` or `total`.
    pub what: String,
    /// In shares of the base's total, after taking out what was found before it.
    pub change: ChangeAnswer,
    /// Whether it is large enough for a gate.
    pub is_gated: bool,
    /// Callers before the limit.
    pub places_total: usize,
    /// Callers, the largest change first.
    pub places: Vec<PlaceAnswer>,
}

/// A caller of a finding, with the finding's values below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceAnswer {
    /// Nothing where nobody calls it.
    pub caller: Option<KeyAnswer>,
    /// On the base.
    pub base: u64,
    /// On the other side.
    pub new: u64,
}

/// Cost that moved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MoveAnswer {
    /// `renamed`, `relocated`, `inlined` or `outlined`.
    pub kind: String,
    /// What is on one side only.
    pub from: KeyAnswer,
    /// Where its cost is on the other.
    pub to: Vec<KeyAnswer>,
    /// Its share of total before.
    pub base_share: f64,
    /// And after.
    pub new_share: f64,
}

/// What must be known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarningAnswer {
    /// For programs.
    pub code: String,
    /// For people.
    pub message: String,
}

/// A gate and what it came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateAnswer {
    /// As it was understood.
    pub expression: String,
    /// `fail`, `pass` or `undecided`.
    pub verdict: String,
    /// Its clauses, in order.
    pub clauses: Vec<ClauseAnswer>,
}

/// A clause of a gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClauseAnswer {
    /// As it was understood.
    pub clause: String,
    /// `above`, `below` or `undecided`.
    pub answer: String,
    /// For programs.
    pub reason: String,
    /// What decided it; nothing for the total.
    pub key: Option<KeyAnswer>,
    /// The interval of that, in the clause's terms.
    pub interval: Option<(f64, f64)>,
    /// In plain words, with what would decide it.
    pub explanation: String,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DiffEntry {
    /// Which.
    #[serde(flatten)]
    pub key: KeyAnswer,
    /// What ends in it on the base.
    pub base_self: u64,
    /// What it has a part in on the base.
    pub base_total: u64,
    /// What ends in it on the other side.
    pub new_self: u64,
    /// What it has a part in on the other side.
    pub new_total: u64,
    /// By how much what ends in it grew.
    pub self_change: i64,
    /// By how much what it has a part in grew.
    pub total_change: i64,
    /// `changed`, `composition` (its share changed because others did), `unchanged` or `untested`.
    pub status: String,
    /// Share of self.
    pub self_share: ChangeAnswer,
    /// Share of total.
    pub total_share: ChangeAnswer,
    /// The false discovery rate of a list that ends here: for exploring.
    pub q: Option<f64>,
}
