//! CPU time of a process by the names of its threads, from `/proc`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use anyhow::{Context as _, Result};

/// Seconds by thread name.
#[derive(Debug, Clone)]
pub struct Spent(BTreeMap<String, f64>);

impl Spent {
    /// What the threads of a process have spent so far. Those that have ended are left out.
    ///
    /// # Errors
    /// When there is no such process, or the kernel keeps no such times.
    pub fn of(pid: u32) -> Result<Self> {
        let mut spent = BTreeMap::new();
        for task in fs::read_dir(format!("/proc/{pid}/task")).context("the server is gone")? {
            let path = task?.path();
            // A thread may end meanwhile.
            let (Ok(name), Ok(schedstat)) =
                (fs::read_to_string(path.join("comm")), fs::read_to_string(path.join("schedstat")))
            else {
                continue;
            };
            let ns = schedstat.split_whitespace().next().and_then(|ns| ns.parse().ok());
            let ns: u64 = ns.context("schedstat has no times")?;
            *spent.entry(name.trim().to_owned()).or_insert(0.0) += ns as f64 / 1e9;
        }
        Ok(Self(spent))
    }

    /// What was spent since then.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let earlier = |name: &str| before.0.get(name).copied().unwrap_or(0.0);
        let since = self.0.iter().map(|(name, now)| (name.clone(), (now - earlier(name)).max(0.0)));
        Self(since.collect())
    }

    /// Of all threads.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.0.values().sum::<f64>().max(1e-9)
    }

    /// For people: seconds divided by `parts`, the largest first.
    #[must_use]
    pub fn per(&self, parts: f64) -> String {
        let mut all: Vec<(&String, f64)> = self.0.iter().map(|(n, s)| (n, s / parts)).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        let mut text = format!("{:.3} in all", self.total() / parts);
        for (name, seconds) in all.into_iter().filter(|(_, seconds)| *seconds >= 0.0005) {
            let _ = write!(text, ", {name} {seconds:.3}");
        }
        text
    }
}
