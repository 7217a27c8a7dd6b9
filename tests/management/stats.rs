//! Counters, rates and samples, with real clients behind them.

use std::time::Duration;

use lapin::{
    BasicProperties, Connection,
    message::BasicGetMessage,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, BasicRejectOptions,
        ConfirmSelectOptions, QueueDeclareOptions,
    },
    types::FieldTable,
};
use serde_json::{Value, json};

use crate::http::{GUEST, Target, eventually};

async fn publish(channel: &lapin::Channel, exchange: &str, key: &str, options: BasicPublishOptions) {
    let published =
        channel.basic_publish(exchange.into(), key.into(), options, b"12345", BasicProperties::default());
    published.await.unwrap().await.unwrap();
}

async fn queue(connection: &Connection, name: &str) -> lapin::Channel {
    let channel = connection.create_channel().await.unwrap();
    let options = QueueDeclareOptions::default();
    channel.queue_declare(name.into(), options, FieldTable::default()).await.unwrap();
    channel
}

async fn get(channel: &lapin::Channel, name: &str, no_ack: bool) -> Option<BasicGetMessage> {
    channel.basic_get(name.into(), BasicGetOptions { no_ack }).await.unwrap()
}

/// The counters of an object without their rates.
fn counts(object: &Value) -> Value {
    let Some(stats) = object["message_stats"].as_object() else { return Value::Null };
    let plain = stats.iter().filter(|(name, value)| !name.ends_with("_details") && **value != json!(0));
    plain.map(|(name, value)| (name.clone(), value.clone())).collect::<serde_json::Map<_, _>>().into()
}

#[tokio::test]
async fn every_message_is_counted_where_it_passes() {
    let target = Target::start().await;
    let connection = target.connect(GUEST, "%2f").await.unwrap();
    let channel = queue(&connection, "q").await;
    assert_eq!(target.get("queues/%2F/q").await.json()["message_stats"], Value::Null);
    assert_eq!(target.get("overview").await.json()["message_stats"], json!({}));

    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    for _ in 0..3 {
        publish(&channel, "", "q", BasicPublishOptions::default()).await;
    }
    publish(&channel, "amq.direct", "nowhere", BasicPublishOptions::default()).await;
    let mandatory = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    publish(&channel, "amq.direct", "nowhere", mandatory).await;

    let first = get(&channel, "q", false).await.unwrap();
    first.acker.reject(BasicRejectOptions { requeue: true }).await.unwrap();
    let first = get(&channel, "q", false).await.unwrap();
    assert!(first.redelivered);
    first.acker.ack(BasicAckOptions::default()).await.unwrap();
    assert!(get(&channel, "q", true).await.is_some());
    assert!(get(&channel, "q", true).await.is_some());
    assert!(get(&channel, "q", true).await.is_none());

    let of_queue = target.get("queues/%2F/q").await.json();
    let (got, publishes) = (
        json!({
            "publish": 3, "get": 2, "get_no_ack": 2, "get_empty": 1, "deliver_get": 4, "redeliver": 1, "ack": 1,
        }),
        json!({
            "publish": 5, "confirm": 5, "return_unroutable": 1, "drop_unroutable": 1,
            "get": 2, "get_no_ack": 2, "get_empty": 1, "deliver_get": 4, "redeliver": 1, "ack": 1,
        }),
    );
    assert_eq!(counts(&of_queue), got);
    assert_eq!((&of_queue["messages"], &of_queue["message_bytes"]), (&json!(0), &json!(0)));
    let channels = target.get("channels").await.json();
    assert_eq!(counts(&channels[0]), publishes);
    assert_eq!(counts(&target.get("overview").await.json()), publishes);
    assert_eq!(counts(&target.get("vhosts/%2F").await.json()), publishes);
    let default = target.get("exchanges/%2F/amq.default").await.json();
    assert_eq!(counts(&default), json!({ "publish_in": 3, "publish_out": 3 }));
    let direct = target.get("exchanges/%2F/amq.direct").await.json();
    assert_eq!(counts(&direct), json!({ "publish_in": 2 }));

    // What they counted stays in the sums when they are gone.
    connection.close(200, "".into()).await.unwrap();
    target.delete("queues/%2F/q").await.expect(204);
    eventually("the connection ends", || async {
        target.get("overview").await.json()["object_totals"]["connections"] == 0
    })
    .await;
    let overview = target.get("overview").await.json();
    assert_eq!(counts(&overview), publishes);
    let churn = &overview["churn_rates"];
    for name in [
        "connection_created",
        "connection_closed",
        "channel_created",
        "channel_closed",
        "queue_declared",
        "queue_created",
        "queue_deleted",
    ] {
        assert_eq!(churn[name], 1, "{name}");
    }
    assert_eq!(counts(&target.get("exchanges/%2F/amq.direct").await.json()), json!({ "publish_in": 2 }));
}

#[tokio::test]
async fn consumers_show_in_deliveries_capacity_and_bytes() {
    let target = Target::start().await;
    let connection = target.connect(GUEST, "%2f").await.unwrap();
    let channel = queue(&connection, "q").await;
    channel.basic_qos(1, Default::default()).await.unwrap();
    let consumer =
        channel.basic_consume("q".into(), "c".into(), BasicConsumeOptions::default(), FieldTable::default());
    let _consumer = consumer.await.unwrap();
    let idle = target.get("queues/%2F/q").await.json();
    assert_eq!((&idle["consumers"], &idle["consumer_utilisation"]), (&json!(1), &json!(1.0)));
    assert_eq!(idle["consumer_details"][0]["consumer_tag"], "c");
    assert_eq!(idle["consumer_details"][0]["queue"], json!({ "name": "q", "vhost": "/" }));
    let timestamp = BasicProperties::default().with_timestamp(42);
    for _ in 0..2 {
        let options = BasicPublishOptions::default();
        channel.basic_publish("".into(), "q".into(), options, b"123", timestamp.clone()).await.unwrap();
    }
    eventually("one is with the consumer", || async {
        let queue = target.get("queues/%2F/q").await.json();
        queue["messages_unacknowledged"] == 1 && queue["messages_ready"] == 1
    })
    .await;
    let busy = target.get("queues/%2F/q").await.json();
    assert_eq!(counts(&busy), json!({ "publish": 2, "deliver": 1, "deliver_get": 1 }));
    assert_eq!(busy["head_message_timestamp"], 42);
    assert_eq!((&busy["message_bytes_ready"], &busy["message_bytes_unacknowledged"]), (&json!(3), &json!(3)));
    assert_eq!(busy["message_bytes"], 6);
    assert!(busy["consumer_utilisation"].as_f64().unwrap() < 1.0, "{busy}");
    connection.close(200, "".into()).await.unwrap();
    eventually("both come back", || async { target.get("queues/%2F/q").await.json()["messages_ready"] == 2 })
        .await;
    let back = target.get("queues/%2F/q").await.json();
    assert_eq!((&back["message_bytes_ready"], &back["message_bytes_unacknowledged"]), (&json!(6), &json!(0)));
}

#[tokio::test]
async fn rates_and_samples_follow_traffic_and_end_with_it() {
    let interval = Duration::from_millis(50);
    let target = Target::configured(|config| config.management.sample_interval = interval).await;
    let connection = target.connect(GUEST, "%2f").await.unwrap();
    let channel = queue(&connection, "q").await;
    let rate = |object: &Value, name: &str| object["message_stats"][name]["rate"].as_f64().unwrap_or(0.0);
    eventually("a rate on every object", || async {
        publish(&channel, "amq.fanout", "", BasicPublishOptions::default()).await;
        publish(&channel, "", "q", BasicPublishOptions::default()).await;
        let queue = target.get("queues/%2F/q").await.json();
        let overview = target.get("overview").await.json();
        let vhost = target.get("vhosts/%2F").await.json();
        let exchange = target.get("exchanges/%2F/amq.fanout").await.json();
        let channels = target.get("channels").await.json();
        let connections = target.get("connections").await.json();
        rate(&queue, "publish_details") > 0.0
            && queue["messages_ready_details"]["rate"].as_f64().unwrap() > 0.0
            && rate(&overview, "publish_details") > 0.0
            && overview["queue_totals"]["messages_details"]["rate"].as_f64().unwrap() > 0.0
            && rate(&vhost, "publish_details") > 0.0
            && rate(&exchange, "publish_in_details") > 0.0
            && rate(&channels[0], "publish_details") > 0.0
            && connections[0]["recv_oct_details"]["rate"].as_f64().unwrap() > 0.0
    })
    .await;
    let chart = target
        .get("queues/%2F/q?msg_rates_age=60&msg_rates_incr=5&lengths_age=10&lengths_incr=1")
        .await
        .json();
    let samples = &chart["message_stats"]["publish_details"]["samples"];
    assert_eq!(samples.as_array().unwrap().len(), 13);
    assert_eq!(samples[0]["timestamp"].as_u64().unwrap() % 5000, 0);
    assert_eq!(chart["messages_details"]["samples"].as_array().unwrap().len(), 11);
    assert!(chart["messages_details"]["avg_rate"].is_f64());
    target.get("queues/%2F/q?lengths_age=1000&lengths_incr=1").await.expect(400);
    eventually("the rate ends", || async {
        rate(&target.get("queues/%2F/q").await.json(), "publish_details") == 0.0
    })
    .await;
    assert!(target.get("overview").await.json()["message_stats"]["publish"].as_u64().unwrap() > 1);
}

#[tokio::test]
async fn lists_without_statistics_have_totals_if_asked_for() {
    let target = Target::start().await;
    target.put("queues/%2F/q", "{}").await.expect(201);
    let plain = target.get("queues?disable_stats=true").await.json();
    assert_eq!((&plain[0]["messages"], &plain[0]["consumers"]), (&Value::Null, &Value::Null));
    let totals = target.get("queues?disable_stats=true&enable_queue_totals=true").await.json();
    assert_eq!((&totals[0]["messages"], &totals[0]["memory"]), (&json!(0), &Value::Null));
    let detailed = target.get("queues/detailed").await.expect(200).json();
    assert_eq!((&detailed[0]["name"], &detailed[0]["memory"]), (&json!("q"), &json!(0)));
    assert_eq!(target.get("queues/detailed?page=1").await.json()["total_count"], 1);
}

#[tokio::test]
async fn what_operators_publish_and_get_counts_too() {
    let target = Target::start().await;
    target.put("queues/%2F/q", "{}").await.expect(201);
    let message = r#"{"properties":{},"routing_key":"q","payload":"x","payload_encoding":"string"}"#;
    target.post("exchanges/%2F/amq.default/publish", message).await.expect(200);
    target.post("exchanges/%2F/amq.direct/publish", message).await.expect(200);
    target
        .post("queues/%2F/q/get", r#"{"count":1,"ackmode":"ack_requeue_false","encoding":"auto"}"#)
        .await
        .expect(200);
    let overview = target.get("overview").await.json();
    assert_eq!(
        counts(&overview),
        json!({ "publish": 2, "return_unroutable": 1, "get_no_ack": 1, "deliver_get": 1 })
    );
    assert_eq!(
        counts(&target.get("queues/%2F/q").await.json()),
        json!({ "publish": 1, "get_no_ack": 1, "deliver_get": 1 })
    );
}
