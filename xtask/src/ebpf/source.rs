//! Which sources an object came from.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

/// Folder of the committed object.
pub const PREBUILT: &str = "ebpf/prebuilt";
/// The committed object.
pub const OBJECT: &str = "ebpf/prebuilt/stoker.bpf.o";
const STAMP: &str = "ebpf/prebuilt/SOURCE.blake3";

/// Folders of `ebpf/` that hold no source.
const NOT_SOURCE: [&str; 2] = ["prebuilt", "target"];

/// What is recorded beside the committed object.
pub struct Stamp {
    /// Hash of the sources, from [`hash`].
    pub sources: String,
    /// Hash of the object's bytes.
    pub object: String,
    /// Versions of compiler and linker.
    pub built_with: String,
}

impl Stamp {
    /// Reads the record.
    pub fn read(root: &Path) -> Result<Self> {
        let text =
            fs::read_to_string(root.join(STAMP)).with_context(|| format!("cannot read {STAMP}"))?;
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.map(str::to_owned).with_context(|| format!("{STAMP} has no line '{name} …'"))
        };
        Ok(Self {
            sources: field("sources")?,
            object: field("object")?,
            built_with: field("built-with")?,
        })
    }

    /// Writes the record.
    pub fn write(&self, root: &Path) -> Result<()> {
        let Self { sources, object, built_with } = self;
        let text = format!("sources {sources}\nobject {object}\nbuilt-with {built_with}\n");
        fs::write(root.join(STAMP), text).with_context(|| format!("cannot write {STAMP}"))
    }
}

/// BLAKE3, as hex, over every source file of `ebpf/` and `ebpf/abi/`: in the order of their paths,
/// for each its path, a zero byte, its length as 8 bytes little-endian, its contents.
pub fn hash(root: &Path) -> Result<String> {
    let mut files = Vec::new();
    collect(&root.join("ebpf"), &mut files)?;
    let mut named = files
        .iter()
        .map(|file| Ok((file.strip_prefix(root)?.to_str().context("a path is not UTF-8")?, file)))
        .collect::<Result<Vec<_>>>()?;
    named.sort_unstable();
    if named.is_empty() {
        bail!("no sources in ebpf/");
    }
    let mut hasher = blake3::Hasher::new();
    for (name, file) in named {
        let contents = fs::read(file).with_context(|| format!("cannot read {name}"))?;
        hasher.update(name.as_bytes()).update(&[0]);
        hasher.update(&u64::try_from(contents.len())?.to_le_bytes()).update(&contents);
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// BLAKE3 of bytes, as hex.
pub fn hash_bytes(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        if entry.file_type()?.is_dir() {
            if !NOT_SOURCE.iter().any(|skipped| name == *skipped) {
                collect(&path, files)?;
            }
        } else if is_source(&path) {
            files.push(path);
        }
    }
    Ok(())
}

/// Rust, manifests and the lock file; no editor's leftovers.
fn is_source(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "rs" || extension == "toml" || extension == "lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The committed object and its record agree with the sources in the tree.
    #[test]
    fn committed_object_matches_sources() {
        let root = crate::host::root().unwrap();
        let recorded = Stamp::read(&root).unwrap();
        assert_eq!(recorded.sources, hash(&root).unwrap(), "run `cargo xtask ebpf` and commit");
        assert_eq!(recorded.object, hash_bytes(&fs::read(root.join(OBJECT)).unwrap()));
    }
}
