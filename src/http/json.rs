//! Field tables as JSON and back.

use serde_json::{Map, Number, Value, json};

use super::answer::Refusal;
use crate::amqp::{AMQPValue, FieldTable, LongString, table::parse_field_table};

/// Nesting of tables in requests.
const DEPTH_MAX: usize = 32;

/// A table as an object. Octets that are no text are shown as well as text can.
pub fn of_table(table: &FieldTable) -> Value {
    let fields = table.inner().iter();
    Value::Object(fields.map(|(name, value)| (name.to_string(), of_value(value))).collect())
}

/// As [`of_table`] for the body of an encoded one.
pub fn of_octets(octets: &[u8]) -> Value {
    parse_field_table(octets).map_or_else(|_| json!({}), |table| of_table(&table))
}

fn of_value(value: &AMQPValue) -> Value {
    match value {
        AMQPValue::Boolean(value) => json!(value),
        AMQPValue::ShortShortInt(value) => json!(value),
        AMQPValue::ShortShortUInt(value) => json!(value),
        AMQPValue::ShortInt(value) => json!(value),
        AMQPValue::ShortUInt(value) => json!(value),
        AMQPValue::LongInt(value) => json!(value),
        AMQPValue::LongUInt(value) => json!(value),
        AMQPValue::LongLongInt(value) => json!(value),
        AMQPValue::Timestamp(value) => json!(value),
        AMQPValue::Float(value) => number(f64::from(*value)),
        AMQPValue::Double(value) => number(*value),
        AMQPValue::DecimalValue(value) => {
            number(f64::from(value.value) / 10_f64.powi(i32::from(value.scale)))
        }
        AMQPValue::ShortString(value) => json!(value.as_str()),
        AMQPValue::LongString(value) => json!(String::from_utf8_lossy(value.as_bytes())),
        AMQPValue::ByteArray(value) => json!(String::from_utf8_lossy(value.as_slice())),
        AMQPValue::FieldArray(values) => values.as_slice().iter().map(of_value).collect(),
        AMQPValue::FieldTable(table) => of_table(table),
        AMQPValue::Void => Value::Null,
    }
}

fn number(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

/// An object as a table; integers are signed longs, as RabbitMQ makes them. Nothing is an empty one, also an
/// empty array, which some write for that.
pub fn to_table(value: Option<&Value>) -> Result<FieldTable, Refusal> {
    match value {
        None | Some(Value::Null) => Ok(FieldTable::default()),
        Some(Value::Array(items)) if items.is_empty() => Ok(FieldTable::default()),
        Some(Value::Object(object)) => table(object, DEPTH_MAX),
        Some(other) => Err(Refusal::bad_request(format!("expected an object, not {other}"))),
    }
}

fn table(object: &Map<String, Value>, depth: usize) -> Result<FieldTable, Refusal> {
    let mut table = FieldTable::default();
    for (name, value) in object {
        if 255 < name.len() {
            return Err(Refusal::bad_request("a field's name has more than 255 bytes"));
        }
        table.insert(name.as_str().into(), to_value(value, depth)?);
    }
    Ok(table)
}

fn to_value(value: &Value, depth: usize) -> Result<AMQPValue, Refusal> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(Refusal::bad_request("tables are nested too deep"));
    };
    Ok(match value {
        Value::Null => AMQPValue::Void,
        Value::Bool(value) => AMQPValue::Boolean(*value),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(value), _) => AMQPValue::LongLongInt(value),
            (None, Some(value)) => AMQPValue::Double(value),
            (None, None) => return Err(Refusal::bad_request(format!("{number} is too large"))),
        },
        Value::String(text) => AMQPValue::LongString(LongString::from(text.as_str())),
        Value::Array(items) => {
            let items: Result<Vec<_>, _> = items.iter().map(|item| to_value(item, depth)).collect();
            AMQPValue::FieldArray(items?.into())
        }
        Value::Object(object) => AMQPValue::FieldTable(table(object, depth)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_come_back_as_they_went_in() {
        let value = json!({ "i": -5, "f": 1.5, "s": "text", "b": true, "n": null, "a": [1, "x", {}], "t": { "k": 1 } });
        assert_eq!(of_table(&to_table(Some(&value)).unwrap()), value);
        assert_eq!(of_table(&to_table(Some(&json!([]))).unwrap()), json!({}));
        assert!(to_table(Some(&json!("text"))).is_err());
    }

    #[test]
    fn nesting_is_bounded() {
        let mut value = json!(1);
        for _ in 0..=DEPTH_MAX {
            value = json!([value]);
        }
        assert!(to_table(Some(&json!({ "deep": value }))).is_err());
    }
}
