//! Tests of `parse`.

use super::*;
use proptest::prelude::*;

#[test]
fn gates_are_read_as_they_are_written() {
    for (text, wanted) in [
        ("total>1%", "total > 1%"),
        ("total > 1% or function > 5%", "total > 1% or function > 5%"),
        (
            "total > 1 % and (function>5% or rel(function) > 20.5%)",
            "total > 1% and (function > 5% or rel(function) > 20.5%)",
        ),
        ("function(\"a::\\\"b\") > 0%", "function(\"a::\\\"b\") > 0%"),
        ("((total > 0.1%))", "total > 0.1%"),
    ] {
        assert_eq!(Gate::parse(text).unwrap().to_string(), wanted);
    }
}

#[test]
fn what_is_no_gate_is_said() {
    for (text, at, problem) in [
        ("", 1, "expected `total`"),
        ("total", 6, "expected `>`"),
        ("total > 1", 10, "expected `%`"),
        ("total > x%", 9, "number of percent"),
        ("total > 1% function > 2%", 12, "expected `or`"),
        ("(total > 1%", 12, "expected `)`"),
        ("totals > 1%", 1, "expected `total`"),
        ("function(\"x > 1%", 11, "does not end"),
        ("total > 1e9%", 10, "expected `%`"),
    ] {
        let error = Gate::parse(text).unwrap_err();
        assert_eq!(error.at, at, "{text}: {error}");
        assert!(error.problem.contains(problem), "{text}: {error}");
    }
    assert!(Gate::parse(&"(".repeat(100)).unwrap_err().problem.contains("brackets"));
}

fn gates() -> impl Strategy<Value = Gate> {
    let name = prop::option::of("[ -~]{0,8}");
    let quantity = (0..3, name).prop_map(|(kind, name)| match kind {
        0 => Quantity::Total,
        1 => Quantity::Function(name),
        _ => Quantity::Relative(name),
    });
    let clause = (quantity, 0u32..100_000).prop_map(|(quantity, above)| {
        Gate::Clause(Clause { quantity, above: f64::from(above) / 1000.0 / 100.0 })
    });
    clause.prop_recursive(4, 16, 3, |inner| {
        let parts = prop::collection::vec(inner, 2..4);
        (any::<bool>(), parts)
            .prop_map(|(all, parts)| if all { Gate::All(parts) } else { Gate::Any(parts) })
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(gate in gates()) {
        let text = gate.to_string();
        prop_assert_eq!(Gate::parse(&text).unwrap().to_string(), text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}|[a-z()>%0-9.\" ]{0,40}") {
        if let Ok(gate) = Gate::parse(&text) {
            prop_assert_eq!(Gate::parse(&gate.to_string()).unwrap(), gate);
        }
    }
}
