//! The boxes as JSON columns inside a `<script>` element.

use serde::Serialize;
use stoker_dag::{BoxIx, CallTree, ProfileType};

use crate::WriteError;
use crate::text::{box_name, harmless};

/// Columns of one entry per box, parents before children, depth first. Texts are indices of `names`.
#[derive(Debug, Serialize)]
struct Columns<'a> {
    unit: &'a str,
    names: Vec<String>,
    parent: Vec<u32>,
    name: Vec<u32>,
    module: Vec<u32>,
    file: Vec<u32>,
    line: Vec<u32>,
    kind: Vec<u8>,
    inlined: Vec<u8>,
    #[serde(rename = "self")]
    own: &'a [u64],
    total: &'a [u64],
}

/// The columns of a tree. No character in it can end the element that it stands in.
pub(super) fn json(tree: &CallTree, profile_type: &ProfileType) -> Result<String, WriteError> {
    let mut names = stoker_dag::NameTable::default();
    let mut text = |text: &str| {
        let clean = if text.is_empty() { text.into() } else { harmless(text) };
        names.intern(&clean).0
    };
    let each = || (0u32..).map(BoxIx).zip(&tree.label);
    let texts: Vec<u32> = each().map(|(at, _)| text(&non_empty(&box_name(tree, at)))).collect();
    let module = each().map(|(_, label)| text(tree.names.get(label.module))).collect();
    let file = each().map(|(_, label)| text(tree.names.get(label.file))).collect();
    let columns = Columns {
        unit: profile_type.unit(),
        names: names.iter().map(str::to_owned).collect(),
        parent: tree.parent.iter().map(|parent| parent.0).collect(),
        name: texts,
        module,
        file,
        line: tree.label.iter().map(|label| label.line).collect(),
        kind: tree.label.iter().map(|label| label.kind.code()).collect(),
        inlined: tree.label.iter().map(|label| u8::from(label.inlined)).collect(),
        own: &tree.self_value,
        total: &tree.total,
    };
    let json = serde_json::to_string(&columns).map_err(std::io::Error::from)?;
    // Outside of strings JSON has none of these characters.
    Ok(json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"))
}

/// A box without a name is called so.
fn non_empty(name: &str) -> String {
    harmless(name).into_owned()
}
