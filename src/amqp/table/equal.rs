//! Equality by value between a binding argument and a message header (EXC-75 to EXC-77).
//!
//! Field types are grouped into classes: all integers and timestamps are numbers, floats of both widths are
//! floats, strings and byte arrays are octets. Values of different classes are never equal.

use super::view::{ArrayRef, FieldRef, TableRef};
use amq_protocol::types::{AMQPValue, DecimalValue, FieldArray, FieldTable};
use smallvec::SmallVec;
use std::hash::{Hash, Hasher};

/// A value without its field type, containers left as they are.
enum Plain<'a, Array, Table> {
    Bool(bool),
    // Wide enough for signed integers and unsigned timestamps alike.
    Integer(i128),
    Float(f64),
    Decimal(u8, u32),
    Octets(&'a [u8]),
    Array(Array),
    Table(Table),
    Void,
}

/// Whether a message header has the value that a binding argument asks for.
pub fn value_matches(expected: &AMQPValue, found: FieldRef<'_>) -> bool {
    match (plain_value(expected), plain_field(found)) {
        (Plain::Bool(a), Plain::Bool(b)) => a == b,
        (Plain::Integer(a), Plain::Integer(b)) => a == b,
        (Plain::Float(a), Plain::Float(b)) => a == b,
        (Plain::Decimal(a, b), Plain::Decimal(c, d)) => (a, b) == (c, d),
        (Plain::Octets(a), Plain::Octets(b)) => a == b,
        (Plain::Void, Plain::Void) => true,
        // The recursion ends with the nesting of the argument, which is limited when it is parsed.
        (Plain::Array(a), Plain::Array(b)) => arrays_match(a, b),
        (Plain::Table(a), Plain::Table(b)) => tables_match(a, b),
        _ => false,
    }
}

/// Feeds `value` to a hasher so that everything [`value_matches`] calls equal hashes equal.
pub fn hash_value(value: &AMQPValue, hasher: &mut impl Hasher) {
    hash_plain(plain_value(value), hasher);
}

/// As [`hash_value`], for the other side of the comparison.
pub fn hash_field(field: FieldRef<'_>, hasher: &mut impl Hasher) {
    hash_plain(plain_field(field), hasher);
}

fn plain_value(value: &AMQPValue) -> Plain<'_, &FieldArray, &FieldTable> {
    match value {
        AMQPValue::Boolean(v) => Plain::Bool(*v),
        AMQPValue::ShortShortInt(v) => Plain::Integer((*v).into()),
        AMQPValue::ShortShortUInt(v) => Plain::Integer((*v).into()),
        AMQPValue::ShortInt(v) => Plain::Integer((*v).into()),
        AMQPValue::ShortUInt(v) => Plain::Integer((*v).into()),
        AMQPValue::LongInt(v) => Plain::Integer((*v).into()),
        AMQPValue::LongUInt(v) => Plain::Integer((*v).into()),
        AMQPValue::LongLongInt(v) => Plain::Integer((*v).into()),
        AMQPValue::Timestamp(v) => Plain::Integer((*v).into()),
        AMQPValue::Float(v) => Plain::Float((*v).into()),
        AMQPValue::Double(v) => Plain::Float(*v),
        AMQPValue::DecimalValue(DecimalValue { scale, value }) => Plain::Decimal(*scale, *value),
        AMQPValue::ShortString(v) => Plain::Octets(v.as_str().as_bytes()),
        AMQPValue::LongString(v) => Plain::Octets(v.as_bytes()),
        AMQPValue::ByteArray(v) => Plain::Octets(v.as_slice()),
        AMQPValue::FieldArray(v) => Plain::Array(v),
        AMQPValue::FieldTable(v) => Plain::Table(v),
        AMQPValue::Void => Plain::Void,
    }
}

fn plain_field(field: FieldRef<'_>) -> Plain<'_, ArrayRef<'_>, TableRef<'_>> {
    match field {
        FieldRef::Bool(v) => Plain::Bool(v),
        FieldRef::I8(v) => Plain::Integer(v.into()),
        FieldRef::U8(v) => Plain::Integer(v.into()),
        FieldRef::I16(v) => Plain::Integer(v.into()),
        FieldRef::U16(v) => Plain::Integer(v.into()),
        FieldRef::I32(v) => Plain::Integer(v.into()),
        FieldRef::U32(v) => Plain::Integer(v.into()),
        FieldRef::I64(v) => Plain::Integer(v.into()),
        FieldRef::Timestamp(v) => Plain::Integer(v.into()),
        FieldRef::F32(v) => Plain::Float(v.into()),
        FieldRef::F64(v) => Plain::Float(v),
        FieldRef::Decimal { scale, value } => Plain::Decimal(scale, value),
        FieldRef::LongStr(v) | FieldRef::Bytes(v) => Plain::Octets(v),
        FieldRef::Array(v) => Plain::Array(v),
        FieldRef::Table(v) => Plain::Table(v),
        FieldRef::Void => Plain::Void,
    }
}

fn arrays_match(expected: &FieldArray, found: ArrayRef<'_>) -> bool {
    let mut found = found.iter();
    expected.as_slice().iter().all(|value| found.next().is_some_and(|field| value_matches(value, field)))
        && found.next().is_none()
}

/// Tables are equal if they have the same fields in any order; a duplicated name equals nothing, because the
/// argument's side cannot hold one.
fn tables_match(expected: &FieldTable, found: TableRef<'_>) -> bool {
    let expected = expected.inner();
    let mut names: SmallVec<[&[u8]; 16]> = SmallVec::new();
    for (name, field) in found {
        let value = str::from_utf8(name).ok().and_then(|name| expected.get(name));
        if !value.is_some_and(|value| value_matches(value, field)) {
            return false;
        }
        names.push(name);
    }
    names.sort_unstable();
    names.len() == expected.len() && names.windows(2).all(|pair| pair[0] != pair[1])
}

fn hash_plain<Array, Table>(plain: Plain<'_, Array, Table>, hasher: &mut impl Hasher) {
    match plain {
        Plain::Bool(v) => (0u8, v).hash(hasher),
        Plain::Integer(v) => (1u8, v).hash(hasher),
        // Zero and minus zero are equal, so they have to hash equal.
        Plain::Float(v) => (2u8, if v == 0.0 { 0 } else { v.to_bits() }).hash(hasher),
        Plain::Decimal(scale, value) => (3u8, scale, value).hash(hasher),
        Plain::Octets(v) => (4u8, v).hash(hasher),
        // Containers are rare as criteria: telling them apart is left to the comparison.
        Plain::Array(_) => 5u8.hash(hasher),
        Plain::Table(_) => 6u8.hash(hasher),
        Plain::Void => 7u8.hash(hasher),
    }
}
