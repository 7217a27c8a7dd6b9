//! The names of field types as error texts print them (QUE-67).

use super::view::FieldRef;
use amq_protocol::types::AMQPValue;

impl FieldRef<'_> {
    /// The name of this value's type in error texts.
    pub fn type_name(&self) -> &'static str {
        match self {
            FieldRef::Bool(_) => "bool",
            FieldRef::I8(_) => "byte",
            FieldRef::U8(_) => "unsignedbyte",
            FieldRef::I16(_) => "short",
            FieldRef::U16(_) => "unsignedshort",
            FieldRef::I32(_) => "signedint",
            FieldRef::U32(_) => "unsignedint",
            FieldRef::I64(_) => "long",
            FieldRef::F32(_) => "float",
            FieldRef::F64(_) => "double",
            FieldRef::Decimal { .. } => "decimal",
            FieldRef::LongStr(_) => "longstr",
            FieldRef::Bytes(_) => "binary",
            FieldRef::Array(_) => "array",
            FieldRef::Timestamp(_) => "timestamp",
            FieldRef::Table(_) => "table",
            FieldRef::Void => "void",
        }
    }
}

/// The name of an argument value's type in error texts.
pub fn value_type_name(value: &AMQPValue) -> &'static str {
    match value {
        AMQPValue::Boolean(_) => "bool",
        AMQPValue::ShortShortInt(_) => "byte",
        AMQPValue::ShortShortUInt(_) => "unsignedbyte",
        AMQPValue::ShortInt(_) => "short",
        AMQPValue::ShortUInt(_) => "unsignedshort",
        AMQPValue::LongInt(_) => "signedint",
        AMQPValue::LongUInt(_) => "unsignedint",
        AMQPValue::LongLongInt(_) => "long",
        AMQPValue::Float(_) => "float",
        AMQPValue::Double(_) => "double",
        AMQPValue::DecimalValue(_) => "decimal",
        // A short string is never a field of a table in this dialect; it can only be built by hand.
        AMQPValue::ShortString(_) | AMQPValue::LongString(_) => "longstr",
        AMQPValue::ByteArray(_) => "binary",
        AMQPValue::FieldArray(_) => "array",
        AMQPValue::Timestamp(_) => "timestamp",
        AMQPValue::FieldTable(_) => "table",
        AMQPValue::Void => "void",
    }
}
