//! Between bytes and `amq_protocol` field tables, for method arguments.

use super::check::{TABLE_DEPTH_MAX, TableError, check_table};
use amq_protocol::frame::WriteContext;
use amq_protocol::types::{FieldTable, generation, parsing};
use nom::{Parser, combinator::all_consuming};

/// Parses the body of a field table (the bytes after its length) into owned values.
///
/// The structure is checked first, because the parser recurses with the nesting of its input.
pub fn parse_field_table(body: &[u8]) -> Result<FieldTable, TableError> {
    check_table(body, TABLE_DEPTH_MAX)?;
    let length = u32::try_from(body.len()).map_err(|_| TableError::Truncated)?;
    let mut prefixed = Vec::with_capacity(4 + body.len());
    prefixed.extend_from_slice(&length.to_be_bytes());
    prefixed.extend_from_slice(body);
    match all_consuming(parsing::parse_field_table).parse(&prefixed[..]) {
        Ok((_, table)) => Ok(table),
        // The only thing that the parser asks beyond a checked structure is that names are text.
        Err(_) => Err(TableError::NameNotUtf8),
    }
}

/// The body of a field table as bytes, fields in order of their names: equal tables give equal bytes.
pub fn field_table_bytes(table: &FieldTable) -> Vec<u8> {
    let context = WriteContext::from(Vec::new());
    let written = generation::gen_field_table(table)(context);
    let (mut bytes, _) = written.expect("writing to a vector cannot fail").into_inner();
    bytes.drain(..4);
    bytes
}
