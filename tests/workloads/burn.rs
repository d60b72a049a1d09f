//! As `burn.c`, in Rust. Build with `-C force-frame-pointers=yes`.

use std::hint::black_box;
use std::time::Instant;

fn spin(n: u64) -> u64 {
    (0..n).fold(n, |x, i| black_box(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(i)))
}

#[inline(never)]
fn hot_half(n: u64) {
    black_box(spin(n));
}

#[inline(never)]
fn hot_third(n: u64) {
    black_box(spin(black_box(n) + 1));
}

#[inline(never)]
fn hot_fifth(n: u64) {
    black_box(spin(black_box(n) + 2));
}

/// CPU time of this thread: `schedstat`'s first field.
fn cpu_ns() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

fn main() {
    let seconds: f64 = std::env::args().nth(1).map_or(5.0, |text| text.parse().unwrap());
    let hot: [(&str, fn(u64), f64); 3] =
        [("hot_half", hot_half, 0.5), ("hot_third", hot_third, 0.3), ("hot_fifth", hot_fifth, 0.2)];
    let (mut spent, mut random, start) = ([0u64; 3], 88_172_645_463_325_252u64, Instant::now());
    while (spent.iter().sum::<u64>() as f64) < seconds * 1e9 && start.elapsed().as_secs() < 300 {
        let due = |at: &usize| spent[*at] as f64 / hot[*at].2;
        let next = (0..3).min_by(|a, b| due(a).total_cmp(&due(b))).unwrap();
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let before = cpu_ns();
        hot[next].1(200_000 + random % 1_800_000);
        spent[next] += cpu_ns() - before;
    }
    for ((name, ..), ns) in hot.iter().zip(spent) {
        println!("{name} {ns}");
    }
}
