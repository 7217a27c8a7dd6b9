//! The firehose: copies of all that passes through a vhost, as RabbitMQ publishes them to `amq.rabbitmq.trace`.

use lapin::{
    BasicProperties, Channel,
    options::*,
    types::{AMQPValue, FieldTable, ShortString},
};
use serde_json::json;

use crate::{
    http::{GUEST, Target},
    tap::{Tap, assert_has},
};

const TRACE: &str = "amq.rabbitmq.trace";

async fn publish(channel: &Channel, exchange: &str, key: &str, body: &[u8], properties: BasicProperties) {
    channel
        .basic_publish(exchange.into(), key.into(), BasicPublishOptions::default(), body, properties)
        .await
        .unwrap()
        .await
        .unwrap();
}

/// A broker that is traced, with the queue "q" bound to amq.topic, and a client of it.
async fn traced() -> (Target, Tap, Channel, lapin::Connection) {
    let target = Target::start().await;
    target.put("queues/%2F/q", "{}").await.expect(201);
    target.post("bindings/%2F/e/amq.topic/q/q", r#"{"routing_key":"a.b"}"#).await.expect(201);
    target.put("vhosts/%2F", r#"{"tracing":true}"#).await.expect(204);
    assert_eq!(target.get("vhosts/%2F").await.json()["tracing"], true);
    let tap = Tap::on(&target, "%2f", TRACE, "#").await;
    let client = target.connect(GUEST, "%2f").await.unwrap();
    let channel = client.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    (target, tap, channel, client)
}

fn no_ack() -> BasicGetOptions {
    BasicGetOptions { no_ack: true }
}

#[tokio::test]
async fn exc_07_a_publish_and_its_delivery_are_copied_with_all_there_is_to_know() {
    let (target, mut tap, channel, _client) = traced().await;
    let mut headers = FieldTable::default();
    headers.insert("h".into(), AMQPValue::LongInt(1));
    headers.insert("CC".into(), AMQPValue::FieldArray(vec![AMQPValue::LongString("x.y".into())].into()));
    let properties = BasicProperties::default()
        .with_content_type(ShortString::from("text/plain"))
        .with_headers(headers)
        .with_delivery_mode(2)
        .with_priority(3)
        .with_timestamp(12_345)
        .with_type(ShortString::from("t"))
        .with_user_id(ShortString::from("guest"));
    publish(&channel, "amq.topic", "a.b", b"body", properties).await;
    let shown = json!({ "content_type": "text/plain", "delivery_mode": 2, "priority": 3, "timestamp": 12_345, "type": "t",
        "user_id": "guest", "headers": { "h": 1, "CC": ["x.y"] } });
    let connections = target.get("connections?sort=connected_at").await.json();
    let names: Vec<_> = connections.as_array().unwrap().iter().map(|one| one["name"].clone()).collect();

    let published = tap.next().await;
    assert_eq!((published.key.as_str(), &published.body[..]), ("publish.amq.topic", &b"body"[..]));
    assert_eq!((published.timestamp, published.delivery_mode), (None, None));
    assert_has(
        &published.headers,
        json!({ "exchange_name": "amq.topic", "routing_keys": ["a.b", "x.y"], "properties": shown, "vhost": "/",
                "channel": 1, "user": "guest", "routed_queues": ["q"] }),
    );
    assert_eq!(published.headers.as_object().unwrap().len(), 9, "{:?}", published.headers);
    assert!(names.contains(&published.headers["connection"]), "{names:?}");
    assert!(published.headers["node"].as_str().unwrap().starts_with("leveret@"));

    channel.basic_get("q".into(), no_ack()).await.unwrap().expect("it was routed");
    let delivered = tap.next().await;
    assert_eq!((delivered.key.as_str(), &delivered.body[..]), ("deliver.q", &b"body"[..]));
    assert_has(
        &delivered.headers,
        json!({ "exchange_name": "amq.topic", "routing_keys": ["a.b", "x.y"], "properties": shown, "redelivered": 0,
                "channel": 1, "user": "guest" }),
    );
    assert!(delivered.headers.get("routed_queues").is_none());
}

#[tokio::test]
async fn exc_07_every_way_in_and_out_is_copied_once() {
    let (target, mut tap, channel, client) = traced().await;
    let plain = BasicProperties::default;
    // Routes are not cached while the firehose is on: the second publish is seen as the first.
    for _ in 0..2 {
        publish(&channel, "", "q", b"d", plain()).await;
        let seen = tap.next().await;
        assert_eq!((seen.key.as_str(), &seen.headers["routed_queues"]), ("publish.", &json!(["q"])));
    }
    publish(&channel, "amq.direct", "nowhere", b"u", plain()).await;
    let unroutable = tap.next().await;
    assert_has(
        &unroutable.headers,
        json!({ "routed_queues": [], "properties": {}, "exchange_name": "amq.direct" }),
    );
    // Given back, it is delivered once more.
    let got = channel.basic_get("q".into(), BasicGetOptions::default()).await.unwrap().unwrap();
    assert_eq!(tap.next().await.headers["redelivered"], 0);
    got.nack(BasicNackOptions { requeue: true, ..Default::default() }).await.unwrap();
    channel.basic_get("q".into(), no_ack()).await.unwrap().unwrap();
    assert_eq!(tap.next().await.headers["redelivered"], 1);
    let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
    let _consumer =
        channel.basic_consume("q".into(), "c".into(), options, FieldTable::default()).await.unwrap();
    assert_eq!(tap.next().await.key, "deliver.q");
    // In a transaction it is published when it comes, not when it is committed.
    let other = client.create_channel().await.unwrap();
    other.tx_select().await.unwrap();
    other.basic_publish("".into(), "q".into(), BasicPublishOptions::default(), b"tx", plain()).await.unwrap();
    other.tx_commit().await.unwrap();
    let (published, delivered) = (tap.next().await, tap.next().await);
    assert_eq!((published.key.as_str(), &published.headers["channel"]), ("publish.", &json!(2)));
    assert_eq!((delivered.key.as_str(), &delivered.headers["channel"]), ("deliver.q", &json!(1)));
    let message = r#"{"properties":{},"routing_key":"nowhere","payload":"hi","payload_encoding":"string"}"#;
    target.post("exchanges/%2F/amq.topic/publish", message).await.expect(200);
    let over_http = tap.next().await;
    assert_eq!((over_http.key.as_str(), &over_http.body[..]), ("publish.amq.topic", &b"hi"[..]));
    assert_has(&over_http.headers, json!({ "user": "guest", "channel": 1 }));
}

#[tokio::test]
async fn exc_07_it_is_off_until_switched_on_and_for_its_own_vhost_only() {
    let target = Target::start().await;
    target.put("queues/%2F/q", "{}").await.expect(201);
    let mut tap = Tap::on(&target, "%2f", TRACE, "#").await;
    let client = target.connect(GUEST, "%2f").await.unwrap();
    let channel = client.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let plain = BasicProperties::default;
    publish(&channel, "", "q", b"before", plain()).await;
    target.put("vhosts/other", r#"{"tracing":true}"#).await.expect(201);
    publish(&channel, "", "q", b"elsewhere", plain()).await;
    target.put("vhosts/%2F", r#"{"tracing":true}"#).await.expect(204);
    // The route is in the connection's cache by now.
    publish(&channel, "", "q", b"traced", plain()).await;
    assert_eq!(tap.next().await.body, b"traced");
    target.put("vhosts/%2F", r#"{"description":"not a word of tracing"}"#).await.expect(204);
    publish(&channel, "", "q", b"still", plain()).await;
    assert_eq!(tap.next().await.body, b"still");
    target.put("vhosts/%2F", r#"{"tracing":false}"#).await.expect(204);
    publish(&channel, "", "q", b"after", plain()).await;
    target.put("vhosts/%2F", r#"{"tracing":true}"#).await.expect(204);
    publish(&channel, "", "q", b"last", plain()).await;
    assert_eq!(tap.next().await.body, b"last");
}
