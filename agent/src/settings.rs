//! Settings of the agent: flags > environment (`STOKER_…`) > a TOML file > defaults.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use stoker_agent::guard::{Budget, KillSwitch};
use stoker_agent::kernel::{KernelError, Target, check_frequency};
use stoker_agent::run::AgentConfig;

/// Frequencies that can be asked for, in Hz; the kernel may allow less.
pub(crate) const FREQUENCY_HZ_MAX: u32 = 10_000;
/// Seconds between batches that can be asked for.
const FLUSH_SECONDS_MAX: u64 = 60;
/// Largest file that is taken for a configuration.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Most memory for unwinding tables, in MiB: what 32-bit word numbers can tell apart.
const UNWIND_MIB_MAX: u64 = 8 << 10;

/// Settings as one source gives them; what it does not say is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) server: Option<String>,
    pub(crate) state_dir: Option<PathBuf>,
    pub(crate) host: Option<String>,
    pub(crate) labels: Option<BTreeMap<String, String>>,
    pub(crate) frequency: Option<u32>,
    pub(crate) pid: Option<Vec<u32>>,
    pub(crate) cgroup: Option<PathBuf>,
    pub(crate) detailed: Option<bool>,
    pub(crate) flush_seconds: Option<u64>,
    pub(crate) spool_bytes: Option<u64>,
    pub(crate) max_cpu: Option<u32>,
    pub(crate) max_memory: Option<u64>,
    pub(crate) max_unwind_memory: Option<u64>,
    pub(crate) kill_switch: Option<PathBuf>,
    pub(crate) http: Option<SocketAddr>,
    pub(crate) insecure: Option<bool>,
    pub(crate) seccomp: Option<bool>,
    pub(crate) log: Option<String>,
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("cannot read the configuration {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("the configuration {} is larger than a configuration can be ({FILE_BYTES_MAX} bytes)", path.display())]
    TooLarge { path: PathBuf },
    #[error("the configuration {} is wrong: {place}{message}", path.display())]
    Wrong { path: PathBuf, place: String, message: String },
    #[error("{setting}: {message}")]
    Value { setting: &'static str, message: String },
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

/// All that a daemon is told.
#[derive(Debug, Clone)]
pub(crate) struct Daemon {
    pub(crate) agent: AgentConfig,
    pub(crate) http: Option<SocketAddr>,
    pub(crate) seccomp: bool,
    pub(crate) log: String,
}

impl Settings {
    /// Reads a TOML file.
    pub(crate) fn read(path: &Path) -> Result<Self, SettingsError> {
        let unreadable = |source| SettingsError::Unreadable { path: path.into(), source };
        if std::fs::metadata(path).map_err(unreadable)?.len() > FILE_BYTES_MAX {
            return Err(SettingsError::TooLarge { path: path.into() });
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        toml::from_str(&text).map_err(|error| {
            let line = |at: usize| text.get(..at).unwrap_or_default().matches('\n').count() + 1;
            let place = error.span().map(|span| format!("line {}: ", line(span.start)));
            SettingsError::Wrong {
                path: path.into(),
                place: place.unwrap_or_default(),
                message: error.message().replace('\n', " "),
            }
        })
    }

    /// These settings, and what they leave open from `weaker`.
    pub(crate) fn or(self, weaker: Self) -> Self {
        // A target is chosen as a whole: a pid on the command line does not meet a cgroup in a file.
        let has_target = self.pid.is_some() || self.cgroup.is_some();
        let (pid, cgroup) =
            if has_target { (self.pid, self.cgroup) } else { (weaker.pid, weaker.cgroup) };
        Self {
            server: self.server.or(weaker.server),
            state_dir: self.state_dir.or(weaker.state_dir),
            host: self.host.or(weaker.host),
            labels: self.labels.or(weaker.labels),
            frequency: self.frequency.or(weaker.frequency),
            pid,
            cgroup,
            detailed: self.detailed.or(weaker.detailed),
            flush_seconds: self.flush_seconds.or(weaker.flush_seconds),
            spool_bytes: self.spool_bytes.or(weaker.spool_bytes),
            max_cpu: self.max_cpu.or(weaker.max_cpu),
            max_memory: self.max_memory.or(weaker.max_memory),
            max_unwind_memory: self.max_unwind_memory.or(weaker.max_unwind_memory),
            kill_switch: self.kill_switch.or(weaker.kill_switch),
            http: self.http.or(weaker.http),
            insecure: self.insecure.or(weaker.insecure),
            seccomp: self.seccomp.or(weaker.seccomp),
            log: self.log.or(weaker.log),
        }
    }

    /// The daemon that they describe, with defaults for the rest.
    pub(crate) fn into_daemon(self) -> Result<Daemon, SettingsError> {
        self.check()?;
        let target = self.target()?;
        let budget = self.budget();
        let default = AgentConfig::default();
        let state_dir = self.state_dir.unwrap_or(default.state_dir);
        let kill_switch = self
            .kill_switch
            .unwrap_or_else(|| KillSwitch::of_state_dir(&state_dir).path().to_path_buf());
        Ok(Daemon {
            agent: AgentConfig {
                server: self.server.unwrap_or(default.server),
                host: self.host,
                labels: self.labels.unwrap_or_default().into_iter().collect(),
                frequency_hz: self.frequency.unwrap_or(default.frequency_hz),
                target,
                detailed: self.detailed.unwrap_or(default.detailed),
                flush_every: self.flush_seconds.map_or(default.flush_every, Duration::from_secs),
                unwind_bytes: self.max_unwind_memory.map_or(default.unwind_bytes, |mib| mib << 20),
                spool_max_bytes: self.spool_bytes.unwrap_or(default.spool_max_bytes),
                budget,
                kill_switch: Some(kill_switch),
                state_dir,
            },
            http: self.http,
            seccomp: self.seccomp.unwrap_or(true),
            log: self.log.unwrap_or_else(|| "info".to_owned()),
        })
    }

    /// 0 takes a bound away.
    fn budget(&self) -> Budget {
        let default = Budget::of_a_daemon();
        let cpu_percent = self.max_cpu.or(default.cpu_percent);
        let memory_bytes = self.max_memory.map(|mib| mib << 20).or(default.memory_bytes);
        Budget {
            cpu_percent: cpu_percent.filter(|percent| *percent > 0),
            memory_bytes: memory_bytes.filter(|bytes| *bytes > 0),
        }
    }

    fn target(&self) -> Result<Target, SettingsError> {
        match (&self.cgroup, self.pid.as_deref().unwrap_or_default()) {
            (Some(_), [_, ..]) => {
                Err(wrong("pid", "choose processes or a control group, not both"))
            }
            (Some(cgroup), []) => Ok(Target::Cgroup(cgroup.clone())),
            (None, []) => Ok(Target::All),
            (None, pids) => Ok(Target::Pids(pids.to_vec())),
        }
    }

    fn check(&self) -> Result<(), SettingsError> {
        if let Some(hz) = self.frequency {
            if !(1..=FREQUENCY_HZ_MAX).contains(&hz) {
                return Err(wrong("frequency", &format!("choose 1 to {FREQUENCY_HZ_MAX} Hz")));
            }
            check_frequency(hz)?;
        }
        if self.flush_seconds.is_some_and(|s| !(1..=FLUSH_SECONDS_MAX).contains(&s)) {
            let message = format!("choose 1 to {FLUSH_SECONDS_MAX} seconds");
            return Err(wrong("flush_seconds", &message));
        }
        if self.max_memory.is_some_and(|mib| mib > u64::MAX >> 20) {
            return Err(wrong("max_memory", "write it in MiB"));
        }
        if self.max_unwind_memory.is_some_and(|mib| mib > UNWIND_MIB_MAX) {
            return Err(wrong("max_unwind_memory", &format!("choose 0 to {UNWIND_MIB_MAX} MiB")));
        }
        for name in self.labels.iter().flat_map(BTreeMap::keys) {
            check_label(name).map_err(|message| wrong("labels", &message))?;
        }
        let loopback = self.http.is_none_or(|http| http.ip().is_loopback());
        if !loopback && !self.insecure.unwrap_or(false) {
            let message = "other machines could reach this address, and nobody is asked who they are: choose one on 127.0.0.1, or say --insecure";
            return Err(wrong("http", message));
        }
        Ok(())
    }
}

impl Daemon {
    /// What differs and counts only after a restart.
    pub(crate) fn needs_restart(&self, new: &Self) -> Vec<&'static str> {
        let (a, b) = (&self.agent, &new.agent);
        let differences = [
            ("server", a.server != b.server),
            ("state_dir", a.state_dir != b.state_dir),
            ("host", a.host != b.host),
            ("pid or cgroup", a.target != b.target),
            ("detailed", a.detailed != b.detailed),
            ("flush_seconds", a.flush_every != b.flush_every),
            ("spool_bytes", a.spool_max_bytes != b.spool_max_bytes),
            ("max_unwind_memory", a.unwind_bytes != b.unwind_bytes),
            ("kill_switch", a.kill_switch != b.kill_switch),
            ("http", self.http != new.http),
            ("seccomp", self.seccomp != new.seccomp),
            ("log", self.log != new.log),
        ];
        differences.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
    }
}

fn wrong(setting: &'static str, message: &str) -> SettingsError {
    SettingsError::Value { setting, message: message.to_owned() }
}

/// Whether a label can have this name.
pub(crate) fn check_label(name: &str) -> Result<(), String> {
    let mut letters = name.chars();
    let first_fits = letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if first_fits && letters.all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Ok(());
    }
    Err(format!("{name:?} is no label name: use letters, digits and _"))
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
