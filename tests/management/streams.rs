//! What the page of a stream shows.

use futures_lite::StreamExt;
use lapin::{
    BasicProperties,
    options::*,
    types::{AMQPValue, FieldTable},
};
use serde_json::json;

use crate::http::{GUEST, Target, eventually};

fn table(pairs: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in pairs {
        table.insert((*name).into(), value.clone());
    }
    table
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

#[tokio::test]
async fn a_stream_shows_its_segments_readers_and_retention() {
    let directory = tempfile::tempdir().unwrap();
    let target = Target::on_disk(directory.path().to_owned()).await;
    let client = target.connect(GUEST, "%2f").await.unwrap();
    let channel = client.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let durable = QueueDeclareOptions { durable: true, ..Default::default() };
    let arguments = table(&[
        ("x-queue-type", text("stream")),
        ("x-max-age", text("1D")),
        ("x-max-length-bytes", AMQPValue::LongLongInt(1 << 30)),
        ("x-stream-max-segment-size-bytes", AMQPValue::LongLongInt(2_000)),
    ]);
    channel.queue_declare("s".into(), durable, arguments).await.unwrap();
    let empty = target.get("leveret/queues/%2F/s/stream").await.expect(200).json();
    assert_eq!((&empty["next"], &empty["segments"][0]["last_at"]), (&json!(0), &json!(null)));
    for _ in 0..5 {
        let options = BasicPublishOptions::default();
        let body = [0; 900];
        channel
            .basic_publish("".into(), "s".into(), options, &body, BasicProperties::default())
            .await
            .unwrap()
            .await
            .unwrap();
    }
    channel.basic_qos(2, BasicQosOptions::default()).await.unwrap();
    let from_the_start =
        table(&[("x-stream-offset", text("first")), ("x-stream-offset-name", text("billing"))]);
    let mut consumer = channel
        .basic_consume("s".into(), "c".into(), BasicConsumeOptions::default(), from_the_start)
        .await
        .unwrap();
    let first = consumer.next().await.unwrap().unwrap();
    consumer.next().await.unwrap().unwrap();

    // A confirm and the stream itself learn of the disk side by side.
    eventually("everything may be seen", || async {
        target.get("leveret/queues/%2F/s/stream").await.json()["committed"] == 5
    })
    .await;
    let stream = target.get("leveret/queues/%2F/s/stream").await.expect(200).json();
    assert_eq!((&stream["first"], &stream["next"], &stream["committed"]), (&json!(0), &json!(5), &json!(5)));
    let retention = json!({ "segment_bytes": 2_000, "max_bytes": 1 << 30, "max_age": 86_400_000 });
    assert_eq!(stream["retention"], retention);
    let segments = stream["segments"].as_array().unwrap();
    assert_eq!(stream["segment_count"], segments.len());
    let messages: u64 = segments.iter().map(|segment| segment["messages"].as_u64().unwrap()).sum();
    let bytes: u64 = segments.iter().map(|segment| segment["bytes"].as_u64().unwrap()).sum();
    assert!(1 < segments.len() && segments[0]["first"].as_u64() > segments[1]["first"].as_u64(), "{stream}");
    assert_eq!((messages, json!(bytes)), (5, stream["bytes"].clone()));
    let reader = &stream["readers"][0];
    assert_eq!(
        (&reader["name"], &reader["next"], &reader["behind"]),
        (&json!("billing"), &json!(2), &json!(3))
    );
    assert_eq!((&reader["unacknowledged"], &reader["active"]), (&json!(2), &json!(true)));

    // Looking takes nothing, and begins anywhere.
    let seen = target.get("leveret/queues/%2F/s/messages?offset=3&count=1").await.expect(200).json();
    assert_eq!((&seen["items"][0]["offset"], &seen["items"][0]["payload_bytes"]), (&json!(3), &json!(900)));
    assert_eq!((&seen["more"], &seen["on_disk"]), (&json!(true), &json!(false)));
    let end = target.get("leveret/queues/%2F/s/messages?offset=5").await.expect(200).json();
    assert_eq!((&end["items"], &end["on_disk"]), (&json!([]), &json!(false)));

    let why = target.get("leveret/queues/%2F/s/why").await.expect(200).json();
    assert_eq!(why["reasons"][0]["text"], "5 messages are kept; one consumer reads them.");
    let last = "'billing' is furthest behind, by 3 messages; 2 of them are delivered and not acknowledged.";
    assert_eq!(why["reasons"][1]["text"], last);

    first.ack(BasicAckOptions::default()).await.unwrap();
    eventually("the name goes on behind what is acknowledged", || async {
        let stream = target.get("leveret/queues/%2F/s/stream").await.json();
        stream["names"] == json!([{ "name": "billing", "next": 1, "behind": 4 }])
    })
    .await;
}

#[tokio::test]
async fn other_queues_are_no_streams() {
    let target = Target::start().await;
    target.put("queues/%2F/q", "{}").await.expect(201);
    target.get("leveret/queues/%2F/q/stream").await.expect(400);
    target.get("leveret/queues/%2F/none/stream").await.expect(404);
}
