//! Settings of the server: flags > environment (`STOKER_…`) > a TOML file > defaults.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::http::HttpConfig;
use crate::links;
use crate::query::{Limits, Prices, time};
use crate::store::{GROUP_LABEL, StoreConfig};
use crate::symbols::SymbolsConfig;

/// Where the API and the viewer answer unless told otherwise.
pub const DEFAULT_HTTP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4040);
/// Where agents send to unless told otherwise.
pub const DEFAULT_GRPC: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4041);
/// Where data are kept unless told otherwise.
pub const DEFAULT_DATA_DIR: &str = "stoker-data";

/// Reads an address as flags give it; `localhost` is 127.0.0.1.
///
/// # Errors
/// When it is none: says how to write it.
pub fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let numeric = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    let example = "write an IP address and a port, such as 127.0.0.1:4040 or [::1]:4040";
    numeric.parse().map_err(|_| example.to_owned())
}

/// How a server runs.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where data are kept; the folder is made when it is not there.
    pub data_dir: PathBuf,
    /// Address of the API and the viewer; port 0 takes any free one.
    pub http: SocketAddr,
    /// Address for agents; port 0 takes any free one.
    pub grpc: SocketAddr,
    /// Whether addresses other than loopback may be bound although nothing is encrypted and nobody
    /// is asked who they are.
    pub insecure: bool,
    /// Further names that the API answers to.
    pub allowed_hosts: Vec<String>,
    /// What one query may take.
    pub limits: Limits,
    /// Queries that run at a time; 0 is one for each CPU and one more.
    pub concurrent_queries: usize,
    /// Bytes of answers that are kept.
    pub query_cache: usize,
    /// How much debug information is kept, and how it is read.
    pub symbols: SymbolsConfig,
    /// What CPU costs.
    pub prices: Arc<Prices>,
    /// Most bytes of the data of all short links; with 0 none are made.
    pub max_links: u64,
    /// When logs are sealed, and other settings of the store; its folder is [`Self::data_dir`].
    pub store: StoreConfig,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            data_dir: DEFAULT_DATA_DIR.into(),
            http: DEFAULT_HTTP,
            grpc: DEFAULT_GRPC,
            insecure: false,
            allowed_hosts: Vec::new(),
            limits: Limits::default(),
            concurrent_queries: 0,
            query_cache: 64 << 20,
            symbols: SymbolsConfig::default(),
            prices: Arc::default(),
            max_links: links::DEFAULT_MAX_BYTES,
            store: StoreConfig::default(),
        }
    }
}

impl ServerConfig {
    pub(crate) fn http_config(&self, bound: SocketAddr) -> HttpConfig {
        HttpConfig {
            allowed: crate::http::AllowedHosts::new(bound, &self.allowed_hosts),
            limits: self.limits,
            concurrent_queries: self.concurrent_queries,
            cache_bytes: self.query_cache,
            prices: Arc::clone(&self.prices),
        }
    }
}

/// Settings as one source gives them; what it does not say is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// [`ServerConfig::data_dir`].
    pub data_dir: Option<PathBuf>,
    /// [`ServerConfig::http`].
    pub http: Option<SocketAddr>,
    /// [`ServerConfig::grpc`].
    pub grpc: Option<SocketAddr>,
    /// [`ServerConfig::insecure`].
    pub insecure: Option<bool>,
    /// [`ServerConfig::allowed_hosts`].
    pub allowed_hosts: Option<Vec<String>>,
    /// How long a query may take, as `30s`.
    pub query_timeout: Option<String>,
    /// [`ServerConfig::concurrent_queries`].
    pub concurrent_queries: Option<usize>,
    /// Bytes of memory that a query may take, as `1GiB`.
    pub query_memory: Option<String>,
    /// Bytes of answers that are kept, as `64MiB`.
    pub query_cache: Option<String>,
    /// MiB of debug information that are kept: [`SymbolsConfig::max_bytes`].
    pub max_symbols: Option<u64>,
    /// MiB of the data of short links that are kept: [`ServerConfig::max_links`].
    pub max_links: Option<u64>,
    /// How long data are kept as they came, as `7d`; `forever` keeps them.
    pub retain_raw: Option<String>,
    /// How long stacks are kept by the hour, as `90d`; `0` makes no such rollups.
    pub retain_hourly: Option<String>,
    /// How long functions are kept by the hour, as `400d`; `0` makes no such tables.
    pub retain_functions: Option<String>,
    /// Labels that rollups keep beside the usual ones.
    pub rollup_labels: Option<Vec<String>>,
    /// Bytes that the folder's logs and segments may take, as `20GiB`.
    pub max_disk: Option<String>,
    /// Bytes of the disk that stay free, as `1GiB`.
    pub min_free_disk: Option<String>,
    /// Bytes of memory that ingest may take, as `1GiB`.
    pub ingest_memory: Option<String>,
    /// [`StoreConfig::max_series`].
    pub max_series: Option<usize>,
    /// [`StoreConfig::max_attribute_sets`].
    pub max_attribute_sets: Option<usize>,
    /// A TOML file of prices.
    pub prices: Option<PathBuf>,
    /// What is logged, as `info` or `stoker_server=debug,info`.
    pub log: Option<String>,
    /// `text` or `json`.
    pub log_format: Option<LogFormat>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file says what cannot be understood.
    #[error("the configuration {} is wrong: {message}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Where and what.
        message: String,
    },
    /// The table of prices cannot be used.
    #[error("{0}")]
    Prices(String),
    /// A setting has an impossible value.
    #[error("{setting}: {message}; {hint}")]
    Value {
        /// Which setting.
        setting: &'static str,
        /// What is wrong.
        message: String,
        /// What to write.
        hint: String,
    },
}

impl Settings {
    /// Reads a TOML file.
    ///
    /// # Errors
    /// When it cannot be read, is no TOML, or has a setting that is not known.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.into(), source })?;
        toml::from_str(&text).map_err(|error| {
            let line = error.span().map(|span| text[..span.start].matches('\n').count() + 1);
            let place = line.map_or_else(String::new, |line| format!("line {line}: "));
            let message = format!("{place}{}", error.message());
            ConfigError::Wrong { path: path.into(), message }
        })
    }

    /// These settings, and those of `weaker` where they say nothing.
    #[must_use]
    pub fn or(self, weaker: Self) -> Self {
        Self {
            data_dir: self.data_dir.or(weaker.data_dir),
            http: self.http.or(weaker.http),
            grpc: self.grpc.or(weaker.grpc),
            insecure: self.insecure.or(weaker.insecure),
            allowed_hosts: self.allowed_hosts.or(weaker.allowed_hosts),
            query_timeout: self.query_timeout.or(weaker.query_timeout),
            concurrent_queries: self.concurrent_queries.or(weaker.concurrent_queries),
            query_memory: self.query_memory.or(weaker.query_memory),
            query_cache: self.query_cache.or(weaker.query_cache),
            max_symbols: self.max_symbols.or(weaker.max_symbols),
            max_links: self.max_links.or(weaker.max_links),
            retain_raw: self.retain_raw.or(weaker.retain_raw),
            retain_hourly: self.retain_hourly.or(weaker.retain_hourly),
            retain_functions: self.retain_functions.or(weaker.retain_functions),
            rollup_labels: self.rollup_labels.or(weaker.rollup_labels),
            max_disk: self.max_disk.or(weaker.max_disk),
            min_free_disk: self.min_free_disk.or(weaker.min_free_disk),
            ingest_memory: self.ingest_memory.or(weaker.ingest_memory),
            max_series: self.max_series.or(weaker.max_series),
            max_attribute_sets: self.max_attribute_sets.or(weaker.max_attribute_sets),
            prices: self.prices.or(weaker.prices),
            log: self.log.or(weaker.log),
            log_format: self.log_format.or(weaker.log_format),
        }
    }

    /// The server that they describe, with defaults for the rest.
    ///
    /// # Errors
    /// When a value is impossible.
    pub fn into_config(self) -> Result<ServerConfig, ConfigError> {
        let default = ServerConfig::default();
        let mut limits = default.limits;
        if let Some(text) = &self.query_timeout {
            limits.timeout = positive("query_timeout", text)?;
        }
        if let Some(text) = &self.query_memory {
            limits.max_memory_bytes = size("query_memory", text, MIN_QUERY_MEMORY)?;
        }
        let query_cache = self.query_cache.as_deref().map(|text| size("query_cache", text, 0));
        let mut symbols = default.symbols;
        if let Some(mib) = self.max_symbols {
            symbols.max_bytes = mib.saturating_mul(1 << 20);
        }
        let mut store = default.store;
        if let Some(text) = &self.retain_raw {
            let forever = text.trim() == "forever";
            store.retain_raw = if forever { None } else { Some(positive("retain_raw", text)?) };
        }
        if let Some(text) = &self.retain_hourly {
            store.retain_hourly = retention("retain_hourly", text)?;
        }
        if let Some(text) = &self.retain_functions {
            store.retain_functions = retention("retain_functions", text)?;
        }
        if let Some(labels) = &self.rollup_labels {
            store.rollup_labels = rollup_labels(labels)?;
        }
        if let Some(text) = &self.max_disk {
            store.max_disk = Some(bytes("max_disk", text, MIN_DISK_BYTES)?);
        }
        if let Some(text) = &self.min_free_disk {
            store.min_free_disk = Some(bytes("min_free_disk", text, 0)?);
        }
        if let Some(text) = &self.ingest_memory {
            store.ingest_memory = bytes("ingest_memory", text, MIN_INGEST_MEMORY)?;
        }
        store.max_series = self.max_series.unwrap_or(store.max_series);
        store.max_attribute_sets = self.max_attribute_sets.unwrap_or(store.max_attribute_sets);
        let prices = self.prices.as_deref().map(Prices::read).transpose();
        let prices = prices.map_err(ConfigError::Prices)?.unwrap_or_default();
        Ok(ServerConfig {
            data_dir: self.data_dir.unwrap_or(default.data_dir),
            http: self.http.unwrap_or(default.http),
            grpc: self.grpc.unwrap_or(default.grpc),
            insecure: self.insecure.unwrap_or(false),
            allowed_hosts: self.allowed_hosts.unwrap_or_default(),
            limits,
            concurrent_queries: self.concurrent_queries.unwrap_or(0),
            query_cache: query_cache.transpose()?.unwrap_or(default.query_cache),
            symbols,
            prices: Arc::new(prices),
            max_links: self.max_links.map_or(default.max_links, |mib| mib.saturating_mul(1 << 20)),
            store,
        })
    }
}

fn positive(setting: &'static str, text: &str) -> Result<Duration, ConfigError> {
    let wrong = |message: String, hint: String| ConfigError::Value { setting, message, hint };
    let duration = time::duration(text).map_err(|error| wrong(error.message, error.hint))?;
    match duration.is_zero() {
        true => Err(wrong("it must be more than 0".into(), "write it like 30s or 7d".into())),
        false => Ok(duration),
    }
}

/// How long a rollup is kept; zero is never.
fn retention(setting: &'static str, text: &str) -> Result<Option<Duration>, ConfigError> {
    match text.trim() {
        "forever" => Ok(None),
        "0" => Ok(Some(Duration::ZERO)),
        text => positive(setting, text).map(Some),
    }
}

/// The most labels that rollups may keep beside the usual ones.
const MAX_ROLLUP_LABELS: usize = 16;

fn rollup_labels(labels: &[String]) -> Result<Vec<Arc<str>>, ConfigError> {
    let wrong = |message: String| {
        let hint = "name labels of few values, such as team".to_owned();
        ConfigError::Value { setting: "rollup_labels", message, hint }
    };
    if labels.len() > MAX_ROLLUP_LABELS {
        return Err(wrong(format!("more than {MAX_ROLLUP_LABELS} labels")));
    }
    match labels.iter().find(|label| ["", "host", GROUP_LABEL].contains(&label.trim())) {
        Some(label) => Err(wrong(format!("{label:?} cannot be kept"))),
        None => Ok(labels.iter().map(|label| label.trim().into()).collect()),
    }
}

/// The least that a quota may be: a log of the usual size and the segment that it becomes.
const MIN_DISK_BYTES: u64 = 256 << 20;

/// The least that ingest gets: less, and a log would hold a handful of batches.
const MIN_INGEST_MEMORY: u64 = 64 << 20;

/// The least that a query gets: what a small answer takes.
const MIN_QUERY_MEMORY: u64 = 16 << 20;

fn size(setting: &'static str, text: &str, least: u64) -> Result<usize, ConfigError> {
    bytes(setting, text, least).map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
}

/// Reads a number of bytes, as `500MiB`, `20GiB`, `1TiB`; a bare number is bytes.
fn bytes(setting: &'static str, text: &str, least: u64) -> Result<u64, ConfigError> {
    const UNITS: [(&str, u32); 7] =
        [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40), ("K", 10), ("M", 20), ("G", 30)];
    let trimmed = text.trim();
    let unit = UNITS.iter().find_map(|(unit, shift)| Some((trimmed.strip_suffix(unit)?, *shift)));
    let (number, shift) = unit.unwrap_or((trimmed, 0));
    let number: Option<u64> = number.trim().parse().ok();
    let bytes = number.and_then(|number| number.checked_mul(1 << shift));
    let wrong = |message: String| {
        let hint = match least >> 20 {
            0 => "write it like 20GiB".to_owned(),
            mib => format!("write it like 20GiB, at least {mib}MiB"),
        };
        ConfigError::Value { setting, message, hint }
    };
    match bytes {
        None => Err(wrong(format!("{text:?} is no number of bytes"))),
        Some(bytes) if bytes < least => Err(wrong(format!("{text:?} is too little"))),
        Some(bytes) => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Settings, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Settings::read(file.path()).map_err(|error| {
            let path = file.path().display().to_string();
            error.to_string().replace(&path, "FILE")
        })
    }

    #[test]
    fn the_stronger_source_wins_setting_by_setting() {
        let file = read("http = \"127.0.0.1:1\"\ngrpc = \"127.0.0.1:2\"\nquery_timeout = \"5s\"");
        let flags = Settings { http: Some("127.0.0.1:9".parse().unwrap()), ..Settings::default() };
        let config = flags.or(file.unwrap()).into_config().unwrap();
        assert_eq!((config.http.port(), config.grpc.port()), (9, 2));
        assert_eq!(config.limits.timeout, Duration::from_secs(5));
        assert_eq!(config.data_dir, Path::new("stoker-data"));
    }

    #[test]
    fn addresses_are_numbers_or_localhost() {
        assert_eq!(parse_address("localhost:0").unwrap().to_string(), "127.0.0.1:0");
        assert_eq!(parse_address("[::1]:4040").unwrap().port(), 4040);
        assert!(parse_address("web-1:4040").unwrap_err().contains("127.0.0.1:4040"));
    }

    #[test]
    fn retention_and_quota_are_read() {
        let config = |retain: &str, disk: &str| {
            let (retain_raw, max_disk) = (Some(retain.into()), Some(disk.into()));
            let settings = Settings { retain_raw, max_disk, ..Settings::default() };
            settings.into_config().map(|config| (config.store.retain_raw, config.store.max_disk))
        };
        let day = Duration::from_secs(24 * 3600);
        assert_eq!(config("2d", "1GiB").unwrap(), (Some(2 * day), Some(1 << 30)));
        assert_eq!(config("forever", "300M").unwrap(), (None, Some(300 << 20)));
        assert_eq!(Settings::default().into_config().unwrap().store.retain_raw, Some(7 * day));
        for (retain, disk, wanted) in [
            ("0s", "1GiB", "retain_raw: it must be more than 0"),
            ("soon", "1GiB", "retain_raw: \"soon\" is no duration"),
            ("1d", "1MiB", "max_disk: \"1MiB\" is too little; write it like 20GiB"),
            ("1d", "much", "max_disk: \"much\" is no number of bytes"),
            ("1d", "99999999999TiB", "max_disk: \"99999999999TiB\" is no number of bytes"),
        ] {
            let error = config(retain, disk).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn rollups_are_read() {
        let file =
            "retain_hourly = \"0\"\nretain_functions = \"forever\"\nrollup_labels = [\"team\"]";
        let store = read(file).unwrap().into_config().unwrap().store;
        assert_eq!((store.retain_hourly, store.retain_functions), (Some(Duration::ZERO), None));
        assert_eq!(store.rollup_labels, ["team".into()]);
        for (text, wanted) in [
            ("retain_hourly = \"0s\"", "retain_hourly: it must be more than 0"),
            ("rollup_labels = [\"host\"]", "rollup_labels: \"host\" cannot be kept"),
            ("rollup_labels = [\"\"]", "rollup_labels: \"\" cannot be kept"),
        ] {
            let error = read(text).unwrap().into_config().unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, wanted) in [
            ("http = 1", "the configuration FILE is wrong: line 1: "),
            ("\nhtpp = \"x\"", "line 2: unknown field `htpp`"),
            ("http =", "line 1: "),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(wanted), "{error}");
        }
        let zero = Settings { query_timeout: Some("0s".into()), ..Settings::default() };
        let error = zero.into_config().unwrap_err().to_string();
        assert!(error.contains("query_timeout: it must be more than 0"), "{error}");
    }
}
