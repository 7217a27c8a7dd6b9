//! Reading a field table in place: lazy, borrowed, total.
//!
//! On malformed bytes iteration simply ends, so callers that skipped [`check_table`](super::check_table) see
//! fewer fields, never a panic.

use super::check::value_length;

/// The body of a field table, read in place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableRef<'a> {
    bytes: &'a [u8],
}

/// The body of a field array, read in place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArrayRef<'a> {
    bytes: &'a [u8],
}

/// One value of a table or an array.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FieldRef<'a> {
    /// `t`
    Bool(bool),
    /// `b`
    I8(i8),
    /// `B`
    U8(u8),
    /// `s`: in this dialect a 16-bit integer, not a short string (WIR-33)
    I16(i16),
    /// `u`
    U16(u16),
    /// `I`
    I32(i32),
    /// `i`
    U32(u32),
    /// `l` and `L` (WIR-38)
    I64(i64),
    /// `f`
    F32(f32),
    /// `d`
    F64(f64),
    /// `D`: `value` divided by ten to the power `scale`
    Decimal {
        /// Digits after the point.
        scale: u8,
        /// All digits.
        value: u32,
    },
    /// `S`
    LongStr(&'a [u8]),
    /// `x`
    Bytes(&'a [u8]),
    /// `A`
    Array(ArrayRef<'a>),
    /// `T`: seconds since 1970
    Timestamp(u64),
    /// `F`
    Table(TableRef<'a>),
    /// `V`
    Void,
}

impl<'a> TableRef<'a> {
    /// A view of `bytes`, the body of a table without its length.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The bytes this view reads.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether the table has no fields.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The fields in wire order, duplicates included.
    pub fn iter(&self) -> TableIter<'a> {
        TableIter { rest: self.bytes }
    }

    /// The first field with this name.
    pub fn find(&self, key: &[u8]) -> Option<FieldRef<'a>> {
        self.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// Appends the octets of the fields whose names `keep` keeps.
    pub fn copy_fields(&self, out: &mut Vec<u8>, keep: impl Fn(&[u8]) -> bool) {
        let mut fields = self.iter();
        loop {
            let before = fields.rest();
            let Some((name, _)) = fields.next() else { return };
            if keep(name) {
                let length = before.len() - fields.rest().len();
                out.extend_from_slice(before.get(..length).unwrap_or_default());
            }
        }
    }
}

impl<'a> ArrayRef<'a> {
    /// A view of `bytes`, the body of an array without its length.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The bytes this view reads.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The elements in order.
    pub fn iter(&self) -> ArrayIter<'a> {
        ArrayIter { rest: self.bytes }
    }
}

/// Iterates over the fields of a [`TableRef`].
#[derive(Clone, Debug)]
pub struct TableIter<'a> {
    rest: &'a [u8],
}

impl<'a> TableIter<'a> {
    /// The octets of the fields that are still to come.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for TableIter<'a> {
    type Item = (&'a [u8], FieldRef<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (length, after) = self.rest.split_first()?;
        let (name, after) = after.split_at_checked(usize::from(*length))?;
        let (value, after) = take_field(after)?;
        self.rest = after;
        Some((name, value))
    }
}

/// Iterates over the elements of an [`ArrayRef`].
#[derive(Clone, Debug)]
pub struct ArrayIter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for ArrayIter<'a> {
    type Item = FieldRef<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let (value, after) = take_field(self.rest)?;
        self.rest = after;
        Some(value)
    }
}

impl<'a> IntoIterator for TableRef<'a> {
    type Item = (&'a [u8], FieldRef<'a>);
    type IntoIter = TableIter<'a>;

    fn into_iter(self) -> TableIter<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for ArrayRef<'a> {
    type Item = FieldRef<'a>;
    type IntoIter = ArrayIter<'a>;

    fn into_iter(self) -> ArrayIter<'a> {
        self.iter()
    }
}

/// Splits a type octet and its value off the front of `bytes`.
fn take_field(bytes: &[u8]) -> Option<(FieldRef<'_>, &[u8])> {
    let (kind, after) = bytes.split_first()?;
    let length = value_length(*kind, after).ok()?;
    let (value, rest) = after.split_at_checked(length)?;
    Some((read_field(*kind, value)?, rest))
}

/// Reads a value whose bytes, length prefix included, are exactly `value`.
fn read_field(kind: u8, value: &[u8]) -> Option<FieldRef<'_>> {
    Some(match kind {
        b't' => FieldRef::Bool(value[0] != 0),
        b'b' => FieldRef::I8(i8::from_be_bytes(*value.first_chunk()?)),
        b'B' => FieldRef::U8(value[0]),
        b's' => FieldRef::I16(i16::from_be_bytes(*value.first_chunk()?)),
        b'u' => FieldRef::U16(u16::from_be_bytes(*value.first_chunk()?)),
        b'I' => FieldRef::I32(i32::from_be_bytes(*value.first_chunk()?)),
        b'i' => FieldRef::U32(u32::from_be_bytes(*value.first_chunk()?)),
        b'l' | b'L' => FieldRef::I64(i64::from_be_bytes(*value.first_chunk()?)),
        b'f' => FieldRef::F32(f32::from_be_bytes(*value.first_chunk()?)),
        b'd' => FieldRef::F64(f64::from_be_bytes(*value.first_chunk()?)),
        b'D' => FieldRef::Decimal { scale: value[0], value: u32::from_be_bytes(*value.last_chunk()?) },
        b'S' => FieldRef::LongStr(&value[4..]),
        b'x' => FieldRef::Bytes(&value[4..]),
        b'A' => FieldRef::Array(ArrayRef::new(&value[4..])),
        b'T' => FieldRef::Timestamp(u64::from_be_bytes(*value.first_chunk()?)),
        b'F' => FieldRef::Table(TableRef::new(&value[4..])),
        b'V' => FieldRef::Void,
        _ => return None,
    })
}
