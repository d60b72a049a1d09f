//! What is recorded: a program of our own and real ones, each for some seconds, the same work each time.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

/// Functions of the file that gcc compiles.
const FUNCTIONS: u32 = 1800;
/// Bytes that xz compresses.
const BYTES: usize = 12 << 20;

const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz";

/// Calls 24 deep without frame pointers, and time in the C library under them.
const OWN: &str = r"
#include <stdlib.h>
#include <string.h>
#define KEPT __attribute__((noipa))
static volatile unsigned long sink;
KEPT void burn(unsigned long rounds) { for (unsigned long i = 0; i < rounds; i++) sink += i; }
KEPT int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
KEPT long sorting(void) {
	int values[512];
	for (int i = 0; i < 512; i++) values[i] = rand();
	qsort(values, 512, sizeof(*values), compare);
	return values[0];
}
KEPT long recurse(long depth) {
	if (depth == 0) { burn(100000); return sorting(); }
	return recurse(depth - 1) + 1;
}
int main(void) { for (int i = 0; i < 30000; i++) sink += recurse(20); return 0; }
";

const PYTHON: &str = "
import hashlib, json, zlib
block = bytes(range(256)) * 4096
for round in range(90):
    hashlib.sha512(block).digest()
    hashlib.md5(block).digest()
    zlib.crc32(block)
    json.loads(json.dumps([{'a': i, 'b': [i] * 5} for i in range(4000)]))
";

const SQL: &str = "
with recursive n(i) as (select 1 union all select i + 1 from n where i < 1200000)
select sum(length(hex(i * 7919 % 100003))), count(distinct i % 5003) from n;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 900000)
select count(*) from (select i * 7919 % 1000003 as k from n order by k);
";

/// One program.
pub struct Program {
    pub name: &'static str,
    /// For people.
    pub shown: &'static str,
    pub arguments: Vec<String>,
}

/// Those that can run here.
pub fn programs(folder: &Path) -> Result<Vec<Program>> {
    let of = |name, shown, arguments: &[&str]| Program {
        name,
        shown,
        arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
    };
    fs::write(folder.join("own.c"), OWN)?;
    let options = ["-O2", "-g", "-fomit-frame-pointer", "own.c", "-o", "own"];
    let built = Command::new("gcc").args(options).current_dir(folder).status()?;
    ensure!(built.success(), "gcc cannot compile our own program");
    fs::write(folder.join("large.c"), large_source())?;
    fs::write(folder.join("data"), data())?;
    fs::write(folder.join("script.py"), PYTHON)?;
    let python =
        if Path::new("/usr/bin/python3").exists() { "/usr/bin/python3" } else { "python3" };
    let all = vec![
        of("own", "C, -O2 -fomit-frame-pointer, 24 calls deep, qsort", &["./own"]),
        of("gcc", "gcc -O2 -c, 1,800 functions", &["gcc", "-O2", "-c", "large.c", "-o", "large.o"]),
        of("python", "python3: hashlib, zlib, json", &[python, "script.py"]),
        of("sqlite3", "sqlite3: recursive queries, a sort", &["sqlite3", ":memory:", SQL]),
        of("xz", "xz -3 of 12 MiB", &["xz", "-3", "-k", "-f", "-T1", "data"]),
    ];
    let is_there = |program: &Program| {
        let name = &program.arguments[0];
        name.starts_with("./") || Command::new(name).arg("--version").output().is_ok()
    };
    Ok(all.into_iter().filter(is_there).collect())
}

fn large_source() -> String {
    let mut text = String::new();
    for number in 0..FUNCTIONS {
        let _ = writeln!(
            text,
            "int f{number}(int *a, int n) {{ int s = {number}; for (int i = 0; i < n; i++) {{ \
             if (a[i] % {} == 0) s += a[i] * i; else switch (a[i] & 7) {{ case 0: s ^= i; break; \
             case 3: s -= a[s & 15]; break; case 5: a[i] = s; break; default: s += n; }} }} return s; }}",
            number % 17 + 2
        );
    }
    text
}

/// Neither random nor regular.
fn data() -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let words: Vec<Vec<u8>> = (0..4000)
        .map(|_| (0..next() % 9 + 2).map(|_| LETTERS[next() % LETTERS.len()]).collect())
        .collect();
    let mut data = Vec::with_capacity(BYTES + 16);
    while data.len() < BYTES {
        let rank = next() % 4000 * (next() % 4000) / 4000;
        data.extend_from_slice(&words[rank]);
        data.push(b' ');
    }
    data
}
