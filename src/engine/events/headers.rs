//! The headers of an event, in the form RabbitMQ's plugin gives them: it writes what has no form in AMQP as Erlang
//! does, and programs that read events know that.

use std::{fmt::Write, net::IpAddr};

use serde_json::Value;

use super::acting::with_actor;
use crate::amqp::{AMQPValue, FieldTable, LongString};

/// Octets of one text.
const TEXT_MAX: usize = 4 << 10;
/// Octets of all the terms of one table.
const TERMS_MAX: usize = 32 << 10;

/// Headers under construction.
#[derive(Debug, Default)]
pub struct Headers(FieldTable);

impl From<Headers> for FieldTable {
    fn from(headers: Headers) -> FieldTable {
        headers.0
    }
}

fn long_string(text: &str) -> AMQPValue {
    let end = text.floor_char_boundary(TEXT_MAX);
    AMQPValue::LongString(LongString::from(text.get(..end).unwrap_or_default()))
}

impl Headers {
    pub fn of(table: FieldTable) -> Headers {
        Headers(table)
    }

    pub fn value(mut self, name: &str, value: AMQPValue) -> Headers {
        self.0.insert(name.into(), value);
        self
    }

    pub fn text(self, name: &str, text: &str) -> Headers {
        self.value(name, long_string(text))
    }

    pub fn flag(self, name: &str, flag: bool) -> Headers {
        self.value(name, AMQPValue::Boolean(flag))
    }

    pub fn number(self, name: &str, number: u64) -> Headers {
        self.value(name, AMQPValue::LongLongInt(i64::try_from(number).unwrap_or(i64::MAX)))
    }

    pub fn texts<'a>(self, name: &str, texts: impl IntoIterator<Item = &'a str>) -> Headers {
        let texts: Vec<AMQPValue> = texts.into_iter().map(long_string).collect();
        self.value(name, AMQPValue::FieldArray(texts.into()))
    }

    /// The user for whom this is done.
    pub fn by_actor(self) -> Headers {
        with_actor(|actor| self.text("user_who_performed_action", actor))
    }

    /// An address as Erlang writes it.
    pub fn address(self, name: &str, address: IpAddr) -> Headers {
        let text = match address {
            IpAddr::V4(address) => tuple(address.octets()),
            IpAddr::V6(address) => tuple(address.segments()),
        };
        self.text(name, &text)
    }

    /// A table as a list of Erlang's terms, one for each field.
    pub fn terms(self, name: &str, table: &FieldTable) -> Headers {
        let mut terms = Vec::new();
        let mut octets = 0;
        for (field, value) in table.inner() {
            let mut term = String::new();
            put_field(&mut term, field.as_str(), value);
            octets += term.len();
            if TERMS_MAX < octets {
                break;
            }
            terms.push(term);
        }
        self.texts(name, terms.iter().map(String::as_str))
    }

    /// JSON as a value; an object becomes a table, nothing an empty list.
    pub fn json(self, name: &str, value: &Value) -> Headers {
        self.value(name, of_json(value))
    }

    /// The fields of an object as headers.
    pub fn fields(mut self, object: &serde_json::Map<String, Value>) -> Headers {
        for (name, value) in object.iter().filter(|(name, _)| name.len() <= 255) {
            self = self.json(name, value);
        }
        self
    }
}

fn tuple<T: ToString>(parts: impl IntoIterator<Item = T>) -> String {
    let parts: Vec<String> = parts.into_iter().map(|part| part.to_string()).collect();
    format!("{{{}}}", parts.join(","))
}

/// What operators wrote was parsed with a bound on its depth.
fn of_json(value: &Value) -> AMQPValue {
    match value {
        Value::Null => AMQPValue::Void,
        Value::Bool(value) => AMQPValue::Boolean(*value),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(value), _) => AMQPValue::LongLongInt(value),
            (None, value) => AMQPValue::Double(value.unwrap_or_default()),
        },
        Value::String(text) => long_string(text),
        Value::Array(items) => AMQPValue::FieldArray(items.iter().map(of_json).collect::<Vec<_>>().into()),
        Value::Object(object) if object.is_empty() => AMQPValue::FieldArray(Vec::new().into()),
        Value::Object(object) => {
            let mut table = FieldTable::default();
            for (name, value) in object.iter().filter(|(name, _)| name.len() <= 255) {
                table.insert(name.as_str().into(), of_json(value));
            }
            AMQPValue::FieldTable(table)
        }
    }
}

fn put_field(out: &mut String, name: &str, value: &AMQPValue) {
    out.push('{');
    put_binary(out, name.as_bytes());
    out.push(',');
    put_typed(out, value);
    out.push('}');
}

fn put_binary(out: &mut String, octets: &[u8]) {
    out.push_str("<<");
    if !octets.is_empty() {
        out.push('"');
        for character in String::from_utf8_lossy(octets).chars() {
            if matches!(character, '"' | '\\') {
                out.push('\\');
            }
            out.push(character);
        }
        out.push('"');
    }
    out.push_str(">>");
}

/// A value with the name of its type before it. Writing into a string cannot fail.
fn put_typed(out: &mut String, value: &AMQPValue) {
    let mut number = |name: &str, value: &dyn std::fmt::Display| {
        let _infallible = write!(out, "{name},{value}");
    };
    match value {
        AMQPValue::Boolean(value) => number("bool", value),
        AMQPValue::ShortShortInt(value) => number("byte", value),
        AMQPValue::ShortShortUInt(value) => number("unsignedbyte", value),
        AMQPValue::ShortInt(value) => number("short", value),
        AMQPValue::ShortUInt(value) => number("unsignedshort", value),
        AMQPValue::LongInt(value) => number("signedint", value),
        AMQPValue::LongUInt(value) => number("unsignedint", value),
        AMQPValue::LongLongInt(value) => number("long", value),
        AMQPValue::Timestamp(value) => number("timestamp", value),
        AMQPValue::Float(value) => number("float", value),
        AMQPValue::Double(value) => number("double", value),
        AMQPValue::DecimalValue(value) => {
            let _infallible = write!(out, "decimal,{{{},{}}}", value.scale, value.value);
        }
        AMQPValue::Void => out.push_str("void,undefined"),
        AMQPValue::ShortString(text) => {
            out.push_str("longstr,");
            put_binary(out, text.as_str().as_bytes());
        }
        AMQPValue::LongString(text) => {
            out.push_str("longstr,");
            put_binary(out, text.as_bytes());
        }
        AMQPValue::ByteArray(octets) => {
            out.push_str("binary,");
            put_binary(out, octets.as_slice());
        }
        AMQPValue::FieldArray(values) => {
            out.push_str("array,[");
            put_all(out, values.as_slice(), |out, value| {
                out.push('{');
                put_typed(out, value);
                out.push('}');
            });
            out.push(']');
        }
        AMQPValue::FieldTable(table) => {
            out.push_str("table,[");
            put_all(out, table.inner(), |out, (name, value)| put_field(out, name.as_str(), value));
            out.push(']');
        }
    }
}

/// Puts items with commas between them.
fn put_all<T>(out: &mut String, items: impl IntoIterator<Item = T>, put: impl Fn(&mut String, T)) {
    for (at, item) in items.into_iter().enumerate() {
        if at != 0 {
            out.push(',');
        }
        put(out, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(value: AMQPValue) -> String {
        let mut term = String::new();
        put_field(&mut term, "x", &value);
        term
    }

    #[test]
    fn arguments_are_written_as_erlang_writes_them() {
        assert_eq!(term(AMQPValue::LongInt(5000)), r#"{<<"x">>,signedint,5000}"#);
        assert_eq!(term(AMQPValue::Boolean(true)), r#"{<<"x">>,bool,true}"#);
        assert_eq!(term(long_string("a\"b")), r#"{<<"x">>,longstr,<<"a\"b">>}"#);
        assert_eq!(term(long_string("")), r#"{<<"x">>,longstr,<<>>}"#);
        let array = AMQPValue::FieldArray(vec![AMQPValue::LongLongInt(1), AMQPValue::Void].into());
        assert_eq!(term(array), r#"{<<"x">>,array,[{long,1},{void,undefined}]}"#);
        let mut table = FieldTable::default();
        table.insert("y".into(), AMQPValue::Boolean(false));
        assert_eq!(term(AMQPValue::FieldTable(table)), r#"{<<"x">>,table,[{<<"y">>,bool,false}]}"#);
    }

    #[test]
    fn addresses_are_tuples() {
        let headers = Headers::default().address("host", "127.0.0.1".parse().unwrap());
        assert_eq!(headers.0.inner().get("host"), Some(&long_string("{127,0,0,1}")));
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let headers = Headers::default().text("t", &"é".repeat(TEXT_MAX));
        let Some(AMQPValue::LongString(text)) = headers.0.inner().get("t").cloned() else {
            unreachable!("it is a text")
        };
        assert_eq!((text.as_bytes().len(), std::str::from_utf8(text.as_bytes()).is_ok()), (TEXT_MAX, true));
    }
}
