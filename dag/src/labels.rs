//! Label sets: what a series or an attribute set is called by. Sorted, without repeats, so that
//! equal sets are equal bytes.

use std::fmt;
use std::sync::Arc;

use rustc_hash::FxHashMap;

/// A sorted set of `name = value`. An empty value is the same as no label and is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelSet(Arc<[(Arc<str>, Arc<str>)]>);

impl LabelSet {
    /// The set of these pairs. Of several values of one name the last counts.
    pub fn new<N: Into<Arc<str>>, V: Into<Arc<str>>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let sorted: std::collections::BTreeMap<Arc<str>, Arc<str>> =
            pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self(sorted.into_iter().filter(|(_, value)| !value.is_empty()).collect())
    }

    /// The value of a label; empty where there is none.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        let found = self.0.binary_search_by(|(held, _)| (**held).cmp(name));
        found.map_or("", |at| &self.0[at].1)
    }

    /// Pairs in order of name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &Arc<str>)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// How many labels there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for LabelSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (at, (name, value)) in self.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{name}={value:?}")?;
        }
        f.write_str("}")
    }
}

/// Index of a set in one [`LabelTable`]. The empty set is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelIx(pub u32);

impl LabelIx {
    /// As an array index.
    #[must_use]
    pub const fn at(self) -> usize {
        self.0 as usize
    }
}

/// Distinct label sets.
#[derive(Debug, Clone)]
pub struct LabelTable {
    sets: Vec<LabelSet>,
    index: FxHashMap<LabelSet, LabelIx>,
}

impl Default for LabelTable {
    fn default() -> Self {
        let mut table = Self { sets: Vec::new(), index: FxHashMap::default() };
        table.intern(&LabelSet::default());
        table
    }
}

impl LabelTable {
    /// The index of `set`, which is added when it is new.
    pub fn intern(&mut self, set: &LabelSet) -> LabelIx {
        if let Some(&ix) = self.index.get(set) {
            return ix;
        }
        let ix = LabelIx(u32::try_from(self.sets.len()).expect("fewer than 2^32 label sets"));
        self.sets.push(set.clone());
        self.index.insert(set.clone(), ix);
        ix
    }

    /// Where `set` stands, if it is there.
    #[must_use]
    pub fn find(&self, set: &LabelSet) -> Option<LabelIx> {
        self.index.get(set).copied()
    }

    /// The set at `ix`.
    #[must_use]
    pub fn get(&self, ix: LabelIx) -> &LabelSet {
        &self.sets[ix.at()]
    }

    /// All sets, in order of index.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &LabelSet> {
        self.sets.iter()
    }

    /// How many sets there are, the empty one included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sets.len()
    }

    /// Whether there is nothing but the empty set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sets.len() == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_sorted_and_without_empty_values() {
        let set = LabelSet::new([("zone", "a"), ("host", "w1"), ("pod", ""), ("zone", "b")]);
        assert_eq!(set.to_string(), r#"{host="w1",zone="b"}"#);
        assert_eq!((set.get("zone"), set.get("pod")), ("b", ""));
        assert_eq!(set, LabelSet::new([("zone", "b"), ("host", "w1")]));
    }
}
