//! `cargo xtask ebpf`: from the kernel-side sources to the object that the agent embeds.
//!
//! The object is committed, so that stable Rust alone can build and run Stoker. That is safe only
//! while the object provably comes from the source beside it; hence the hashes in
//! `ebpf/prebuilt/SOURCE.blake3` and `--check`, which needs no kernel toolchain, and
//! `--check-rebuild`, which builds again and compares bytes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use crate::host;

mod build;
mod source;
mod toolchain;

use source::Stamp;

/// What `cargo xtask ebpf` can be asked for.
#[derive(clap::Args)]
pub struct Args {
    /// Only compare the committed object and the sources with the recorded hashes
    #[arg(long, conflicts_with_all = ["out", "measure", "check_rebuild"])]
    check: bool,
    /// Build from source and fail unless the committed object is the same, byte for byte
    #[arg(long, conflicts_with_all = ["out", "measure"])]
    check_rebuild: bool,
    /// Write the object here and leave the committed one alone
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// Build with the cost histogram and the counting program (needs --out)
    #[arg(long, requires = "out")]
    measure: bool,
    /// Never install anything; say what is missing instead
    #[arg(long)]
    no_install: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> Result<()> {
    let root = host::root()?;
    if args.check {
        check(&root)?;
        host::say("ebpf: the committed object matches its sources");
        return Ok(());
    }
    let tools = match toolchain::ensure(&root, !args.no_install) {
        Ok(tools) => tools,
        Err(missing) if args.out.is_none() && !args.check_rebuild => {
            return fall_back(&root, &missing);
        }
        Err(missing) => return Err(missing),
    };
    let object = build::object(&root, &tools, args.measure)?;
    match &args.out {
        Some(path) => write(path, &object),
        None if args.check_rebuild => compare(&root, &object),
        None => commit(&root, &tools, &object),
    }
}

/// Builds from source and gives the path of the object. A newer compiler may well build another one
/// than the committed: that is said and is no failure, since the tests run on both.
pub fn rebuilt(root: &Path) -> Result<PathBuf> {
    check(root)?;
    let tools = toolchain::ensure(root, true)?;
    let object = build::object(root, &tools, false)?;
    let path = root.join("target/rebuilt.bpf.o");
    write(&path, &object)?;
    if let Err(differs) = compare(root, &object) {
        host::say(&format!("ebpf: {differs:#}"));
    }
    Ok(path)
}

/// Without the toolchain the committed object serves, as long as it is the right one.
fn fall_back(root: &Path, missing: &anyhow::Error) -> Result<()> {
    host::say(&format!("ebpf: cannot build here: {missing:#}"));
    check(root)?;
    host::say("ebpf: using the committed object, which matches its sources");
    Ok(())
}

/// Fails when the sources have changed since the committed object was built.
pub fn check(root: &Path) -> Result<()> {
    let recorded = Stamp::read(root)?;
    if recorded.sources != source::hash(root)? {
        bail!(
            "the sources in ebpf/ have changed since the object in {} was built; run `cargo xtask ebpf` and commit what it writes",
            source::PREBUILT
        );
    }
    if recorded.object != source::hash_bytes(&committed(root)?) {
        bail!("{} is not the object that was recorded beside it", source::OBJECT);
    }
    Ok(())
}

fn compare(root: &Path, object: &[u8]) -> Result<()> {
    check(root)?;
    if committed(root)? != object {
        bail!(
            "a build from source differs from {}; same sources, so another compiler or linker? it was built with: {}",
            source::OBJECT,
            Stamp::read(root)?.built_with
        );
    }
    host::say("ebpf: a build from source gives the committed object, byte for byte");
    Ok(())
}

fn committed(root: &Path) -> Result<Vec<u8>> {
    fs::read(root.join(source::OBJECT)).with_context(|| format!("cannot read {}", source::OBJECT))
}

fn commit(root: &Path, tools: &toolchain::Tools, object: &[u8]) -> Result<()> {
    write(&root.join(source::OBJECT), object)?;
    let stamp = Stamp {
        sources: source::hash(root)?,
        object: source::hash_bytes(object),
        built_with: tools.describe(),
    };
    stamp.write(root)
}

fn write(path: &Path, object: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    if fs::read(path).is_ok_and(|present| present == object) {
        host::say(&format!("ebpf: {} is up to date", path.display()));
        return Ok(());
    }
    fs::write(path, object).with_context(|| format!("cannot write {}", path.display()))?;
    host::say(&format!("ebpf: wrote {} ({} bytes)", path.display(), object.len()));
    Ok(())
}
