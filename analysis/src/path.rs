//! Places in a call tree that outlive it: a path of keys from the root down. A key is a 32-bit hash of
//! what makes a box one among its siblings (name, module, kind, inlined), so that a path survives new
//! data and is short enough for an address. Viewers compute the same keys: the hashes are frozen, held
//! by golden values here and in `web/tests/path.test.ts`.
//!
//! FNV-1a over UTF-16 code units, finished and joined by the finaliser of MurmurHash3 (Austin
//! Appleby, public domain).

use stoker_dag::{BoxIx, BoxKind, CallTree};

/// Longest path that is followed; no stack is deeper.
pub const MAX_PATH_STEPS: usize = 2048;

/// The box that `path` leads to, and how many of its steps there are: where a step has no box the
/// last one that had is given. `tree` has parents before children.
#[must_use]
pub fn find(tree: &CallTree, path: &[u32]) -> (BoxIx, usize) {
    let mut at = BoxIx::ROOT;
    let mut found = 0;
    for &key in path.iter().take(MAX_PATH_STEPS) {
        let from = at.at() + 1;
        let below = (from..tree.len())
            .find(|&child| tree.parent[child] == at && step_key(tree, child) == key);
        let Some(child) = below else { break };
        at = BoxIx(u32::try_from(child).expect("fewer than 2^32 boxes"));
        found += 1;
    }
    (at, found)
}

/// The key of one box among its siblings.
#[must_use]
pub fn step_key(tree: &CallTree, at: usize) -> u32 {
    let label = tree.label[at];
    let (name, module) = (tree.names.get(label.name), tree.names.get(label.module));
    key(name, module, label.kind, label.inlined)
}

/// The key of a box with this meaning.
#[must_use]
pub fn key(name: &str, module: &str, kind: BoxKind, inlined: bool) -> u32 {
    let sort = u32::from(kind.code()) * 2 + u32::from(inlined);
    join(join(hash_text(name), hash_text(module)), sort)
}

fn hash_text(text: &str) -> u32 {
    let mut hash = 0x811c_9dc5_u32;
    for unit in text.encode_utf16() {
        hash = (hash ^ u32::from(unit)).wrapping_mul(0x0100_0193);
    }
    avalanche(hash)
}

fn join(a: u32, b: u32) -> u32 {
    avalanche((a ^ 0x9e37_79b9).wrapping_mul(0x85eb_ca6b).wrapping_add(b))
}

fn avalanche(mut hash: u32) -> u32 {
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const DIGITS_PER_STEP: usize = 6;

/// Reads a path as it stands in an address: six characters of base64url's alphabet for each step, the
/// highest bits first. `None` for anything else.
#[must_use]
pub fn parse(text: &str) -> Option<Vec<u32>> {
    let bytes = text.as_bytes();
    if !bytes.len().is_multiple_of(DIGITS_PER_STEP)
        || bytes.len() / DIGITS_PER_STEP > MAX_PATH_STEPS
    {
        return None;
    }
    let digit = |byte: &u8| DIGITS.iter().position(|held| held == byte);
    let step = |chars: &[u8]| {
        let digits = chars.iter().map(digit).collect::<Option<Vec<usize>>>()?;
        let value = digits.iter().fold(0_u64, |value, digit| (value << 6) | (*digit as u64));
        u32::try_from(value).ok()
    };
    bytes.chunks(DIGITS_PER_STEP).map(step).collect()
}

/// What [`parse`] reads.
#[must_use]
pub fn format(path: &[u32]) -> String {
    let digit = |key: u32, shift: u32| char::from(DIGITS[((key >> shift) & 63) as usize]);
    let steps = path.iter().flat_map(|key| (0..6).rev().map(move |at| digit(*key, 6 * at)));
    steps.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use stoker_dag::{Frame, ModuleMap, Profile};

    fn tree() -> CallTree {
        let frame = |function: &str| Frame::Interpreted {
            runtime: "t".into(),
            module: "app".into(),
            function: function.into(),
            line: 0,
        };
        let mut profile = Profile::default();
        profile.add_stack(&[frame("main"), frame("a")], 3, 1);
        profile.add_stack(&[frame("main"), frame("b"), frame("a")], 2, 1);
        crate::call_tree(&profile, &ModuleMap::default())
    }

    #[test]
    fn keys_are_frozen() {
        assert_eq!([hash_text(""), hash_text("main")], [2_872_998_923, 3_652_742_172]);
        assert_eq!([hash_text("دالة"), join(1, 2)], [3_598_960_924, 2_833_796_822]);
    }

    #[test]
    fn every_box_is_found_by_its_path() {
        let tree = tree();
        for wanted in 0..tree.len() {
            let mut path = Vec::new();
            let mut at = wanted;
            while at != 0 {
                path.push(step_key(&tree, at));
                at = tree.parent[at].at();
            }
            path.reverse();
            assert_eq!(find(&tree, &path), (BoxIx(u32::try_from(wanted).unwrap()), path.len()));
        }
    }

    #[test]
    fn a_path_that_leaves_the_tree_ends_at_the_last_box_it_has() {
        let tree = tree();
        let (at, found) = find(&tree, &[step_key(&tree, 1), 7, 7]);
        assert_eq!((at, found), (BoxIx(1), 1));
    }

    #[test]
    fn addresses_are_read_or_refused() {
        assert_eq!(parse(""), Some(vec![]));
        assert_eq!(parse("AAAAABD_____"), Some(vec![1, u32::MAX]));
        assert_eq!(format(&[1, u32::MAX]), "AAAAABD_____");
        for wrong in ["A", "AAAAA=", "______", "AAAAAé", &"A".repeat(6 * (MAX_PATH_STEPS + 1))] {
            assert_eq!(parse(wrong), None, "{wrong:.20}");
        }
    }
}
