//! How argument values are printed in error texts, and when two values of one argument are equivalent.
//!
//! Clients match on these texts, so numbers, strings and containers print exactly as RabbitMQ prints them:
//! octets raw where a value is quoted, in Erlang's notation inside terms.

use crate::amqp::table::value_type_name;
use amq_protocol::types::{AMQPValue, DecimalValue, FieldArray, FieldTable};
use std::fmt::Write;

/// A value with its type: `the value '5' of type 'signedint'`.
pub fn describe_value(value: &AMQPValue) -> String {
    format!("the value '{}' of type '{}'", value_text(value), value_type_name(value))
}

/// A value alone, strings and byte arrays raw: `5`, `drop-head`.
pub fn value_text(value: &AMQPValue) -> String {
    match octets(value) {
        Some(octets) => String::from_utf8_lossy(octets).into_owned(),
        None => term_text(value),
    }
}

/// A value as a term: `5`, `<<"drop-head">>`, `[{signedint,1}]`.
pub fn term_text(value: &AMQPValue) -> String {
    let mut text = Vec::new();
    write_term(value, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// The integer in any of the integer field types, which arguments accept alike.
pub fn integer(value: &AMQPValue) -> Option<i64> {
    match value {
        AMQPValue::ShortShortInt(v) => Some((*v).into()),
        AMQPValue::ShortShortUInt(v) => Some((*v).into()),
        AMQPValue::ShortInt(v) => Some((*v).into()),
        AMQPValue::ShortUInt(v) => Some((*v).into()),
        AMQPValue::LongInt(v) => Some((*v).into()),
        AMQPValue::LongUInt(v) => Some((*v).into()),
        AMQPValue::LongLongInt(v) => Some(*v),
        _ => None,
    }
}

/// The text of a long string, the only field type that textual arguments accept.
pub fn long_string(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => Some(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        _ => None,
    }
}

/// The end of an inequivalence text, from `received` on, if the two values of an argument differ
/// (CH-26, QUE-63, QUE-64). Widths of integers and floats do not matter, other field types do.
pub fn inequivalence(current: Option<&AMQPValue>, received: Option<&AMQPValue>) -> Option<String> {
    match (current, received) {
        (None, None) => None,
        (Some(current), None) => Some(format!("received none but current is {}", describe_value(current))),
        (None, Some(received)) => Some(format!("received {} but current is none", describe_value(received))),
        (Some(current), Some(received)) if equivalent(current, received) => None,
        (Some(current), Some(received)) => {
            Some(format!("received '{}' but current is '{}'", value_text(received), value_text(current)))
        }
    }
}

fn equivalent(left: &AMQPValue, right: &AMQPValue) -> bool {
    match (integer(left), integer(right)) {
        (Some(left), Some(right)) => left == right,
        _ => match (float(left), float(right)) {
            (Some(left), Some(right)) => left == right,
            _ => left == right,
        },
    }
}

fn float(value: &AMQPValue) -> Option<f64> {
    match value {
        AMQPValue::Float(v) => Some((*v).into()),
        AMQPValue::Double(v) => Some(*v),
        _ => None,
    }
}

fn octets(value: &AMQPValue) -> Option<&[u8]> {
    match value {
        AMQPValue::LongString(text) => Some(text.as_bytes()),
        AMQPValue::ShortString(text) => Some(text.as_str().as_bytes()),
        AMQPValue::ByteArray(octets) => Some(octets.as_slice()),
        _ => None,
    }
}

/// Terms nest as deep as the argument does, which its parser limits.
fn write_term(value: &AMQPValue, text: &mut Vec<u8>) {
    match value {
        AMQPValue::FieldArray(array) => write_array(array, text),
        AMQPValue::FieldTable(table) => write_table(table, text),
        AMQPValue::Boolean(v) => write_plain(text, *v),
        AMQPValue::Timestamp(v) => write_plain(text, *v),
        AMQPValue::DecimalValue(DecimalValue { scale, value }) => {
            write_plain(text, format_args!("{{{scale},{value}}}"));
        }
        AMQPValue::Void => write_plain(text, "undefined"),
        other => {
            if let Some(octets) = octets(other) {
                write_octets(octets, text);
            } else if let Some(number) = integer(other) {
                write_plain(text, number);
            } else if let Some(number) = float(other) {
                write_plain(text, float_text(number));
            }
        }
    }
}

fn write_plain(text: &mut Vec<u8>, part: impl std::fmt::Display) {
    text.extend_from_slice(part.to_string().as_bytes());
}

fn write_array(array: &FieldArray, text: &mut Vec<u8>) {
    text.push(b'[');
    for (index, value) in array.as_slice().iter().enumerate() {
        if 0 < index {
            text.push(b',');
        }
        write_plain(text, format_args!("{{{},", value_type_name(value)));
        write_term(value, text);
        text.push(b'}');
    }
    text.push(b']');
}

fn write_table(table: &FieldTable, text: &mut Vec<u8>) {
    text.push(b'[');
    for (index, (name, value)) in table.inner().iter().enumerate() {
        if 0 < index {
            text.push(b',');
        }
        text.push(b'{');
        write_octets(name.as_str().as_bytes(), text);
        write_plain(text, format_args!(",{},", value_type_name(value)));
        write_term(value, text);
        text.push(b'}');
    }
    text.push(b']');
}

/// Octets in Erlang's notation: quoted if all are printable (in Latin-1), else as numbers.
fn write_octets(octets: &[u8], text: &mut Vec<u8>) {
    if octets.is_empty() {
        return text.extend_from_slice(b"<<>>");
    }
    text.extend_from_slice(b"<<");
    if octets.iter().all(|octet| is_printable(*octet)) {
        text.push(b'"');
        octets.iter().for_each(|octet| write_escaped(*octet, text));
        text.push(b'"');
    } else {
        let numbers: Vec<String> = octets.iter().map(u8::to_string).collect();
        text.extend_from_slice(numbers.join(",").as_bytes());
    }
    text.extend_from_slice(b">>");
}

fn is_printable(octet: u8) -> bool {
    matches!(octet, 8..=13 | 27 | 32..=126 | 160..=255)
}

fn write_escaped(octet: u8, text: &mut Vec<u8>) {
    let letter = match octet {
        8 => b'b',
        9 => b't',
        10 => b'n',
        11 => b'v',
        12 => b'f',
        13 => b'r',
        27 => b'e',
        b'"' | b'\\' => octet,
        plain => return text.push(plain),
    };
    text.extend_from_slice(&[b'\\', letter]);
}

/// The shortest digits that read back as the number, always with a point.
fn float_text(number: f64) -> String {
    let mut text = String::new();
    write!(text, "{number:?}").expect("writing to a string cannot fail");
    match text.find('e') {
        Some(at) if !text.contains('.') => {
            text.insert_str(at, ".0");
            text
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> AMQPValue {
        AMQPValue::LongString(text.into())
    }

    #[test]
    fn values_print_as_in_rabbitmq_texts() {
        let mut table = FieldTable::default();
        table.insert("a".into(), AMQPValue::LongInt(1));
        let printed = [
            (AMQPValue::LongInt(5), "the value '5' of type 'signedint'"),
            (AMQPValue::LongLongInt(1 << 40), "the value '1099511627776' of type 'long'"),
            (AMQPValue::Boolean(true), "the value 'true' of type 'bool'"),
            (AMQPValue::Void, "the value 'undefined' of type 'void'"),
            (string("a\"b é"), "the value 'a\"b é' of type 'longstr'"),
            (AMQPValue::ByteArray(b"abc"[..].into()), "the value 'abc' of type 'binary'"),
            (
                AMQPValue::DecimalValue(DecimalValue { scale: 2, value: 314 }),
                "the value '{2,314}' of type 'decimal'",
            ),
            (AMQPValue::Timestamp(77), "the value '77' of type 'timestamp'"),
            (AMQPValue::Double(1.5), "the value '1.5' of type 'double'"),
            (AMQPValue::Double(1e22), "the value '1.0e22' of type 'double'"),
            (
                AMQPValue::FieldArray(vec![AMQPValue::LongInt(1), string("a")].into()),
                "the value '[{signedint,1},{longstr,<<\"a\">>}]' of type 'array'",
            ),
            (AMQPValue::FieldTable(table), "the value '[{<<\"a\">>,signedint,1}]' of type 'table'"),
            (AMQPValue::FieldTable(FieldTable::default()), "the value '[]' of type 'table'"),
        ];
        for (value, text) in printed {
            assert_eq!(describe_value(&value), text);
        }
    }

    #[test]
    fn terms_quote_and_escape_octets() {
        assert_eq!(term_text(&string("bogus")), "<<\"bogus\">>");
        assert_eq!(term_text(&string("a\"b\\c\nd")), "<<\"a\\\"b\\\\c\\nd\">>");
        assert_eq!(term_text(&string("")), "<<>>");
        assert_eq!(term_text(&string("é")), "<<\"é\">>");
        assert_eq!(term_text(&AMQPValue::ByteArray(vec![1, 0].into())), "<<1,0>>");
    }

    #[test]
    fn que_63_one_side_missing_names_the_type() {
        let five = AMQPValue::LongInt(5);
        assert_eq!(
            inequivalence(None, Some(&five)).as_deref(),
            Some("received the value '5' of type 'signedint' but current is none")
        );
        assert_eq!(
            inequivalence(Some(&five), None).as_deref(),
            Some("received none but current is the value '5' of type 'signedint'")
        );
    }

    #[test]
    fn que_64_widths_do_not_matter_but_values_and_classes_do() {
        let five = AMQPValue::LongInt(5);
        assert_eq!(inequivalence(Some(&five), Some(&AMQPValue::ShortInt(5))), None);
        assert_eq!(inequivalence(Some(&AMQPValue::Float(1.5)), Some(&AMQPValue::Double(1.5))), None);
        assert_eq!(
            inequivalence(Some(&five), Some(&AMQPValue::LongLongInt(6))).as_deref(),
            Some("received '6' but current is '5'")
        );
        assert_eq!(
            inequivalence(Some(&five), Some(&string("5"))).as_deref(),
            Some("received '5' but current is '5'")
        );
    }
}
