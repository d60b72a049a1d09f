//! The two entries of the dynamic section that tell a library's name and a program from a library.

use super::header::{PT_LOAD, Segment, read_some};
use super::layout::Class;
use super::{CodeSegment, ElfError, ReadAt};

/// Most bytes of the dynamic section that are searched for a SONAME.
const DYNAMIC_BYTES_MAX: u64 = 16 * 1024;
/// Longest SONAME.
const SONAME_BYTES_MAX: usize = 255;
const PT_DYNAMIC: u32 = 2;
const DT_STRTAB: u64 = 5;
const DT_SONAME: u64 = 14;
const DT_FLAGS_1: u64 = 0x6fff_fffb;
const DF_1_PIE: u64 = 0x0800_0000;

/// What the dynamic section says.
#[derive(Default)]
pub(super) struct Dynamic {
    pub soname: Option<String>,
    pub is_pie: bool,
}

impl Dynamic {
    pub(super) fn read<R: ReadAt + ?Sized>(
        file: &R,
        class: Class,
        segments: &[Segment],
    ) -> Result<Self, ElfError> {
        let Some(segment) = segments.iter().find(|s| s.kind == PT_DYNAMIC) else {
            return Ok(Self::default());
        };
        let bytes = read_some(file, segment.extent(), DYNAMIC_BYTES_MAX)?;
        let value = |tag| class.dynamic_value(&bytes, tag);
        let soname = value(DT_STRTAB)
            .zip(value(DT_SONAME))
            .and_then(|(table, name)| string_at(file, segments, table.checked_add(name)?));
        Ok(Self { soname, is_pie: value(DT_FLAGS_1).unwrap_or(0) & DF_1_PIE != 0 })
    }
}

fn string_at<R: ReadAt + ?Sized>(file: &R, segments: &[Segment], address: u64) -> Option<String> {
    let loaded = segments.iter().filter(|s| s.kind == PT_LOAD).map(Segment::code);
    let holds = |s: &CodeSegment| address.wrapping_sub(s.address) < s.file_size;
    let segment = loaded.into_iter().find(holds)?;
    let offset = (address - segment.address).checked_add(segment.file_offset)?;
    let mut bytes = [0; SONAME_BYTES_MAX + 1];
    let count = file.read_at(offset, &mut bytes).ok()?;
    let length = bytes[..count].iter().position(|&byte| byte == 0).filter(|&length| length > 0)?;
    String::from_utf8(bytes[..length].to_vec()).ok()
}
