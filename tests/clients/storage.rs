//! Brokers with a data directory: what a restart finds, and queues longer than memory.

use std::path::Path;

use futures_lite::StreamExt;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    message::Delivery,
    options::*,
    types::{AMQPValue, FieldTable},
};
use leveret::Broker;

/// A broker on this directory that keeps next to no messages in memory, with a log of small segments.
async fn broker(directory: &Path) -> Broker {
    let directory = directory.to_owned();
    let configured = Broker::builder().configure(|config| {
        config.storage.data_dir = Some(directory);
        config.storage.segment_size = Some(1 << 20);
        config.limits.resident_max = 0;
    });
    configured.start().await.expect("the broker starts")
}

async fn channel(broker: &Broker) -> (Connection, Channel) {
    let connection = Connection::connect(&broker.uri(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

async fn declare(channel: &Channel, name: &str, arguments: FieldTable) {
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare(name.into(), options, arguments).await.unwrap();
}

/// Publishes numbered messages; every third one is transient if they are `mixed`.
async fn pour(channel: &Channel, queue: &str, numbers: std::ops::Range<u32>, size: usize, mixed: bool) {
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    for number in numbers {
        let mut body = number.to_be_bytes().to_vec();
        body.resize(size.max(4), number as u8);
        let mode = if mixed && number % 3 == 0 { 1 } else { 2 };
        let properties = BasicProperties::default().with_delivery_mode(mode);
        let options = BasicPublishOptions::default();
        // The confirms are awaited together.
        let _confirm =
            channel.basic_publish("".into(), queue.into(), options, &body, properties).await.unwrap();
    }
    channel.wait_for_confirms().await.unwrap();
}

/// Consumes `count` messages in order of their numbers, acknowledging each hundred.
async fn expect(channel: &Channel, queue: &str, numbers: impl Iterator<Item = u32>) {
    channel.basic_qos(500, BasicQosOptions::default()).await.unwrap();
    let none = FieldTable::default();
    let mut consumer =
        channel.basic_consume(queue.into(), "".into(), BasicConsumeOptions::default(), none).await.unwrap();
    let mut last: Option<Delivery> = None;
    for (count, number) in numbers.enumerate() {
        let delivery = consumer.next().await.expect("a delivery").unwrap();
        let found = u32::from_be_bytes(delivery.data[..4].try_into().unwrap());
        assert_eq!(found, number, "message {count}");
        assert!(delivery.data[4..].iter().all(|octet| *octet == number as u8), "message {count} is torn");
        last = None;
        if count % 100 == 99 {
            delivery.acker.ack(BasicAckOptions { multiple: true }).await.unwrap();
        } else {
            last = Some(delivery);
        }
    }
    if let Some(delivery) = last {
        delivery.acker.ack(BasicAckOptions { multiple: true }).await.unwrap();
    }
}

async fn ready(channel: &Channel, queue: &str) -> u32 {
    let options = QueueDeclareOptions { passive: true, ..Default::default() };
    channel.queue_declare(queue.into(), options, FieldTable::default()).await.unwrap().message_count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_longer_than_memory_keeps_its_order() {
    let directory = tempfile::tempdir().unwrap();
    let broker = broker(directory.path()).await;
    let (_connection, publisher) = channel(&broker).await;
    declare(&publisher, "long", FieldTable::default()).await;
    pour(&publisher, "long", 0..20_000, 700, true).await;
    assert_eq!(ready(&publisher, "long").await, 20_000);
    let (_other, consumer) = channel(&broker).await;
    let publishing = pour(&publisher, "long", 20_000..25_000, 700, true);
    tokio::join!(publishing, expect(&consumer, "long", 0..25_000));
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rst_09_rst_10_rst_14_a_long_queue_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let first = broker(directory.path()).await;
    let (connection, peer) = channel(&first).await;
    declare(&peer, "long", FieldTable::default()).await;
    pour(&peer, "long", 0..12_000, 1000, true).await;
    expect(&peer, "long", 0..3_000).await;
    peer.close(200, "".into()).await.unwrap();
    drop(connection);
    first.shutdown().await;
    let second = broker(directory.path()).await;
    let (_connection, peer) = channel(&second).await;
    let left = (3_000..12_000).filter(|number| number % 3 != 0);
    assert_eq!(ready(&peer, "long").await as usize, left.clone().count());
    pour(&peer, "long", 12_000..13_000, 1000, false).await;
    expect(&peer, "long", left.chain(12_000..13_000)).await;
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_queues_are_got_from_purged_and_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let broker = broker(directory.path()).await;
    let (_connection, peer) = channel(&broker).await;
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-priority".into(), AMQPValue::LongInt(3));
    declare(&peer, "priorities", arguments).await;
    declare(&peer, "plain", FieldTable::default()).await;
    pour(&peer, "priorities", 0..5_000, 1000, false).await;
    pour(&peer, "plain", 0..5_000, 1000, false).await;
    for number in 0..4_000u32 {
        let got = peer.basic_get("plain".into(), BasicGetOptions { no_ack: true }).await.unwrap();
        let got = got.expect("a message");
        assert_eq!(got.data[..4], number.to_be_bytes());
        assert_eq!(got.message_count, 4_999 - number);
    }
    let purged = peer.queue_purge("priorities".into(), QueuePurgeOptions::default()).await.unwrap();
    assert_eq!(purged, 5_000);
    assert!(peer.basic_get("priorities".into(), BasicGetOptions::default()).await.unwrap().is_none());
    pour(&peer, "priorities", 0..1_000, 1000, false).await;
    expect(&peer, "priorities", 0..1_000).await;
    assert_eq!(peer.queue_delete("plain".into(), QueueDeleteOptions::default()).await.unwrap(), 1_000);
    broker.shutdown().await;
    let again = self::broker(directory.path()).await;
    let (_connection, peer) = channel(&again).await;
    assert_eq!(ready(&peer, "priorities").await, 0);
    again.shutdown().await;
}
