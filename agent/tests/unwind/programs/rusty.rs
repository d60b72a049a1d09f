//! Closures, trait objects, formatting, a thread, and a panic that is caught.

use std::collections::BTreeMap;
use std::hint::black_box;

trait Shape {
    fn area(&self, depth: u32) -> u64;
}

struct Square(u64);

impl Shape for Square {
    #[inline(never)]
    fn area(&self, depth: u32) -> u64 {
        if depth == 0 { self.0 * self.0 } else { self.area(depth - 1) + black_box(1) }
    }
}

fn main() {
    let shapes: Vec<Box<dyn Shape>> = (1..4).map(|side| Box::new(Square(side)) as _).collect();
    let sum: u64 = shapes.iter().map(|shape| shape.area(3)).sum();
    let mut words = BTreeMap::new();
    for word in ["to", "be", "or", "not", "to", "be"] {
        *words.entry(word.to_owned()).or_insert(0) += sum;
    }
    let text = format!("{words:?} {:.3}", sum as f64 / 3.0);
    let thread = std::thread::spawn(move || text.len());
    std::panic::set_hook(Box::new(|_| {}));
    let caught = std::panic::catch_unwind(|| black_box(Vec::<u8>::new())[black_box(3)]);
    assert!(caught.is_err() && thread.join().expect("it ends") > 0);
}
