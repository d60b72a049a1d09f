//! MiniDebugInfo: `.gnu_debugdata`, an xz stream that holds an ELF file with the symbols that
//! `.dynsym` lacks (GDB's manual, "MiniDebugInfo").

use std::io::Read as _;

use lzma_rust2::XzReader;

/// Most bytes that are unpacked.
pub const UNPACKED_BYTES_MAX: u64 = 32 << 20;
/// Most bytes that are read packed.
pub(crate) const PACKED_BYTES_MAX: u64 = 16 << 20;

/// The ELF file within; `None` for what is no sound xz stream or larger than
/// [`UNPACKED_BYTES_MAX`].
#[must_use]
pub fn unpack(packed: &[u8]) -> Option<Vec<u8>> {
    let mut unpacked = Vec::new();
    let mut reader = XzReader::new(packed, false).take(UNPACKED_BYTES_MAX + 1);
    reader.read_to_end(&mut unpacked).ok()?;
    (unpacked.len() as u64 <= UNPACKED_BYTES_MAX).then_some(unpacked)
}
