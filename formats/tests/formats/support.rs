//! What several tests need.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use stoker_analysis::{Naming, call_tree};
use stoker_dag::{CallTree, Frame};
use stoker_formats::{Imported, ReadError, ReadOptions, pprof, read};

/// Reads with defaults.
pub fn read_as(bytes: &[u8], file_name: &str) -> Result<Imported, ReadError> {
    read(bytes, &ReadOptions { file_name: file_name.to_owned(), ..ReadOptions::default() })
}

/// The file of the shared test data, or `None`, counted as skipped.
pub fn shared(test: &str, name: &str) -> Option<Vec<u8>> {
    let path = shared_path(name);
    let found = std::fs::read(&path).ok();
    if found.is_none() {
        stoker_tests::skipped(test, &format!("needs ../shared/testdata/{name}"));
    }
    found
}

/// Where the shared test data lie, beside the repository.
pub fn shared_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/testdata").join(name)
}

/// Writes with the names that the tables use.
pub fn to_pprof(imported: &Imported) -> Vec<u8> {
    let naming = Naming { definitions: &imported.definitions, modules: &imported.modules };
    let module = |frame: &Frame| naming.module(frame).into_owned();
    let mut bytes = Vec::new();
    pprof::write_imported(imported, &module, &mut bytes).unwrap();
    bytes
}

/// The default profile as a call tree.
pub fn tree(imported: &Imported) -> CallTree {
    call_tree(&imported.profile(imported.default), &imported.modules)
}

/// Value and count by type, stack id and labels.
pub type Contents = BTreeMap<(String, String, String), (u64, u64)>;

/// All that a file says, in an order that does not depend on that of its rows.
pub fn contents(imported: &Imported) -> Contents {
    let ids = imported.nodes.ids(&imported.frames);
    let mut contents = Contents::new();
    for profile in &imported.profiles {
        for row in &profile.rows {
            let labels = imported.attributes.get(row.attributes).to_string();
            let key = (profile.profile_type.to_string(), ids[row.node.at()].to_string(), labels);
            let sum = contents.entry(key).or_default();
            *sum = (sum.0 + row.value, sum.1 + row.count);
        }
    }
    contents
}

/// Value by stack of names, functions joined by `;`, for the default profile.
pub fn named_stacks(imported: &Imported) -> BTreeMap<String, u64> {
    let mut stacks = BTreeMap::new();
    for row in &imported.default_profile().rows {
        let frames = imported.nodes.stack(row.node);
        let names = frames.iter().map(|frame| match imported.frames.frame(*frame) {
            Frame::Interpreted { function, .. } => function.to_string(),
            other => format!("{other:?}"),
        });
        *stacks.entry(names.collect::<Vec<_>>().join(";")).or_default() += row.value;
    }
    stacks
}
