//! Statistics on replicates, with no idea of what a profile is: ratios clustered by replicate, their
//! contrasts between two sides, permutation tests over many quantities at once, and how one error
//! rate is shared by many tests. `docs/diffs.md` explains the method and shows its calibration.
//!
//! Everything is deterministic: random numbers come from a seed that is a constant.

mod contrast;
mod distribution;
mod drift;
mod many;
mod permutation;
mod placebo;

pub use contrast::{Contrast, Design, Ratio, effective_clusters, paired, ratio, unpaired};
pub use distribution::{t_quantile, t_tail};
pub use drift::{Drift, drift};
pub use many::{benjamini_hochberg, bonferroni};
pub use permutation::{Assignments, Bar, MaxTail, max_tail};
pub use placebo::{MIN_PLACEBOS, Placebo};
