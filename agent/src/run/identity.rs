//! Who this host is: a name for people and an id that lasts.

use std::path::Path;
use std::sync::Arc;

/// A host.
#[derive(Debug, Clone)]
pub(super) struct HostIdentity {
    /// For labels.
    pub(super) name: Arc<str>,
    /// For what is counted per host: the same for as long as machine id and name are.
    pub(super) id: [u8; 16],
}

/// Why the host has no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// No folder.
    #[error("cannot use {path} as the agent's folder: {source}; give another with --state-dir")]
    Folder {
        /// The folder.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl HostIdentity {
    /// The identity from the machine id and the name; where there is no machine id, one is made up
    /// and kept in the state folder.
    pub(super) fn establish(state_dir: &Path, name: Option<&str>) -> Result<Self, IdentityError> {
        let folder = |source| IdentityError::Folder { path: state_dir.into(), source };
        std::fs::create_dir_all(state_dir).map_err(folder)?;
        let name = name.map_or_else(machine_name, str::to_owned);
        let machine = match std::fs::read_to_string("/etc/machine-id") {
            Ok(id) if !id.trim().is_empty() => id.trim().to_owned(),
            _ => kept_id(&state_dir.join("machine-id")).map_err(folder)?,
        };
        let hash = blake3::Hasher::new_derive_key("stoker 2026 host id")
            .update(machine.as_bytes())
            .update(b"\0")
            .update(name.as_bytes())
            .finalize();
        let mut id = [0; 16];
        id.copy_from_slice(&hash.as_bytes()[..16]);
        Ok(Self { name: name.into(), id })
    }
}

fn machine_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".into() } else { name.to_owned() }
}

fn kept_id(path: &Path) -> std::io::Result<String> {
    if let Ok(kept) = std::fs::read_to_string(path) {
        return Ok(kept);
    }
    let id = format!("{:032x}", fastrand::u128(..));
    std::fs::write(path, &id)?;
    Ok(id)
}
