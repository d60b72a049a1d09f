//! Flame graphs as SVG, drawn by inferno. The file is self-contained: its script zooms and searches.

use std::collections::BTreeMap;
use std::io::Write;

use inferno::flamegraph::{self, Direction, Options};
use stoker_dag::{CallTree, ProfileType, prune};

use crate::WriteError;
use crate::collapsed;
use crate::text::harmless;

/// More boxes than a picture of any width can show; the smallest beyond them are summed.
const MAX_BOXES: usize = 65_536;

/// Boxes that have a smaller part of the whole than this, in millionths, are too narrow to be drawn.
/// Whoever has many of them sums them before they are sorted (`stoker_analysis::visible_tree`).
pub const LEAST_VISIBLE_PPM: u32 = 100;

/// Draws `tree` as an icicle. Boxes say their value in milliseconds where the unit is nanoseconds;
/// `title` and `subtitle` are shown above.
///
/// # Errors
/// When `out` does not take the bytes.
pub fn write(
    tree: &CallTree,
    profile_type: &ProfileType,
    (title, subtitle): (&str, &str),
    out: impl Write,
) -> Result<(), WriteError> {
    let mut options = options(profile_type);
    let mut lines = Vec::new();
    collapsed::lines(&prune(tree, MAX_BOXES), |line| {
        lines.push(line.to_owned());
        Ok(())
    })?;
    if lines.is_empty() {
        lines.push("[no samples] 1".to_owned());
    }
    options.title = harmless(title).into_owned();
    options.subtitle = Some(harmless(subtitle).into_owned());
    let texts = lines.iter().map(String::as_str);
    flamegraph::from_lines(&mut options, texts, out)?;
    Ok(())
}

/// Draws two trees as one icicle: widths are the new one's, colours say where a share of the total
/// grew (red) or shrank (blue).
///
/// # Errors
/// When `out` does not take the bytes.
pub fn write_difference(
    base: &CallTree,
    new: &CallTree,
    profile_type: &ProfileType,
    (title, subtitle): (&str, &str),
    out: impl Write,
) -> Result<(), WriteError> {
    let mut stacks: BTreeMap<String, [u64; 2]> = BTreeMap::new();
    for (side, tree) in [base, new].into_iter().enumerate() {
        collapsed::lines(&prune(tree, MAX_BOXES), |line| {
            // A line is a stack, a space and a value.
            if let Some((stack, value)) = line.rsplit_once(' ') {
                let held = &mut stacks.entry(stack.to_owned()).or_default()[side];
                *held = held.saturating_add(value.trim().parse().unwrap_or(0));
            }
            Ok(())
        })?;
    }
    let total = |tree: &CallTree| u128::from(tree.total.first().copied().unwrap_or(0).max(1));
    // Shares are compared: the base is drawn as if its total were the new one's.
    let scaled = |value: u64| u128::from(value) * total(new) / total(base);
    let mut lines: Vec<String> = stacks
        .iter()
        .map(|(stack, [base, new])| format!("{stack} {} {new}", scaled(*base)))
        .collect();
    if lines.is_empty() {
        lines.push("[no samples] 1 1".to_owned());
    }
    let mut options = options(profile_type);
    options.title = harmless(title).into_owned();
    options.subtitle = Some(harmless(subtitle).into_owned());
    let texts = lines.iter().map(String::as_str);
    flamegraph::from_lines(&mut options, texts, out)?;
    Ok(())
}

fn options(profile_type: &ProfileType) -> Options<'static> {
    let mut options = Options::default();
    let (unit, factor) = match profile_type.unit() {
        "nanoseconds" => ("ms", 1e-6),
        unit => (unit, 1.0),
    };
    options.count_name = unit.to_owned();
    options.factor = factor;
    // In percent.
    options.min_width = f64::from(LEAST_VISIBLE_PPM) / 1e4;
    options.direction = Direction::Inverted;
    // One function has one colour, in every picture.
    options.deterministic = true;
    options
}
