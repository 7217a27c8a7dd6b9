//! Clients that ask a stream for absurd things: tiny segments, thousands of filter values, places that cannot be.

use futures_lite::StreamExt;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, Consumer,
    options::*,
    types::{AMQPValue, FieldTable},
};

use crate::{
    innocent::Innocent,
    target::{Target, within},
};

const STREAM: &str = "absurd";
const MESSAGES: u32 = 3_000;
/// As many as fit in one frame.
const VALUES: u32 = 8_000;

fn table(pairs: Vec<(&str, AMQPValue)>) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in pairs {
        table.insert(key.into(), value);
    }
    table
}

fn text(value: String) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

async fn consume(channel: &Channel, arguments: Vec<(&str, AMQPValue)>) -> Consumer {
    within("qos-ok", channel.basic_qos(1_000, BasicQosOptions::default())).await.unwrap();
    let options = BasicConsumeOptions::default();
    let consume = channel.basic_consume(STREAM.into(), "".into(), options, table(arguments));
    within("consume-ok", consume).await.unwrap()
}

/// The first message's number.
async fn first(consumer: &mut Consumer) -> u32 {
    let delivery = within("a delivery", consumer.next()).await.unwrap().unwrap();
    u32::from_be_bytes(*delivery.data.first_chunk().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn absurd_segments_filters_and_places_harm_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    let target = Target::configured(|config| config.storage.data_dir = Some(path)).await;
    let innocent = Innocent::start(&target.uri()).await;
    let connection = Connection::connect(&target.uri(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let arguments = vec![
        ("x-queue-type", text("stream".to_owned())),
        // A segment, and so a file, for each message; kept for as long as can be said.
        ("x-stream-max-segment-size-bytes", AMQPValue::LongInt(0)),
        ("x-max-length-bytes", AMQPValue::LongLongInt(i64::MAX)),
        ("x-max-age", text("99999999999Y".to_owned())),
    ];
    let durable = QueueDeclareOptions { durable: true, ..Default::default() };
    within("declare-ok", channel.queue_declare(STREAM.into(), durable, table(arguments))).await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    for number in 0..MESSAGES {
        let value = text(format!("v{number}"));
        let properties =
            BasicProperties::default().with_headers(table(vec![("x-stream-filter-value", value)]));
        let options = BasicPublishOptions::default();
        let body = number.to_be_bytes();
        let _confirm =
            channel.basic_publish("".into(), STREAM.into(), options, &body, properties).await.unwrap();
    }
    within("all confirms", channel.wait_for_confirms()).await.unwrap();

    let values: Vec<AMQPValue> = (0..VALUES).map(|value| text(format!("v{}", 2 * value))).collect();
    let many = vec![
        ("x-stream-filter", AMQPValue::FieldArray(values.into())),
        ("x-stream-offset", text("first".to_owned())),
    ];
    let filtered = connection.create_channel().await.unwrap();
    let mut consumer = consume(&filtered, many).await;
    for number in (0..MESSAGES).step_by(2) {
        let delivery = within("a delivery", consumer.next()).await.unwrap().unwrap();
        assert_eq!(u32::from_be_bytes(*delivery.data.first_chunk().unwrap()), number);
        delivery.acker.ack(BasicAckOptions::default()).await.unwrap();
    }

    let places = [
        (AMQPValue::LongLongInt(i64::MIN), Some(0)),
        (AMQPValue::LongLongInt(i64::MAX), None),
        (AMQPValue::Timestamp(0), Some(0)),
        (AMQPValue::Timestamp(u64::MAX), None),
        (text("99999999999Y".to_owned()), Some(0)),
    ];
    for (place, expected) in places {
        let channel = connection.create_channel().await.unwrap();
        let mut consumer = consume(&channel, vec![("x-stream-offset", place.clone())]).await;
        if let Some(expected) = expected {
            assert_eq!(first(&mut consumer).await, expected, "{place:?}");
        }
        channel.close(200, "".into()).await.unwrap();
    }
    innocent.unharmed().await;
    let files = std::fs::read_dir(directory.path().join("streams")).unwrap().count();
    assert!(files < 1_100, "{files} files for {MESSAGES} messages");
}
