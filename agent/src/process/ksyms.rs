//! What is needed of `/proc/kallsyms` and `/proc/modules` (proc_kallsyms(5), proc_modules(5)): the
//! bounds of the kernel's text, and the BPF programs. Names of kernel functions are the
//! symbolizer's business. Pure.

use std::io::{self, BufRead};

/// Most BPF programs and trampolines that are kept.
pub const BPF_SYMBOLS_MAX: usize = 16 * 1024;
/// Most modules that are kept.
pub const MODULES_MAX: usize = 4096;
/// Longest line that is looked at.
const LINE_BYTES_MAX: u64 = 4096;
/// Code that has no known end is taken to be this long at most.
const BPF_BYTES_MAX: u64 = 128 * 1024;

/// What was found in kallsyms.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct KernelSymbols {
    /// `_text`; 0 when the kernel hides addresses from us.
    pub text: u64,
    /// `_etext`, or failing that `_end`.
    pub end: u64,
    /// Start and stable name of code that BPF programs were compiled to, by start.
    pub bpf: Vec<(u64, Box<str>)>,
}

impl KernelSymbols {
    /// Reads the text of kallsyms.
    pub(super) fn read(mut input: impl BufRead) -> io::Result<Self> {
        let mut found = Self::default();
        let mut line = Vec::new();
        loop {
            line.clear();
            if io::Read::take(&mut input, LINE_BYTES_MAX).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            // Two hundred thousand lines and few that matter: look before parsing.
            if matters(&line) {
                found.add(&String::from_utf8_lossy(&line));
            }
        }
        found.bpf.sort();
        found.bpf.dedup_by_key(|(start, _)| *start);
        Ok(found)
    }

    fn add(&mut self, line: &str) {
        let mut fields = line.split_ascii_whitespace();
        let address = fields.next().and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let (Some(address), Some(_), Some(name)) = (address, fields.next(), fields.next()) else {
            return;
        };
        match name {
            _ if address == 0 => {}
            "_text" => self.text = address,
            "_etext" => self.end = address,
            "_end" if self.end == 0 => self.end = address,
            _ if fields.next() == Some("[bpf]") && self.bpf.len() < BPF_SYMBOLS_MAX => {
                self.bpf.push((address, stable_bpf_name(name).into()));
            }
            _ => {}
        }
    }

    /// The BPF program whose code holds `address`.
    pub(super) fn find_bpf(&self, address: u64) -> Option<&str> {
        let after = self.bpf.partition_point(|(start, _)| *start <= address);
        let (start, name) = self.bpf.get(after.checked_sub(1)?)?;
        (address - start < BPF_BYTES_MAX).then_some(&**name)
    }
}

fn matters(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    line.ends_with(b"[bpf]")
        || [&b" _text"[..], b" _end", b" _etext"].iter().any(|name| line.ends_with(name))
}

/// Programs are called by the hash of their instructions; trampolines and dispatchers carry a
/// number that is another one on every host, which is left out.
fn stable_bpf_name(name: &str) -> &str {
    if name.starts_with("bpf_prog_") {
        return name;
    }
    name.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('_')
}

/// A loaded module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ModuleRange {
    pub name: String,
    pub start: u64,
    pub end: u64,
}

/// The modules in the text of `/proc/modules`, by address; those with hidden addresses left out.
pub(super) fn parse_modules(text: &str) -> Vec<ModuleRange> {
    let mut modules: Vec<_> = text.lines().take(MODULES_MAX).filter_map(parse_module).collect();
    modules.sort_by_key(|module| module.start);
    modules
}

fn parse_module(line: &str) -> Option<ModuleRange> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let size: u64 = fields.get(1)?.parse().ok()?;
    let start = u64::from_str_radix(fields.get(5)?.strip_prefix("0x")?, 16).ok()?;
    let name = (*fields.first()?).to_owned();
    (start != 0).then(|| ModuleRange { name, start, end: start.saturating_add(size) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KALLSYMS: &str = "\
ffffffff81000000 T _stext
ffffffff81000000 T _text
ffffffff81e00000 T _etext
ffffffff82e00000 B _end
ffffffffc0001000 t bpf_prog_6deef7357e7b4530_sd_fw\t[bpf]
ffffffffc0000000 t bpf_trampoline_6442536165\t[bpf]
ffffffffc0400000 t kvm_init\t[kvm]
";

    #[test]
    fn bounds_and_programs_are_found() {
        let found = KernelSymbols::read(KALLSYMS.as_bytes()).expect("reads");
        assert_eq!((found.text, found.end), (0xffff_ffff_8100_0000, 0xffff_ffff_81e0_0000));
        assert_eq!(found.find_bpf(0xffff_ffff_c000_0010), Some("bpf_trampoline"));
        assert_eq!(found.find_bpf(0xffff_ffff_c000_1fff), Some("bpf_prog_6deef7357e7b4530_sd_fw"));
        assert_eq!(found.find_bpf(0xffff_ffff_c010_0000), None);
    }

    #[test]
    fn hidden_addresses_are_none() {
        let found = KernelSymbols::read(&b"0000000000000000 T _text\n"[..]).expect("reads");
        assert_eq!(found, KernelSymbols::default());
    }

    #[test]
    fn modules_are_read() {
        let text = "kvm 1327104 1 kvm_intel, Live 0xffffffffc0400000\n\
                    ext4 16384 0 - Live 0xffffffffc0200000 (O)\nhidden 4096 0 - Live 0x0000000000000000\nbad\n";
        let modules = parse_modules(text);
        let names: Vec<_> = modules.iter().map(|m| (m.name.as_str(), m.end)).collect();
        assert_eq!(names, [("ext4", 0xffff_ffff_c020_4000), ("kvm", 0xffff_ffff_c054_4000)]);
    }
}
