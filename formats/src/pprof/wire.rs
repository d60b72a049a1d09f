//! The protobuf wire format, read in place: one pass, no allocation, no copy.
//!
//! A pprof is some hundred thousand tiny messages. Decoding each into a structure of its own costs
//! more than all that is done with them; here a message is a slice and a field a number in it.

/// Why bytes are no protobuf message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WireError {
    /// A varint or a length goes past the end.
    Truncated,
    /// A varint has more than ten bytes.
    Varint,
    /// Field number 0, or one above 2^29 - 1.
    FieldNumber,
    /// Groups, which pprof never had, or a wire type that does not exist.
    WireType,
}

impl WireError {
    pub(super) const fn problem(self) -> &'static str {
        match self {
            Self::Truncated => "it ends within a field",
            Self::Varint => "a number has more than ten bytes",
            Self::FieldNumber => "a field has an impossible number",
            Self::WireType => "a field has an impossible type",
        }
    }
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// Fixed-width numbers, which pprof has none of.
    Fixed,
}

/// The fields of one message, in order.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What has not been read yet.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// The next field; `None` at the end.
    #[expect(clippy::inline_always, reason = "a third of a million calls a file, a few cases each")]
    #[inline(always)]
    pub(super) fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, WireError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = varint(&mut self.0)?;
        let number = match u32::try_from(key >> 3) {
            Ok(number @ 1..0x2000_0000) => number,
            _ => return Err(WireError::FieldNumber),
        };
        let value = match key & 7 {
            0 => Value::Varint(varint(&mut self.0)?),
            1 => self.fixed(8)?,
            2 => {
                let length = varint(&mut self.0)?;
                let length = usize::try_from(length).map_err(|_| WireError::Truncated)?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.fixed(4)?,
            _ => return Err(WireError::WireType),
        };
        Ok(Some((number, value)))
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(WireError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn fixed(&mut self, length: usize) -> Result<Value<'a>, WireError> {
        self.take(length)?;
        Ok(Value::Fixed)
    }
}

/// Reads one varint off the front.
#[inline]
pub(super) fn varint(bytes: &mut &[u8]) -> Result<u64, WireError> {
    // Most numbers of a pprof have one, two or three bytes.
    match **bytes {
        [a, ref rest @ ..] if a < 0x80 => {
            *bytes = rest;
            Ok(u64::from(a))
        }
        [a, b, ref rest @ ..] if b < 0x80 => {
            *bytes = rest;
            Ok(u64::from(a & 0x7f) | u64::from(b) << 7)
        }
        [a, b, c, ref rest @ ..] if c < 0x80 => {
            *bytes = rest;
            Ok(u64::from(a & 0x7f) | u64::from(b & 0x7f) << 7 | u64::from(c) << 14)
        }
        _ => long_varint(bytes),
    }
}

#[cold]
fn long_varint(bytes: &mut &[u8]) -> Result<u64, WireError> {
    let mut value = 0;
    for (at, &byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            *bytes = &bytes[at + 1..];
            return Ok(value);
        }
    }
    Err(if bytes.len() < 10 { WireError::Truncated } else { WireError::Varint })
}

/// A signed number as pprof writes it: two's complement.
pub(super) const fn signed(value: u64) -> i64 {
    value.cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_whole_or_not_at_all() {
        for (bytes, wanted) in [
            (&[0][..], Ok(0)),
            (&[0x7f], Ok(127)),
            (&[0x80, 1], Ok(128)),
            (&[0xff, 0xff, 3], Ok(65_535)),
            (&[0xff, 0xff, 0xff, 0x7f], Ok((1 << 28) - 1)),
            (&[0xff; 9], Err(WireError::Truncated)),
            (&[0xff; 10], Err(WireError::Varint)),
            (&[0x80], Err(WireError::Truncated)),
            (&[], Err(WireError::Truncated)),
        ] {
            assert_eq!(varint(&mut &bytes[..]), wanted, "{bytes:x?}");
        }
        let minus_one = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        assert_eq!(varint(&mut &minus_one[..]).map(signed), Ok(-1));
    }

    #[test]
    fn fields_that_cannot_be_are_refused() {
        for (bytes, wanted) in [
            (&[0x00, 0][..], WireError::FieldNumber),
            (&[0x0b], WireError::WireType),
            (&[0x0a, 5, 1], WireError::Truncated),
            (&[0x09, 1, 2], WireError::Truncated),
        ] {
            assert_eq!(Fields::new(bytes).next(), Err(wanted), "{bytes:x?}");
        }
    }
}
