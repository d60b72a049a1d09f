//! Tests of `sums`.

use super::super::table::{Key, Replicate};
use super::*;

fn table(stacks: &[(&[&str], u64, u64)]) -> Table {
    let mut table = Table::default();
    for side in [Side::Base, Side::New] {
        table.replicate(Replicate { name: String::new(), side, placebo: 0, exposure: 1 });
    }
    for (stack, base, new) in stacks {
        let mut at = PlaceIx::ROOT;
        for name in *stack {
            let key = table.key(Key { name: (*name).into(), module: String::new() });
            at = table.place(at, key);
        }
        table.add(at, super::super::table::ReplicateIx(0), (*base, 1));
        table.add(at, super::super::table::ReplicateIx(1), (*new, 1));
    }
    table
}

fn row(table: &Table, sums: &Sums, name: &str) -> (Vec<u64>, Vec<u64>) {
    let at = table.keys.iter().position(|key| key.name == name).unwrap();
    let key = KeyIx(u32::try_from(at).unwrap());
    (sums.own(key).to_vec(), sums.total(key).to_vec())
}

#[test]
fn recursion_counts_once_and_what_is_explained_not_at_all() {
    let table = table(&[
        (&["main", "fib", "fib", "add"], 10, 20),
        (&["main", "fib"], 1, 2),
        (&["main", "add"], 100, 100),
        (&[], 3, 5),
    ]);
    let all = sums(&table, &Explained::nothing(&table));
    assert_eq!(all.all, [114, 127]);
    assert_eq!(row(&table, &all, "fib"), (vec![1, 2], vec![11, 22]));
    assert_eq!(row(&table, &all, "add"), (vec![110, 120], vec![110, 120]));
    let mut explained = Explained::nothing(&table);
    let add = table.keys.iter().position(|key| key.name == "add").unwrap();
    explained.own[add] = true;
    let rest = sums(&table, &explained);
    assert_eq!(row(&table, &rest, "fib"), (vec![1, 2], vec![1, 2]));
    assert_eq!(rest.all, [4, 7]);
    explained.own[add] = false;
    let fib = table.keys.iter().position(|key| key.name == "fib").unwrap();
    explained.through[fib] = true;
    let rest = sums(&table, &explained);
    assert_eq!(row(&table, &rest, "main"), (vec![0, 0], vec![100, 100]));
}

#[test]
fn what_is_inlined_counts_as_its_caller() {
    let table = table(&[(&["main", "a", "b"], 10, 20), (&["main", "a"], 1, 2)]);
    let b = KeyIx(2);
    let inlined = table.remapped(|key| (key != b).then_some(key));
    let all = sums(&inlined, &Explained::nothing(&inlined));
    assert_eq!(row(&inlined, &all, "a"), (vec![11, 22], vec![11, 22]));
    assert_eq!(row(&inlined, &all, "b"), (vec![0, 0], vec![0, 0]));
}

#[test]
fn sums_that_do_not_fit_are_told() {
    let table = table(&[(&["a"], u64::MAX, 1), (&["b"], 2, 1)]);
    assert!(sums(&table, &Explained::nothing(&table)).has_overflowed);
}
