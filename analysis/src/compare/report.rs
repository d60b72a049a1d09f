//! What a comparison says, as data. Shares are parts of a side's own total, from 0 to 1.

use crate::stats::{Bar, Contrast, t_quantile};

use super::evidence::Method;
use super::table::{Key, KeyIx};

/// A change with its error, and what it would take to be believed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// On the base.
    pub base: f64,
    /// On the other side.
    pub new: f64,
    /// Standard error of new minus base; infinite where nothing is known of it.
    pub error: f64,
    /// Degrees of freedom of that.
    pub df: f64,
    /// How many standard errors a change must exceed, with all tests taken together.
    pub bar: Bar,
}

/// How sure one must be to find a change of the printed minimum: 95 %.
const MISSED: f64 = 0.05;

impl Change {
    /// With an error and a bar.
    #[must_use]
    pub fn new(contrast: Contrast, bar: Bar) -> Self {
        let Contrast { base, new, error, df } = contrast;
        Self { base, new, error, df, bar }
    }

    /// New minus base.
    #[must_use]
    pub fn change(&self) -> f64 {
        self.new - self.base
    }

    /// Half the width of the interval that holds the change, for all tests at once; infinite where
    /// nothing is known.
    #[must_use]
    pub fn margin(&self) -> f64 {
        match (self.bar.t.is_finite(), self.error == 0.0) {
            (false, _) => f64::INFINITY,
            (true, true) => 0.0,
            (true, false) => self.bar.t * self.error,
        }
    }

    /// Lower and upper end of that interval.
    #[must_use]
    pub fn interval(&self) -> (f64, f64) {
        (self.change() - self.margin(), self.change() + self.margin())
    }

    /// Whether chance is ruled out. Where few replicates can only tell increases, a decrease is not.
    #[must_use]
    pub fn is_significant(&self) -> bool {
        let is_told = !self.bar.is_one_sided || self.change() > 0.0;
        is_told && self.margin().is_finite() && self.change().abs() > self.margin()
    }

    /// The smallest change that would be found 19 times of 20. Of a change, t scatters more than of
    /// none, because the error that it is divided by is an estimate itself: a noncentral t, taken as
    /// normal (Johnson and Welch, Biometrika 31, 1940).
    #[must_use]
    pub fn minimum_detectable(&self) -> f64 {
        if self.error == 0.0 {
            return self.margin();
        }
        let bar = self.bar.t;
        let scatter =
            if bar.is_finite() { (1.0 + bar * bar / (2.0 * self.df)).sqrt() } else { 1.0 };
        // One-sided: twice the level gives the two-sided quantile of the library call.
        self.margin() + t_quantile(2.0 * MISSED, self.df) * scatter * self.error
    }

    /// The same, with changes and errors times `factor`.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        Self {
            base: self.base * factor,
            new: self.new * factor,
            error: self.error * factor,
            ..*self
        }
    }
}

/// Which value of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What {
    /// What ends in it.
    Own,
    /// What it has a part in.
    Total,
}

/// One side as a whole.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SideTotals {
    /// The sum of all values.
    pub total: u64,
    /// Samples.
    pub samples: u64,
    /// Replicates with any value.
    pub replicates: usize,
    /// How many that are worth, when some are larger than others.
    pub clusters: f64,
    /// What the total is divided by; 0 where nobody knows.
    pub exposure: u64,
}

/// One key. Values are base and new.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Which.
    pub key: KeyIx,
    /// What ends in it.
    pub own: [u64; 2],
    /// What it has a part in.
    pub total: [u64; 2],
    /// Samples that it has a part in.
    pub samples: [u64; 2],
    /// Change of its share of self, as it is seen.
    pub own_change: Change,
    /// Change of its share of total, as it is seen.
    pub total_change: Change,
    /// Change of self after taking out what is reported elsewhere: what a gate looks at.
    pub own_rest: Change,
    /// Change of total after taking out what is reported elsewhere.
    pub total_rest: Change,
    /// Whether it is large enough for a gate.
    pub is_gated: bool,
    /// Whether it has enough samples for any test.
    pub is_tested: bool,
    /// The false discovery rate of a list that ends with it; for exploring only.
    pub q: f64,
}

/// A key that changed of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Which.
    pub key: KeyIx,
    /// Its self value, or its total beyond what is reported of its callees.
    pub what: What,
    /// In shares of the base's total, after taking out what was found before it.
    pub change: Change,
    /// Distinct callers, with their values (base, new), the largest change first.
    pub places: Vec<(Option<KeyIx>, [u64; 2])>,
    /// Whether it is large enough for a gate.
    pub is_gated: bool,
}

/// How cost moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoveKind {
    /// Another name at the same place.
    Renamed,
    /// The same name in another module or class.
    Relocated,
    /// Gone into its callers.
    Inlined,
    /// Split off its callers.
    Outlined,
}

/// Cost that is elsewhere, not more.
#[derive(Debug, Clone, PartialEq)]
pub struct Move {
    /// How.
    pub kind: MoveKind,
    /// What is on one side only: gone, or new where it was outlined.
    pub from: Key,
    /// Where the cost is now, or was.
    pub to: Vec<Key>,
    /// Shares of total: on the base before, on the new side after.
    pub share: [f64; 2],
}

/// What whoever reads the answer must know.
#[derive(Debug, Clone, PartialEq)]
pub enum Warning {
    /// No error is known: at least this side has one replicate.
    NoReplicates,
    /// Errors are known, but too badly to decide.
    FewReplicates,
    /// Sides lie in different time and there are too few days before them to compare with.
    TrafficNotCovered {
        /// Days that could be compared.
        placebos: u32,
    },
    /// So many keys' shares changed only because others' did.
    Composition {
        /// Keys whose plain change is significant, but not after taking out what is reported.
        keys: usize,
    },
    /// What is reported is so large a part that shares of the rest say little.
    LittleRest {
        /// Which part of the base is left.
        share: f64,
    },
    /// The list of findings is cut.
    MoreFindings,
}

/// All that a comparison says.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Base and new.
    pub sides: [SideTotals; 2],
    /// What kind of test the replicates allow.
    pub method: Method,
    /// How many tests share the error rate.
    pub tests: usize,
    /// Change of the total per exposure, relative to the base: 0 is no change. None where exposure
    /// is not known.
    pub total: Option<Change>,
    /// What rows and findings are of.
    pub keys: Vec<Key>,
    /// Every key that has any value, in order of falling |change of self share|, then of total.
    pub rows: Vec<Row>,
    /// What changed of itself, as found: the largest self changes first, then totals.
    pub findings: Vec<Finding>,
    /// What moved.
    pub moves: Vec<Move>,
    /// What must be known.
    pub warnings: Vec<Warning>,
}
