//! Where the debug information of an image may lie, and whether what lies there is it.
//!
//! The places are GDB's ("Separate Debug Files" in its manual), in each root that the parent gave: the
//! process's own first, then the host's. Runs in the worker only.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::{Path, PathBuf};

use stoker_dag::{BuildId, BuildIdKind};

use crate::elf::{DebugLink, ElfInfo, Inventory};
use crate::inside::open_inside;

/// Where debug information is installed.
const DEBUG_DIR: &str = "/usr/lib/debug";
/// How much of a file is read at a time.
const CRC_CHUNK_BYTES: usize = 256 * 1024;
/// Largest file whose checksum is computed.
const CRC_BYTES_MAX: u64 = 4 << 30;

/// What shows that a file belongs to an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// It has the same build id.
    SameBuild,
    /// Its content has this CRC-32; if it has a build id, it is the same.
    Checksum(u32),
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Search {
    /// The file with debug information.
    pub found: Option<File>,
    /// Files that lay where it may lie, and were not it.
    pub strangers: u32,
}

impl Search {
    /// Looks for the debug information of the image at `path` in each of `roots`.
    pub(crate) fn run(
        roots: &[File],
        path: &Path,
        build_id: &BuildId,
        link: Option<&DebugLink>,
    ) -> Self {
        let mut search = Self::default();
        for root in roots {
            for (place, proof) in places(path, build_id, link) {
                let Ok(file) = open_inside(root, &place) else { continue };
                if is_debug_file(&file, proof, build_id) {
                    search.found = Some(file);
                    return search;
                }
                search.strangers += 1;
            }
        }
        search
    }
}

/// The places within a root, the surest first.
fn places(path: &Path, build_id: &BuildId, link: Option<&DebugLink>) -> Vec<(PathBuf, Proof)> {
    let mut places = Vec::new();
    let inside = path.strip_prefix("/").unwrap_or(path);
    let installed = Path::new(DEBUG_DIR).join(inside);
    if build_id.kind() == BuildIdKind::Gnu {
        let digits = build_id.to_string();
        if let Some((first, rest)) = digits.split_at_checked(2).filter(|(_, rest)| !rest.is_empty())
        {
            let place = format!("{DEBUG_DIR}/.build-id/{first}/{rest}.debug");
            places.push((place.into(), Proof::SameBuild));
        }
        let mut name = installed.clone().into_os_string();
        name.push(".debug");
        places.push((name.into(), Proof::SameBuild));
    }
    if let Some(DebugLink { name, crc }) = link {
        let dirs = [path.parent(), installed.parent()];
        let [beside, installed] = dirs.map(|dir| dir.unwrap_or(Path::new("/")));
        for dir in [beside.to_owned(), beside.join(".debug"), installed.to_owned()] {
            places.push((dir.join(name), Proof::Checksum(*crc)));
        }
    }
    places
}

fn is_debug_file(file: &File, proof: Proof, build_id: &BuildId) -> bool {
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    if !Inventory::of(file, length).is_ok_and(|inventory| !inventory.is_empty()) {
        return false;
    }
    let found = ElfInfo::read(file).map(|info| info.build_id);
    match proof {
        Proof::SameBuild => found.is_ok_and(|found| found == *build_id),
        Proof::Checksum(wanted) => {
            let is_other =
                found.is_ok_and(|found| found.kind() == BuildIdKind::Gnu && found != *build_id);
            !is_other && length <= CRC_BYTES_MAX && crc32(file).is_ok_and(|found| found == wanted)
        }
    }
}

/// The CRC-32 of a whole file, as `.gnu_debuglink` has it.
fn crc32(mut file: &File) -> io::Result<u32> {
    file.rewind()?;
    let (mut hasher, mut chunk) = (crc32fast::Hasher::new(), vec![0; CRC_CHUNK_BYTES]);
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hasher.finalize()),
            count => hasher.update(&chunk[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_gdb_s() {
        let link = DebugLink { name: "api.debug".into(), crc: 7 };
        let build_id: BuildId = "aabbcc".parse().expect("hexadecimal");
        let places: Vec<String> = places(Path::new("/opt/bin/api"), &build_id, Some(&link))
            .iter()
            .map(|(place, _)| place.display().to_string())
            .collect();
        assert_eq!(
            places,
            [
                "/usr/lib/debug/.build-id/aa/bbcc.debug",
                "/usr/lib/debug/opt/bin/api.debug",
                "/opt/bin/api.debug",
                "/opt/bin/.debug/api.debug",
                "/usr/lib/debug/opt/bin/api.debug",
            ]
        );
    }
}
