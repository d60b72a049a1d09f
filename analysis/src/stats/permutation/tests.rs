//! Tests of `permutation`.

use super::*;

fn design(each: usize, is_paired: bool) -> Design {
    Design { base: (0..each).collect(), new: (each..2 * each).collect(), is_paired }
}

#[test]
fn every_deal_is_tried_once_while_they_are_few() {
    for (each, is_paired, wanted) in
        [(5, false, 252), (6, false, 924), (8, true, 256), (3, true, 8)]
    {
        let all = Assignments::of(&design(each, is_paired), 2 * each);
        assert!(all.is_complete);
        assert_eq!(all.len(), wanted);
        let mut distinct = all.deals.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), wanted);
        assert!(all.deals.iter().all(|deal| deal.iter().filter(|new| **new).count() == each));
    }
    let many = Assignments::of(&design(20, false), 40);
    assert!(!many.is_complete && many.len() == MAX_DEALS + 1);
}

#[test]
fn a_clear_change_is_the_rarest_deal() {
    let x: Vec<Vec<f64>> = [1.0, 1.1, 0.9, 1.05, 0.95, 2.0, 2.1, 1.9, 2.05, 1.95]
        .map(|x| vec![x, 0.5 + x / 100.0])
        .to_vec();
    let design = design(5, false);
    let tail = max_tail(&x, &[10.0; 10], &[0.0; 2], &design, &Assignments::of(&design, 10));
    let column: Vec<f64> = x.iter().map(|row| row[0]).collect();
    let t = crate::stats::unpaired(&column, &[10.0; 10], &design, (0.0, 0.0)).t();
    // The deal and its mirror image are the two that reach it.
    assert!((tail.p(t) - 2.0 / 252.0).abs() < 1e-12, "{}", tail.p(t));
    let bar = tail.bar(0.01);
    assert!(t > bar.t && !bar.is_one_sided, "{t} {bar:?}");
    // One of 252 is less than half a percent, two are more.
    let bar = tail.bar(0.005);
    assert!(t > bar.t && bar.is_one_sided, "{t} {bar:?}");
    assert!(tail.bar(0.001).t.is_infinite());
}
