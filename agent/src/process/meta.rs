//! What a process is, apart from where its code lies: the labels and attributes of its samples
//! (DESIGN section 3, "Labels").

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use stoker_dag::BuildId;

use super::cgroup::CgroupPlace;
use super::jit::read_bounded;
use stoker_symbols::clean_text;

/// Most bytes of a process's environment that are looked through.
pub const ENVIRON_BYTES_MAX: u64 = 128 * 1024;
/// Most bytes of `/proc/PID/cgroup`.
pub const CGROUP_TEXT_BYTES_MAX: u64 = 16 * 1024;
/// Longest value of a label.
pub const LABEL_BYTES_MAX: usize = 256;
/// `service_name` of the kernel's own threads.
pub const KERNEL_SERVICE: &str = "kernel";
/// How much of a container's id stands in `service_name`, as the runtimes show it.
const SHORT_CONTAINER_ID: usize = 12;

/// The labels and attributes of one process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProcessMeta {
    /// `OTEL_SERVICE_NAME` (or `service.name` of `OTEL_RESOURCE_ATTRIBUTES`), else the systemd
    /// unit without `.service`, else container or pod, else the executable's name. Never empty.
    pub service_name: Arc<str>,
    /// `OTEL_SERVICE_VERSION`, else `service.version` of `OTEL_RESOURCE_ATTRIBUTES`, else empty.
    pub version: Arc<str>,
    /// `service.namespace` of `OTEL_RESOURCE_ATTRIBUTES`, else empty.
    pub namespace: Arc<str>,
    /// Command name of the main thread.
    pub comm: Arc<str>,
    /// File name of the main executable; empty for kernel threads.
    pub exe_name: Arc<str>,
    /// Build of the main executable.
    pub build_id: Option<BuildId>,
    /// Cgroup path, below its hierarchy's root.
    pub cgroup: Arc<str>,
    /// Id, or name, of the innermost container.
    pub container_id: Option<Arc<str>>,
    /// The systemd service, with `.service`.
    pub systemd_unit: Option<Arc<str>>,
    /// Uid of the Kubernetes pod.
    pub pod_uid: Option<Arc<str>>,
}

/// What the environment says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OtelNames {
    /// Service name.
    pub name: Option<String>,
    /// Service version.
    pub version: Option<String>,
    /// Service namespace.
    pub namespace: Option<String>,
}

impl OtelNames {
    /// Reads an environment, `NAME=value` with zero bytes between.
    #[must_use]
    pub fn parse(environ: &[u8]) -> Self {
        let value = |name: &str| {
            let entries = environ.split(|&byte| byte == 0);
            let mut values =
                entries.filter_map(|e| e.strip_prefix(name.as_bytes())?.strip_prefix(b"="));
            values.next().map(String::from_utf8_lossy)
        };
        let resource = value("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        let attribute = |name: &str| attribute(&resource, name);
        let own = |name: &str| value(name).map(|v| label(v.trim())).filter(|v| !v.is_empty());
        Self {
            name: own("OTEL_SERVICE_NAME").or_else(|| attribute("service.name")),
            version: own("OTEL_SERVICE_VERSION").or_else(|| attribute("service.version")),
            namespace: attribute("service.namespace"),
        }
    }
}

/// The value of one of `key=value,key=value`, percent-encoded (OpenTelemetry resource SDK, after
/// W3C Baggage).
fn attribute(list: &str, name: &str) -> Option<String> {
    let pairs = list.split(',').filter_map(|pair| pair.split_once('='));
    let value = pairs.into_iter().find(|(key, _)| key.trim() == name)?.1;
    let value = label(&percent_decoded(value.trim()));
    (!value.is_empty()).then_some(value)
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                plain.push(byte);
                at += 3;
            }
            None => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

fn label(text: &str) -> String {
    clean_text(text, LABEL_BYTES_MAX)
}

/// What labels are made from; the parts that survive `exec` can be taken over from a parent.
#[derive(Debug, Clone, Default)]
pub(super) struct MetaParts {
    pub otel: OtelNames,
    pub place: CgroupPlace,
    pub comm: String,
    pub exe_name: String,
    pub build_id: Option<BuildId>,
    pub kernel_thread: bool,
}

impl MetaParts {
    /// Reads what `/proc/PID` tells; `None` when the process is gone.
    pub(super) fn read(process: &Path, kernel_thread: bool) -> Option<Self> {
        let cgroup = read_some(&process.join("cgroup"), CGROUP_TEXT_BYTES_MAX)?;
        let environ = read_some(&process.join("environ"), ENVIRON_BYTES_MAX).unwrap_or_default();
        let comm = read_some(&process.join("comm"), 64).unwrap_or_default();
        let exe = std::fs::read_link(process.join("exe")).unwrap_or_default();
        Some(Self {
            otel: OtelNames::parse(&environ),
            place: CgroupPlace::parse(&String::from_utf8_lossy(&cgroup)),
            comm: label(String::from_utf8_lossy(&comm).trim_end_matches('\n')),
            exe_name: exe_name(&exe),
            build_id: None,
            kernel_thread,
        })
    }

    /// The labels that follow.
    pub(super) fn meta(&self) -> ProcessMeta {
        let shared = |text: &Option<String>| text.as_deref().map(Arc::from);
        let text = |text: &Option<String>| text.as_deref().unwrap_or_default().into();
        ProcessMeta {
            service_name: self.service_name().into(),
            version: text(&self.otel.version),
            namespace: text(&self.otel.namespace),
            comm: self.comm.as_str().into(),
            exe_name: self.exe_name.as_str().into(),
            build_id: self.build_id.clone(),
            cgroup: self.place.path.as_str().into(),
            container_id: shared(&self.place.container),
            systemd_unit: shared(&self.place.unit),
            pod_uid: shared(&self.place.pod_uid),
        }
    }

    fn service_name(&self) -> &str {
        if self.kernel_thread {
            return KERNEL_SERVICE;
        }
        let unit =
            self.place.unit.as_deref().map(|unit| unit.strip_suffix(".service").unwrap_or(unit));
        let short = |id| str::get(id, ..SHORT_CONTAINER_ID.min(id.len())).unwrap_or(id);
        let container =
            self.place.container.as_deref().map(|id| if id.len() == 64 { short(id) } else { id });
        let named = self.otel.name.as_deref().or(unit).or(container);
        let named = named.or(self.place.pod_uid.as_deref());
        let fallback = [&self.exe_name, &self.comm].into_iter().find(|name| !name.is_empty());
        named.or(fallback.map(String::as_str)).unwrap_or("unknown")
    }
}

/// The file name of an executable, from the link `/proc/PID/exe` or a mapping's path. A program
/// that runs from memory has none: what stands there is often random.
pub(super) fn exe_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().as_bytes();
    let name = name.strip_suffix(b" (deleted)").unwrap_or(name);
    if name.starts_with(b"memfd:") {
        return String::new();
    }
    label(&String::from_utf8_lossy(name))
}

fn read_some(path: &Path, bytes_max: u64) -> Option<Vec<u8>> {
    read_bounded(&File::open(path).ok()?, bytes_max).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_the_service() {
        for (environ, name, version, namespace) in [
            (
                "A=b\0OTEL_SERVICE_NAME=api\0OTEL_SERVICE_VERSION=1.2\0",
                Some("api"),
                Some("1.2"),
                None,
            ),
            (
                "OTEL_RESOURCE_ATTRIBUTES=service.name=shop%20api, service.version=7,service.namespace=eu",
                Some("shop api"),
                Some("7"),
                Some("eu"),
            ),
            (
                "OTEL_SERVICE_NAME=a\0OTEL_RESOURCE_ATTRIBUTES=service.name=b,x\0",
                Some("a"),
                None,
                None,
            ),
            ("XOTEL_SERVICE_NAME=a\0OTEL_SERVICE_NAME=\0", None, None, None),
            ("OTEL_SERVICE_NAME=a\nb%2\0", Some("a\u{fffd}b%2"), None, None),
        ] {
            let found = OtelNames::parse(environ.as_bytes());
            let found =
                (found.name.as_deref(), found.version.as_deref(), found.namespace.as_deref());
            assert_eq!(found, (name, version, namespace), "{environ}");
        }
    }

    #[test]
    fn service_names_are_chosen_in_order() {
        let mut parts = MetaParts { comm: "comm".to_owned(), ..MetaParts::default() };
        assert_eq!(parts.service_name(), "comm");
        parts.exe_name = "exe".to_owned();
        assert_eq!(parts.service_name(), "exe");
        parts.place = CgroupPlace::of_path(&format!("/docker/{}", "0123456789abcdef".repeat(4)));
        assert_eq!(parts.service_name(), "0123456789ab");
        parts.place = CgroupPlace::of_path("/system.slice/nginx.service");
        assert_eq!(parts.service_name(), "nginx");
        parts.otel.name = Some("shop".to_owned());
        assert_eq!(parts.service_name(), "shop");
        parts.kernel_thread = true;
        assert_eq!(parts.service_name(), "kernel");
    }

    #[test]
    fn deleted_executables_keep_their_name() {
        assert_eq!(exe_name(Path::new("/usr/bin/nginx (deleted)")), "nginx");
        assert_eq!(exe_name(Path::new("/memfd:sealed-91173221a7ea (deleted)")), "");
    }
}
