//! The few forms of DWARF expressions that unwinding tables use, found by following them
//! symbolically: a register with an offset, the word there with something added, a linkage stub.

use gimli::{EndianSlice, Expression, LittleEndian, Operation, Register};

use super::limits::OPERATIONS_MAX;

pub(super) type Bytes<'a> = EndianSlice<'a, LittleEndian>;
type Op<'a> = Operation<Bytes<'a>>;

pub(super) const RBP: Register = Register(6);
pub(super) const RSP: Register = Register(7);
/// What DWARF calls the return address's column, and in expressions the instruction pointer.
pub(super) const RIP: Register = Register(16);
const WORD_BYTES: u8 = 8;

/// What an expression comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    /// CFA + offset.
    Cfa(i64),
    /// Register + offset.
    Register(Register, i64),
    /// The word at register + offset, and `plus` more.
    Word { register: Register, offset: i64, plus: i64 },
    /// Stack pointer + offset, and 8 more where the instruction pointer's low four bits are at least
    /// `threshold`.
    Stub { offset: i64, threshold: u16 },
}

/// What `expression` comes to; nothing where it is of another form. `start` is what lies on the stack
/// before its first operation.
pub(super) fn value(expression: Expression<Bytes<'_>>, start: Option<Value>) -> Option<Value> {
    let encoding = gimli::Encoding { format: gimli::Format::Dwarf32, version: 4, address_size: 8 };
    let mut operations = [const { Operation::Nop }; OPERATIONS_MAX];
    let mut count = 0;
    let mut rest = expression.operations(encoding);
    while let Some(operation) = rest.next().ok()? {
        *operations.get_mut(count)? = operation;
        count += 1;
    }
    let operations = &operations[..count];
    stub(operations).or_else(|| operations.iter().try_fold(start, follow).flatten())
}

/// One operation; none where it is unknown here.
fn follow(top: Option<Value>, operation: &Op<'_>) -> Option<Option<Value>> {
    let value = match (operation, top) {
        (Operation::Nop, top) => return Some(top),
        (&Operation::RegisterOffset { register, offset, .. }, _) => {
            Value::Register(register, offset)
        }
        (&Operation::PlusConstant { value }, Some(top)) => top.plus(i64::try_from(value).ok()?)?,
        (
            Operation::Deref { size: WORD_BYTES, space: false, .. },
            Some(Value::Register(register, offset)),
        ) => Value::Word { register, offset, plus: 0 },
        _ => return None,
    };
    Some(Some(value))
}

impl Value {
    fn plus(self, more: i64) -> Option<Self> {
        Some(match self {
            Self::Cfa(offset) => Self::Cfa(offset.checked_add(more)?),
            Self::Register(register, offset) => Self::Register(register, offset.checked_add(more)?),
            Self::Word { register, offset, plus } => {
                Self::Word { register, offset, plus: plus.checked_add(more)? }
            }
            Self::Stub { .. } => return None,
        })
    }
}

/// The linkage stubs of `.plt`, as GNU ld describes them: each takes 16 bytes, and its push of 8
/// bytes comes at a fixed place. `rsp + offset + ((rip & 15) >= threshold) << 3`.
fn stub(operations: &[Op<'_>]) -> Option<Value> {
    let [
        Operation::RegisterOffset { register: RSP, offset, .. },
        Operation::RegisterOffset { register: RIP, offset: 0, .. },
        Operation::UnsignedConstant { value: 15 },
        Operation::And,
        Operation::UnsignedConstant { value: threshold @ 0..=15 },
        Operation::Ge,
        Operation::UnsignedConstant { value: 3 },
        Operation::Shl,
        Operation::Plus,
    ] = operations
    else {
        return None;
    };
    Some(Value::Stub { offset: *offset, threshold: u16::try_from(*threshold).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8], start: Option<Value>) -> Option<Value> {
        value(Expression(EndianSlice::new(bytes, LittleEndian)), start)
    }

    #[test]
    fn forms_that_compilers_and_assemblers_write() {
        // gcc, after aligning the stack: the word below the frame pointer.
        let word = Value::Word { register: RBP, offset: -8, plus: 0 };
        assert_eq!(of(&[0x76, 0x78, 0x06], None), Some(word));
        // OpenSSL: a saved stack pointer, and the return address above it.
        let word = Value::Word { register: RSP, offset: 88, plus: 8 };
        assert_eq!(of(&[0x77, 0xd8, 0, 0x06, 0x23, 8], None), Some(word));
        let plt = [0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22];
        assert_eq!(of(&plt, None), Some(Value::Stub { offset: 8, threshold: 11 }));
        assert_eq!(of(&[0x23, 8], Some(Value::Cfa(0))), Some(Value::Cfa(8)));
    }

    #[test]
    fn other_forms_are_none() {
        for bytes in [
            &[][..],
            &[0x06],
            &[0x77],
            &[0x23, 8],
            &[0x77, 0, 0x06, 0x06],
            &[0x77, 8, 0x79, 0, 0x38, 0x1e, 0x22, 0x06, 0x23, 8],
            &[0x96; OPERATIONS_MAX + 1],
        ] {
            assert_eq!(of(bytes, None), None, "{bytes:x?}");
        }
    }
}
