//! What a cgroup path tells: container, pod, systemd unit. Pure.
//!
//! `/proc/PID/cgroup` has a line for each hierarchy, `0::PATH` for version 2 (cgroups(7)). Its
//! most telling path is taken: version 2 where it leads anywhere but the root, else systemd's own
//! version 1 hierarchy, else the longest. Container runtimes name the folder after the container's
//! 64 hexadecimal digits, alone or as `docker-….scope`, `cri-containerd-….scope`, `libpod-….scope`.

/// Longest cgroup path that is kept.
pub const CGROUP_PATH_BYTES_MAX: usize = 1024;

/// Where a process stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CgroupPlace {
    /// The path below the hierarchy's root, starting with `/`.
    pub path: String,
    /// The innermost container's id, or name for LXC and nspawn.
    pub container: Option<String>,
    /// The Kubernetes pod's uid, with dashes.
    pub pod_uid: Option<String>,
    /// The innermost systemd service, as `nginx.service`. Scopes and the user manager itself are
    /// none: they say who started a process and not what it serves.
    pub unit: Option<String>,
}

impl CgroupPlace {
    /// Reads the text of `/proc/PID/cgroup`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self::of_path(most_telling(text).unwrap_or("/"))
    }

    /// What a path tells.
    #[must_use]
    pub fn of_path(path: &str) -> Self {
        let mut end = path.len().min(CGROUP_PATH_BYTES_MAX);
        while !path.is_char_boundary(end) {
            end -= 1;
        }
        let path = &path[..end];
        let mut place = Self { path: path.to_owned(), ..Self::default() };
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        for (at, part) in parts.iter().enumerate() {
            let parent = at.checked_sub(1).map_or("", |before| parts[before]);
            place.read(part, parent);
        }
        place
    }

    fn read(&mut self, part: &str, parent: &str) {
        if let Some(uid) = pod_uid(part) {
            self.pod_uid = Some(uid);
        } else if let Some(container) = container_id(part).or_else(|| named(part, parent)) {
            // What runs inside a container is none of the host's units.
            self.container = Some(container);
            self.unit = None;
        } else if is_service(part) {
            self.unit = Some(unescape_unit(part));
        }
    }
}

fn most_telling(text: &str) -> Option<&str> {
    let split = |line: &'_ str| -> Option<(String, usize)> {
        let mut fields = line.splitn(3, ':');
        let hierarchy = format!("{}:{}", fields.next()?, fields.next()?);
        Some((hierarchy, line.len() - fields.next()?.len()))
    };
    let lines = || text.lines().filter_map(|line| Some((line, split(line)?)));
    let path_of = |wanted: &dyn Fn(&str) -> bool| {
        let found =
            lines().find(|(line, (hierarchy, at))| wanted(hierarchy) && &line[*at..] != "/");
        found.map(|(line, (_, at))| &line[at..])
    };
    let longest = || lines().map(|(line, (_, at))| &line[at..]).max_by_key(|path| path.len());
    path_of(&|hierarchy| hierarchy == "0:")
        .or_else(|| path_of(&|hierarchy| hierarchy.ends_with(":name=systemd")))
        .or_else(longest)
}

/// `kubepods-burstable-pod1234_5678.slice` (systemd driver) and `pod1234-5678` (cgroupfs driver).
fn pod_uid(part: &str) -> Option<String> {
    let uid = match part.strip_suffix(".slice") {
        Some(slice) if slice.starts_with("kubepods") => slice.rsplit_once("-pod")?.1,
        Some(_) => return None,
        None => part.strip_prefix("pod")?,
    };
    let is_uid =
        uid.len() >= 32 && uid.bytes().all(|b| b.is_ascii_hexdigit() || b"-_".contains(&b));
    is_uid.then(|| uid.replace('_', "-"))
}

/// 64 hexadecimal digits, alone or with a runtime before and `.scope` behind.
fn container_id(part: &str) -> Option<String> {
    let name = part.strip_suffix(".scope").unwrap_or(part);
    // `conmon` watches a container from outside; containerd may write `namespace:prefix:id`.
    let (runtime, id) = name.rsplit_once(['-', ':']).unwrap_or(("", name));
    let is_id = id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit());
    (is_id && !runtime.ends_with("conmon")).then(|| id.to_owned())
}

/// Containers that have a name instead: LXC (`lxc.payload.web`, `lxc/web`) and nspawn
/// (`machine-web.scope` and `systemd-nspawn@web.service` below `machine.slice`).
fn named(part: &str, parent: &str) -> Option<String> {
    let name = match parent {
        "lxc" => part,
        "machine.slice" => part
            .strip_prefix("machine-")
            .and_then(|rest| rest.strip_suffix(".scope"))
            .or_else(|| part.strip_prefix("systemd-nspawn@")?.strip_suffix(".service"))?,
        _ => part.strip_prefix("lxc.payload.")?,
    };
    Some(unescape_unit(name))
}

/// A service, but not one that stands for a login or an anonymous command.
fn is_service(part: &str) -> bool {
    let Some(name) = part.strip_suffix(".service") else { return false };
    let is_user_manager = name.starts_with("user@");
    let is_transient = name.strip_prefix("run-").is_some_and(|id| {
        let id = id.strip_prefix(['r', 'u', 'p']).unwrap_or(id);
        id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-' || b == b'i')
    });
    !name.is_empty() && !is_user_manager && !is_transient
}

/// Undoes systemd's `\x2d` (systemd.unit(5), "string escaping").
fn unescape_unit(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((before, after)) = rest.split_once("\\x") {
        plain.push_str(before);
        let byte = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte.filter(u8::is_ascii_graphic) {
            Some(byte) => {
                plain.push(char::from(byte));
                rest = &after[2..];
            }
            None => {
                plain.push_str("\\x");
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests;
