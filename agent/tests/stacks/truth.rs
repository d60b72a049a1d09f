// As truth.c: a known call graph with threads, trait objects and the library's sort.
use std::hint::black_box;

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn burn(rounds: u64) -> u64 {
    let mut sum = 0u64;
    for i in 0..rounds {
        sum = black_box(sum.wrapping_add(i));
    }
    sum
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn recurse(depth: u64) -> u64 {
    if depth == 0 {
        return black_box(burn(20000)) + 1;
    }
    black_box(recurse(black_box(depth - 1))) + 1
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn compare(a: u64, b: u64) -> bool {
    black_box(burn(50));
    a < b
}

#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn sorting(seed: u64) -> u64 {
    let mut values: Vec<u64> = (0..500u64).map(|i| (i * 7919 + seed) % 1009).collect();
    values.sort_by(|a, b| if compare(*a, *b) { std::cmp::Ordering::Less } else { std::cmp::Ordering::Greater });
    black_box(values[0]) + 1
}

trait Visit {
    fn visit(&self, depth: u64) -> u64;
}

struct Both;

impl Visit for Both {
    #[inline(never)]
    fn visit(&self, depth: u64) -> u64 {
        black_box(recurse(depth)) + 1
    }
}

fn main() {
    let both: Box<dyn Visit + Send> = black_box(Box::new(Both));
    std::thread::spawn(move || loop {
        black_box(both.visit(15));
    });
    loop {
        black_box(sorting(black_box(3)));
    }
}
