//! What CPU costs: a small table by label, from a TOML file.
//!
//! ```toml
//! currency = "EUR"
//!
//! [[price]]
//! labels = { instance_type = "m7g.4xlarge" }
//! cpu_core_hour = 0.041
//!
//! [[price]]
//! cpu_core_hour = 0.05
//! ```
//!
//! The first price counts all of whose labels a row has; one without labels is for all the rest.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use stoker_dag::LabelSet;

use super::selector::value_of;

/// Prices in a table at most.
const MAX_PRICES: usize = 1000;

/// A table of prices; the empty one knows none.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// What the numbers are in, as `EUR`.
    #[serde(default)]
    pub currency: String,
    /// In the order in which they are tried.
    #[serde(default, rename = "price")]
    prices: Vec<Price>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Price {
    #[serde(default)]
    labels: BTreeMap<String, String>,
    cpu_core_hour: f64,
}

impl Prices {
    /// Reads a table.
    ///
    /// # Errors
    /// When the file cannot be read or is no table of prices: one sentence that says where.
    pub fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read the prices {shown}: {error}"))?;
        Self::parse(&text).map_err(|error| format!("the prices {shown} are wrong: {error}"))
    }

    /// The table that a text is.
    ///
    /// # Errors
    /// When it is none: says where and why.
    pub fn parse(text: &str) -> Result<Self, String> {
        let prices: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| text[..span.start].matches('\n').count() + 1);
            let place = line.map_or_else(String::new, |line| format!("line {line}: "));
            format!("{place}{}", error.message())
        })?;
        if prices.prices.len() > MAX_PRICES {
            return Err(format!("more than {MAX_PRICES} prices"));
        }
        let is_wrong = |price: &&Price| !(0.0..1e9).contains(&price.cpu_core_hour);
        match prices.prices.iter().find(is_wrong) {
            Some(price) => Err(format!("cpu_core_hour = {} is no price", price.cpu_core_hour)),
            None => Ok(prices),
        }
    }

    /// Whether it knows no price.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.prices.is_empty()
    }

    /// The labels that prices depend on.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.prices.iter().flat_map(|price| price.labels.keys().map(String::as_str))
    }

    /// Which price a row has.
    pub(super) fn of(&self, series: &LabelSet, attributes: &LabelSet) -> Option<usize> {
        let fits = |price: &Price| {
            let mut labels = price.labels.iter();
            labels.all(|(name, value)| value_of(name, series, attributes) == value)
        };
        self.prices.iter().position(fits)
    }

    /// What so many nanoseconds of one core cost at a price of the table.
    #[expect(clippy::cast_precision_loss, reason = "money is told to no more than 52 bits")]
    pub(super) fn cost(&self, price: usize, cpu_ns: u128) -> f64 {
        const HOUR_NS: f64 = 3.6e12;
        self.prices.get(price).map_or(0.0, |price| cpu_ns as f64 / HOUR_NS * price.cpu_core_hour)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_price_that_fits_counts() {
        let prices = Prices::parse(
            "currency = 'EUR'\n[[price]]\nlabels = { zone = 'a', cpu_model = 'x' }\n\
             cpu_core_hour = 2\n[[price]]\nlabels = { zone = 'a' }\ncpu_core_hour = 3.5",
        )
        .unwrap();
        let zone = |zone: &str| LabelSet::new([("zone", zone)]);
        let model = LabelSet::new([("cpu_model", "x")]);
        assert_eq!(prices.of(&zone("a"), &model), Some(0));
        assert_eq!(prices.of(&zone("a"), &LabelSet::default()), Some(1));
        assert_eq!(prices.of(&zone("b"), &model), None);
        assert!((prices.cost(1, 7_200_000_000_000) - 7.0).abs() < 1e-12);
        assert_eq!(prices.labels().collect::<Vec<_>>(), ["cpu_model", "zone", "zone"]);
    }

    #[test]
    fn what_is_no_table_is_said_with_its_place() {
        for (text, wanted) in [
            ("currency = 1", "line 1: invalid type"),
            ("\n[[price]]\ncost = 1", "line 3: unknown field `cost`"),
            ("[[price]]\nlabels = {}", "missing field `cpu_core_hour`"),
            ("[[price]]\ncpu_core_hour = -1", "cpu_core_hour = -1 is no price"),
            ("[[price]]\ncpu_core_hour = nan", "cpu_core_hour = NaN is no price"),
        ] {
            let error = Prices::parse(text).unwrap_err();
            assert!(error.contains(wanted), "{error}");
        }
        assert!(Prices::parse("").unwrap().is_empty());
    }
}
