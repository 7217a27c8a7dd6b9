//! Message properties as JSON and back.

use serde_json::{Map, Value, json};

use super::{
    answer::Refusal,
    json::{of_table, to_table},
};
use crate::amqp::{AMQPValue, FieldTable, basic::AMQPProperties, properties as codec};

/// Properties of a message to be published.
pub struct Given {
    /// Flag word and property list.
    pub octets: Vec<u8>,
    /// Routing keys of the BCC header, which readers must not see.
    pub hidden_keys: Vec<Vec<u8>>,
}

/// Reads the properties of a publish. An empty array is an empty object to some.
pub fn given(value: Option<&Value>) -> Result<Given, Refusal> {
    let empty = Map::new();
    let object = match value {
        Some(Value::Object(object)) => object,
        Some(Value::Array(items)) if items.is_empty() => &empty,
        None | Some(Value::Null) => &empty,
        Some(other) => {
            return Err(Refusal::bad_request(format!("properties: expected an object, not {other}")));
        }
    };
    let mut properties = AMQPProperties::default();
    let mut hidden_keys = Vec::new();
    for (name, value) in object {
        if name == "headers" {
            let mut headers = to_table(Some(value))?;
            if let Some((shown, keys)) = without_bcc(&headers) {
                (headers, hidden_keys) = (shown, keys);
            }
            properties = properties.with_headers(headers);
            continue;
        }
        properties = match name.as_str() {
            "delivery_mode" => properties.with_delivery_mode(small(name, value)?),
            "priority" => properties.with_priority(small(name, value)?),
            "timestamp" => {
                let seconds = value.as_u64().ok_or_else(|| not("int", name))?;
                properties.with_timestamp(seconds)
            }
            "content_type" => properties.with_content_type(short(name, value)?.into()),
            "content_encoding" => properties.with_content_encoding(short(name, value)?.into()),
            "correlation_id" => properties.with_correlation_id(short(name, value)?.into()),
            "reply_to" => properties.with_reply_to(short(name, value)?.into()),
            "expiration" => properties.with_expiration(short(name, value)?.into()),
            "message_id" => properties.with_message_id(short(name, value)?.into()),
            "type" => properties.with_type(short(name, value)?.into()),
            "user_id" => properties.with_user_id(short(name, value)?.into()),
            "app_id" => properties.with_app_id(short(name, value)?.into()),
            "cluster_id" => properties.with_cluster_id(short(name, value)?.into()),
            // RabbitMQ ignores what it does not know, too.
            _ => properties,
        };
    }
    Ok(Given { octets: codec::encode(&properties), hidden_keys })
}

fn not(kind: &str, name: &str) -> Refusal {
    Refusal::bad_request(format!("not_{kind}: {name}"))
}

fn small(name: &str, value: &Value) -> Result<u8, Refusal> {
    value.as_u64().and_then(|value| u8::try_from(value).ok()).ok_or_else(|| not("int", name))
}

fn short<'a>(name: &str, value: &'a Value) -> Result<&'a str, Refusal> {
    value.as_str().filter(|text| text.len() <= 255).ok_or_else(|| not("string", name))
}

/// The headers without BCC and its keys; `None` when there is none.
fn without_bcc(headers: &FieldTable) -> Option<(FieldTable, Vec<Vec<u8>>)> {
    let Some(AMQPValue::FieldArray(keys)) = headers.inner().get("BCC") else { return None };
    let keys = keys.as_slice().iter().filter_map(|key| match key {
        AMQPValue::LongString(key) => Some(key.as_bytes().to_vec()),
        _ => None,
    });
    let keys = keys.collect();
    let mut shown = FieldTable::default();
    for (name, value) in headers.inner().iter().filter(|(name, _)| name.as_str() != "BCC") {
        shown.insert(name.clone(), value.clone());
    }
    Some((shown, keys))
}

/// The properties of a message that was got; none are an empty object.
pub fn shown(octets: &[u8]) -> Value {
    let Some(properties) = codec::decode(octets) else { return json!({}) };
    let mut object = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            object.insert(name.to_owned(), value);
        }
    };
    let text = |value: &Option<crate::amqp::ShortString>| value.as_ref().map(|value| json!(value.as_str()));
    put("content_type", text(properties.content_type()));
    put("content_encoding", text(properties.content_encoding()));
    put("headers", properties.headers().as_ref().map(of_table));
    put("delivery_mode", properties.delivery_mode().map(|value| json!(value)));
    put("priority", properties.priority().map(|value| json!(value)));
    put("correlation_id", text(properties.correlation_id()));
    put("reply_to", text(properties.reply_to()));
    put("expiration", text(properties.expiration()));
    put("message_id", text(properties.message_id()));
    put("timestamp", properties.timestamp().map(|value| json!(value)));
    put("type", text(properties.kind()));
    put("user_id", text(properties.user_id()));
    put("app_id", text(properties.app_id()));
    put("cluster_id", text(properties.cluster_id()));
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_come_back_as_they_went_in() {
        let value = json!({
            "content_type": "text/plain", "headers": { "n": 1, "t": { "k": [true] } }, "delivery_mode": 2,
            "priority": 5, "timestamp": 1_700_000_000_u64, "type": "kind", "message_id": "m", "expiration": "60000",
        });
        assert_eq!(shown(&given(Some(&value)).unwrap().octets), value);
        assert_eq!(shown(&given(Some(&json!([]))).unwrap().octets), json!({}));
    }

    #[test]
    fn wrong_kinds_are_refused() {
        for value in
            [json!({ "timestamp": "x" }), json!({ "priority": 256 }), json!({ "type": 1 }), json!("x")]
        {
            assert!(given(Some(&value)).is_err(), "{value}");
        }
    }

    #[test]
    fn bas_07_hidden_keys_are_taken_out() {
        let given = given(Some(&json!({ "headers": { "BCC": ["b"], "CC": ["c"] } }))).unwrap();
        assert_eq!(given.hidden_keys, [b"b".to_vec()]);
        assert_eq!(shown(&given.octets), json!({ "headers": { "CC": ["c"] } }));
    }
}
