//! Reads what a broker calls itself out of the table in connection.start.

use crate::bench::client::inbound::read_u32;

/// Product and version of the server, from the arguments of connection.start.
pub fn server_name(start: &[u8]) -> Option<String> {
    let (_version, table) = start.split_at_checked(2)?;
    let length = read_u32(table, 0) as usize;
    let fields = table.get(4..4 + length)?;
    let product = text_field(fields, b"product")?;
    Some(match text_field(fields, b"version") {
        Some(version) => format!("{product} {version}"),
        None => product,
    })
}

/// The text of the field `wanted`, if the table has one.
fn text_field(mut fields: &[u8], wanted: &[u8]) -> Option<String> {
    while let Some((&length, rest)) = fields.split_first() {
        let (name, rest) = rest.split_at_checked(usize::from(length))?;
        let (&kind, rest) = rest.split_first()?;
        let size = value_size(kind, rest)?;
        let (value, rest) = rest.split_at_checked(size)?;
        if name == wanted && kind == b'S' {
            return String::from_utf8(value[4..].to_vec()).ok();
        }
        fields = rest;
    }
    None
}

/// The bytes a value of this type takes, its own length field included.
fn value_size(kind: u8, value: &[u8]) -> Option<usize> {
    Some(match kind {
        b'V' => 0,
        b't' | b'b' | b'B' => 1,
        b's' | b'u' => 2,
        b'I' | b'i' | b'f' => 4,
        b'D' => 5,
        b'l' | b'L' | b'd' | b'T' => 8,
        b'S' | b'x' | b'F' | b'A' if value.len() >= 4 => 4 + read_u32(value, 0) as usize,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::client::wire::{Payload, Value};

    #[test]
    fn product_and_version_are_found_behind_other_fields() {
        let text = |text: &str| Value::Text(text.to_owned());
        let nested = vec![("version".to_owned(), text("wrong"))];
        let table = vec![
            ("capabilities".to_owned(), Value::Table(nested)),
            ("flag".to_owned(), Value::Bool(true)),
            ("product".to_owned(), text("Broker")),
            ("version".to_owned(), text("1.2")),
        ];
        let start = Payload::default().octet(0).octet(9).table(&table);
        assert_eq!(server_name(&start.0).as_deref(), Some("Broker 1.2"));
        assert_eq!(server_name(&start.0[..20]), None);
    }
}
