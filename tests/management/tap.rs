//! A client that listens to an exchange of the broker's own, and tells what it hears as JSON.

use std::time::Duration;

use futures_lite::StreamExt;
use lapin::{
    Connection, Consumer,
    options::*,
    types::{AMQPValue, FieldTable},
};
use serde_json::{Map, Value, json};

use crate::http::{GUEST, Target};

/// How long any single message may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A queue bound to an exchange, and its consumer.
pub struct Tap {
    _connection: Connection,
    consumer: Consumer,
}

/// A message as it was heard.
#[derive(Debug)]
pub struct Heard {
    pub key: String,
    pub headers: Value,
    pub body: Vec<u8>,
    pub timestamp: Option<u64>,
    pub delivery_mode: Option<u8>,
}

impl Tap {
    pub async fn on(target: &Target, vhost: &str, exchange: &str, pattern: &str) -> Tap {
        let connection = target.connect(GUEST, vhost).await.expect("it connects");
        let channel = connection.create_channel().await.unwrap();
        let exclusive = QueueDeclareOptions { exclusive: true, ..Default::default() };
        let queue = channel.queue_declare("".into(), exclusive, FieldTable::default()).await.unwrap();
        let (name, none) = (queue.name().clone(), FieldTable::default());
        channel
            .queue_bind(name.clone(), exchange.into(), pattern.into(), QueueBindOptions::default(), none)
            .await
            .expect("it may be bound");
        let no_ack = BasicConsumeOptions { no_ack: true, ..Default::default() };
        let consumer =
            channel.basic_consume(name, "tap".into(), no_ack, FieldTable::default()).await.unwrap();
        Tap { _connection: connection, consumer }
    }

    pub async fn next(&mut self) -> Heard {
        let delivery = tokio::time::timeout(PATIENCE, self.consumer.next()).await;
        let delivery = delivery.expect("nothing more is heard").expect("the consumer lives").unwrap();
        Heard {
            key: delivery.routing_key.to_string(),
            headers: delivery.properties.headers().as_ref().map_or(Value::Null, of_table),
            timestamp: *delivery.properties.timestamp(),
            delivery_mode: *delivery.properties.delivery_mode(),
            body: delivery.data,
        }
    }

    /// The next message with this key; others before it are passed over.
    pub async fn hear(&mut self, key: &str) -> Heard {
        let mut passed = Vec::new();
        loop {
            let next = tokio::time::timeout(PATIENCE, self.next()).await;
            match next.unwrap_or_else(|_| panic!("no {key} among {passed:?}")) {
                heard if heard.key == key => return heard,
                other => passed.push(other.key),
            }
        }
    }
}

fn of_table(table: &FieldTable) -> Value {
    let fields = table.inner().iter().map(|(name, value)| (name.to_string(), of_value(value)));
    Value::Object(fields.collect::<Map<_, _>>())
}

fn of_value(value: &AMQPValue) -> Value {
    match value {
        AMQPValue::Boolean(value) => json!(value),
        AMQPValue::LongInt(value) => json!(value),
        AMQPValue::LongLongInt(value) => json!(value),
        AMQPValue::LongString(value) => json!(value.to_string()),
        AMQPValue::FieldArray(values) => values.as_slice().iter().map(of_value).collect(),
        AMQPValue::FieldTable(table) => of_table(table),
        AMQPValue::Void => Value::Null,
        other => panic!("neither events nor traces have {other:?}"),
    }
}

/// Fails unless an object has these fields, among others.
#[track_caller]
pub fn assert_has(object: &Value, expected: Value) {
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&object[name], value, "{name} of {object}");
    }
}
