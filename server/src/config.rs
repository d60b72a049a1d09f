//! Settings of the server: flags > environment (`STOKER_…`) > a TOML file > defaults.

#[cfg(test)]
mod tests;
mod values;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use crate::http::HttpConfig;
use crate::links;
use crate::query::{Limits, Prices};
use crate::store::StoreConfig;
use crate::symbols::SymbolsConfig;
use values::{
    MIN_DISK_BYTES, MIN_INGEST_MEMORY, MIN_QUERY_MEMORY, bytes, positive, retention, rollup_labels,
    size,
};

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
    /// Bytes of decoded blocks that are kept, as `256MiB`.
    pub block_cache: Option<String>,
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
            block_cache: self.block_cache.or(weaker.block_cache),
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
        if let Some(text) = &self.block_cache {
            store.cache_bytes = size("block_cache", text, 0)?;
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
