//! The call tree: what people look at. Nodes of the DAG are expanded into their definitions
//! (inlined functions become boxes of their own) and siblings with one meaning become one box.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::prune::{prune_below, prune_unsorted};

/// Index of a box in one [`CallTree`]. The root is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BoxIx(pub u32);

impl BoxIx {
    /// The box that holds all.
    pub const ROOT: Self = Self(0);

    /// As an array index.
    #[must_use]
    pub const fn at(self) -> usize {
        self.0 as usize
    }
}

/// Index of a text in one [`NameTable`]. The empty text is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameIx(pub u32);

/// Distinct texts.
#[derive(Debug, Clone)]
pub struct NameTable {
    texts: Vec<Arc<str>>,
    index: FxHashMap<Arc<str>, NameIx>,
}

impl Default for NameTable {
    fn default() -> Self {
        let mut table = Self { texts: Vec::new(), index: FxHashMap::default() };
        table.intern("");
        table
    }
}

impl NameTable {
    /// The index of `text`, which is added when it is new.
    pub fn intern(&mut self, text: &str) -> NameIx {
        if let Some(&ix) = self.index.get(text) {
            return ix;
        }
        self.add(text.into())
    }

    /// As [`Self::intern`], of a text that is shared and not copied.
    pub fn intern_shared(&mut self, text: &Arc<str>) -> NameIx {
        if let Some(&ix) = self.index.get(text) {
            return ix;
        }
        self.add(Arc::clone(text))
    }

    fn add(&mut self, text: Arc<str>) -> NameIx {
        let ix = NameIx(u32::try_from(self.texts.len()).expect("fewer than 2^32 names"));
        self.texts.push(Arc::clone(&text));
        self.index.insert(text, ix);
        ix
    }

    /// Makes room for `more` texts.
    pub fn reserve(&mut self, more: usize) {
        self.texts.reserve(more);
        self.index.reserve(more);
    }

    /// The text at `ix`.
    #[must_use]
    pub fn get(&self, ix: NameIx) -> &str {
        &self.texts[ix.0 as usize]
    }

    /// All texts, in order of index.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.texts.iter().map(|text| &**text)
    }

    /// By index, how many of the texts that `labels` use come before each in the order of texts:
    /// comparing two of these numbers is comparing two texts.
    fn ranks(&self, labels: &[BoxLabel]) -> Vec<u32> {
        let mut is_used = vec![false; self.texts.len()];
        for label in labels {
            is_used[label.name.0 as usize] = true;
            is_used[label.module.0 as usize] = true;
        }
        let all = (0u32..).map(NameIx).zip(&is_used);
        let mut order: Vec<NameIx> = all.filter(|(_, used)| **used).map(|(ix, _)| ix).collect();
        order.sort_unstable_by_key(|ix| self.get(*ix));
        let mut ranks = vec![0; self.texts.len()];
        for (rank, ix) in (0u32..).zip(&order) {
            ranks[ix.0 as usize] = rank;
        }
        ranks
    }
}

/// What a box stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BoxKind {
    /// Everything.
    Root,
    /// A function of an ELF file.
    Native,
    /// A function of the kernel or a module.
    Kernel,
    /// Interpreted or just-in-time compiled code.
    Interpreted,
    /// What could not be seen.
    Special,
    /// The exact sum of boxes that were pruned.
    Other,
    /// A value of the label by which stacks are grouped.
    Label,
}

impl BoxKind {
    /// The number that stands for it in answers.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// What makes two siblings one box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct BoxKey {
    parent: BoxIx,
    name: NameIx,
    module: NameIx,
    kind: BoxKind,
    inlined: bool,
}

/// One box, as it is added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoxLabel {
    /// Function.
    pub name: NameIx,
    /// Module.
    pub module: NameIx,
    /// Source file, or the empty text.
    pub file: NameIx,
    /// Line, 0 where it is not known or not the same for all that the box holds.
    pub line: u32,
    /// What it stands for.
    pub kind: BoxKind,
    /// Whether the function was inlined into its parent.
    pub inlined: bool,
}

/// Boxes as parallel columns, parents before children. Totals are inclusive.
#[derive(Debug, Clone, Default)]
pub struct CallTree {
    /// Parent of each box; the root's is the root.
    pub parent: Vec<BoxIx>,
    /// What each box shows.
    pub label: Vec<BoxLabel>,
    /// Value that ends in the box.
    pub self_value: Vec<u64>,
    /// Value of the box and all above it in the stack.
    pub total: Vec<u64>,
    /// Texts.
    pub names: NameTable,
}

impl CallTree {
    /// How many boxes there are, the root included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parent.len()
    }

    /// Whether there is no box at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parent.is_empty()
    }

    /// The name of a box.
    #[must_use]
    pub fn name(&self, at: BoxIx) -> &str {
        self.names.get(self.label[at.at()].name)
    }

    /// The same tree in depth-first order with siblings in order of name, so that a picture does
    /// not jump when data are added, whatever the order of arrival.
    #[must_use]
    pub fn sorted(self) -> Self {
        let order = self.depth_first_order();
        self.in_order(&order)
    }

    /// The same tree with its boxes in this order, parents before children.
    pub(crate) fn in_order(self, order: &[BoxIx]) -> Self {
        let new_ix = self.places(order);
        let column = |values: &[u64]| order.iter().map(|from| values[from.at()]).collect();
        Self {
            parent: order.iter().map(|from| new_ix[self.parent[from.at()].at()]).collect(),
            label: order.iter().map(|from| self.label[from.at()]).collect(),
            self_value: column(&self.self_value),
            total: column(&self.total),
            names: self.names,
        }
    }

    /// Where each box comes to stand in this order; the root's place stands for those left out.
    fn places(&self, order: &[BoxIx]) -> Vec<BoxIx> {
        let mut places = vec![BoxIx::ROOT; self.len()];
        for (to, from) in (0u32..).zip(order) {
            places[from.at()] = BoxIx(to);
        }
        places
    }

    /// Depth first, siblings in order of name.
    pub(crate) fn depth_first_order(&self) -> Vec<BoxIx> {
        let mut children = Children::of(&self.parent);
        let rank = self.names.ranks(&self.label);
        let sort_key = |at: &BoxIx| {
            let label = &self.label[at.at()];
            let texts = (rank[label.name.0 as usize], rank[label.module.0 as usize]);
            (label.kind == BoxKind::Other, texts, label.kind, label.inlined)
        };
        let mut order = Vec::with_capacity(self.len());
        let mut stack = if self.is_empty() { vec![] } else { vec![BoxIx::ROOT] };
        while let Some(at) = stack.pop() {
            order.push(at);
            let below = children.below(at);
            if below.len() > 1 {
                below.sort_by_key(sort_key);
            }
            stack.extend(below.iter().rev());
        }
        order
    }
}

/// The children of every box in one column, each box's one after the other.
struct Children {
    column: Vec<BoxIx>,
    /// Where each box's children start; one more than there are boxes.
    starts: Vec<usize>,
}

impl Children {
    fn of(parents: &[BoxIx]) -> Self {
        let mut starts = vec![0; parents.len() + 2];
        for parent in parents.iter().skip(1) {
            starts[parent.at() + 2] += 1;
        }
        for at in 2..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut column = vec![BoxIx::ROOT; parents.len().saturating_sub(1)];
        for (at, parent) in (0u32..).zip(parents).skip(1) {
            let next = &mut starts[parent.at() + 1];
            column[*next] = BoxIx(at);
            *next += 1;
        }
        Self { column, starts }
    }

    fn below(&mut self, at: BoxIx) -> &mut [BoxIx] {
        &mut self.column[self.starts[at.at()]..self.starts[at.at() + 1]]
    }
}

/// Grows a [`CallTree`].
///
/// Most boxes have one child: it stands in a column, and only further ones are hashed.
#[derive(Debug)]
pub struct CallTreeBuilder {
    tree: CallTree,
    /// The root, which is nobody's child, where there is none.
    first_child: Vec<BoxIx>,
    further: FxHashMap<BoxKey, BoxIx>,
}

impl Default for CallTreeBuilder {
    fn default() -> Self {
        let mut tree = CallTree::default();
        let name = tree.names.intern("all");
        let none = NameIx::default();
        let root = BoxLabel {
            name,
            module: none,
            file: none,
            line: 0,
            kind: BoxKind::Root,
            inlined: false,
        };
        tree.parent.push(BoxIx::ROOT);
        tree.label.push(root);
        tree.self_value.push(0);
        tree.total.push(0);
        Self { tree, first_child: vec![BoxIx::ROOT], further: FxHashMap::default() }
    }
}

impl CallTreeBuilder {
    /// Makes room for `more` boxes.
    pub fn reserve(&mut self, more: usize) {
        self.tree.parent.reserve(more);
        self.tree.label.reserve(more);
        self.tree.self_value.reserve(more);
        self.tree.total.reserve(more);
        self.first_child.reserve(more);
    }

    /// The texts, to be filled while boxes are added.
    pub fn names(&mut self) -> &mut NameTable {
        &mut self.tree.names
    }

    /// The box below `parent` with this meaning, which is added when it is new. A box that holds
    /// several lines or files shows none.
    pub fn child(&mut self, parent: BoxIx, label: BoxLabel) -> BoxIx {
        let next = BoxIx(u32::try_from(self.tree.len()).expect("fewer than 2^32 boxes"));
        let key = |of: &BoxLabel| BoxKey {
            parent,
            name: of.name,
            module: of.module,
            kind: of.kind,
            inlined: of.inlined,
        };
        let first = self.first_child[parent.at()];
        let at = if first == BoxIx::ROOT {
            self.first_child[parent.at()] = next;
            next
        } else if key(&self.tree.label[first.at()]) == key(&label) {
            first
        } else {
            *self.further.entry(key(&label)).or_insert(next)
        };
        if at == next {
            self.tree.parent.push(parent);
            self.tree.label.push(label);
            self.tree.self_value.push(0);
            self.tree.total.push(0);
            self.first_child.push(BoxIx::ROOT);
        } else {
            merge_place(&mut self.tree.label[at.at()], &label);
        }
        at
    }

    /// Adds to what ends in a box.
    pub fn add(&mut self, at: BoxIx, value: u64) {
        let held = &mut self.tree.self_value[at.at()];
        *held = held.saturating_add(value);
    }

    /// Sums up totals and gives the tree, sorted.
    #[must_use]
    pub fn finish(self) -> CallTree {
        self.summed().sorted()
    }

    /// As [`Self::finish`], and where each box of the builder has come to stand.
    #[must_use]
    pub fn finish_placed(self) -> (CallTree, Vec<BoxIx>) {
        let tree = self.summed();
        let order = tree.depth_first_order();
        let places = tree.places(&order);
        (tree.in_order(&order), places)
    }

    /// As [`Self::finish`], with the boxes below a share of the whole summed as `(other)`: what a
    /// picture cannot show is neither sorted nor looked at again.
    #[must_use]
    pub fn finish_visible(self, parts_per_million: u32) -> CallTree {
        let tree = self.summed();
        let least = u128::from(tree.total[0]) * u128::from(parts_per_million) / 1_000_000;
        // A box without any width is never visible.
        prune_below(&tree, u64::try_from(least).unwrap_or(u64::MAX).max(1))
    }

    /// As [`Self::finish`] and then [`prune`](crate::prune): the same tree, and how many boxes there were.
    /// What is too small to be kept is not sorted, and its names are not looked at.
    #[must_use]
    pub fn finish_pruned(self, max_boxes: usize) -> (CallTree, usize) {
        let tree = self.summed();
        let boxes = tree.len();
        (prune_unsorted(tree, max_boxes), boxes)
    }

    fn summed(mut self) -> CallTree {
        let tree = &mut self.tree;
        tree.total.copy_from_slice(&tree.self_value);
        for at in (1..tree.parent.len()).rev() {
            let up = tree.parent[at].at();
            tree.total[up] = tree.total[up].saturating_add(tree.total[at]);
        }
        self.tree
    }
}

/// A box that holds several lines or files shows none.
fn merge_place(held: &mut BoxLabel, other: &BoxLabel) {
    if held.line != other.line || held.file != other.file {
        held.line = 0;
    }
    if held.file != other.file {
        held.file = NameIx::default();
    }
}
