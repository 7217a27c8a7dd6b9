//! Super streams over plain AMQP: partitions behind an exchange, and groups of consumers that share them, one
//! reader a partition, each going on where the one before it stopped.

use std::collections::BTreeMap;

use futures_lite::StreamExt;
use lapin::{
    BasicProperties, Channel, Consumer, ExchangeKind,
    message::Delivery,
    options::*,
    types::{AMQPValue, FieldTable},
};

use crate::{fixture::Fixture, streams::declare, support::*};

/// Declares an exchange, and partitions with the keys "0", "1" and so on; gives their names.
async fn super_stream(peer: &Peer, kind: ExchangeKind, partitions: i64) -> (String, Vec<String>) {
    let exchange = unique("super");
    let durable = ExchangeDeclareOptions { durable: true, ..Default::default() };
    let is_super = table([("x-super-stream", AMQPValue::Boolean(true))]);
    peer.exchange_declare(exchange.as_str().into(), kind, durable, is_super).await.unwrap();
    let mut streams = Vec::new();
    for order in 0..partitions {
        let stream = format!("{exchange}-{order}");
        declare(peer, &stream, &[]).await;
        let key = order.to_string();
        let order = table([("x-stream-partition-order", AMQPValue::LongLongInt(order))]);
        peer.bind_with(&stream, &exchange, &key, order).await;
        streams.push(stream);
    }
    (exchange, streams)
}

async fn put(channel: &Channel, exchange: &str, key: &str, body: &str) {
    let options = BasicPublishOptions::default();
    let properties = BasicProperties::default();
    let publish = channel.basic_publish(exchange.into(), key.into(), options, body.as_bytes(), properties);
    publish.await.unwrap().await.unwrap();
}

/// A consumer of a partition in the group "workers".
async fn join(channel: &Channel, stream: &str, prefetch: u16) -> Consumer {
    channel.basic_qos(prefetch, BasicQosOptions::default()).await.unwrap();
    let group = table([
        ("x-stream-offset-name", text("workers")),
        ("x-single-active-consumer", AMQPValue::Boolean(true)),
        ("x-stream-offset", text("stored")),
    ]);
    let options = BasicConsumeOptions::default();
    channel.basic_consume(stream.into(), "".into(), options, group).await.unwrap()
}

async fn next(consumer: &mut Consumer) -> Delivery {
    within("a delivery", consumer.next()).await.expect("a delivery").unwrap()
}

async fn ack(delivery: &Delivery) {
    delivery.acker.ack(BasicAckOptions::default()).await.unwrap();
}

/// The next bodies, each acknowledged.
async fn take(consumer: &mut Consumer, count: usize) -> Vec<String> {
    let mut bodies = Vec::new();
    for _ in 0..count {
        let delivery = next(consumer).await;
        ack(&delivery).await;
        bodies.push(body(&delivery));
    }
    bodies
}

#[tokio::test]
async fn a_key_is_in_one_partition_and_in_order() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let kind = ExchangeKind::Custom("x-modulus-hash".to_owned());
    let (exchange, streams) = super_stream(&peer, kind, 3).await;
    for number in 0..90u32 {
        put(&peer, &exchange, &format!("key{}", number % 30), &format!("key{} {number:03}", number % 30))
            .await;
    }
    let (mut seen, mut homes) = (0, BTreeMap::new());
    for stream in &streams {
        let count = peer.ready(stream).await as usize;
        let channel = peer.another_channel().await;
        let mut consumer = join(&channel, stream, 100).await;
        let mut last: BTreeMap<String, String> = BTreeMap::new();
        for body in take(&mut consumer, count).await {
            let (key, number) = body.split_once(' ').unwrap();
            let before = last.insert(key.to_owned(), number.to_owned());
            assert!(before.is_none_or(|before| before.as_str() < number), "{body} is out of order");
            assert_eq!(homes.entry(key.to_owned()).or_insert(stream), &stream, "{key} is in two partitions");
            seen += 1;
        }
    }
    assert_eq!((seen, homes.len()), (90, 30));
}

#[tokio::test]
async fn two_members_of_a_group_share_the_partitions_and_one_that_leaves_is_replaced() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let (exchange, streams) = super_stream(&peer, ExchangeKind::Direct, 2).await;
    for number in 0..3 {
        put(&peer, &exchange, "0", &format!("a{number}")).await;
        put(&peer, &exchange, "1", &format!("b{number}")).await;
    }
    // The first member is alone and reads everything.
    let one = connect(fixture.uri()).await.unwrap();
    let (one_a, one_b) = (one.create_channel().await.unwrap(), one.create_channel().await.unwrap());
    let mut first_a = join(&one_a, &streams[0], 1).await;
    let mut first_b = join(&one_b, &streams[1], 1).await;
    assert_eq!(take(&mut first_a, 1).await, ["a0"]);
    let held = next(&mut first_b).await;
    assert_eq!(body(&held), "b0");

    // The second one gets the second partition, but not before the first has settled what it has of it.
    let two = connect(fixture.uri()).await.unwrap();
    let (two_a, two_b) = (two.create_channel().await.unwrap(), two.create_channel().await.unwrap());
    let mut second_a = join(&two_a, &streams[0], 1).await;
    let mut second_b = join(&two_b, &streams[1], 1).await;
    second_b.nothing().await;
    ack(&held).await;
    assert_eq!(take(&mut second_b, 2).await, ["b1", "b2"]);
    assert_eq!(take(&mut first_a, 2).await, ["a1", "a2"]);
    put(&peer, &exchange, "0", "a3").await;
    put(&peer, &exchange, "1", "b3").await;
    let unsettled = next(&mut first_a).await;
    assert_eq!(body(&unsettled), "a3");
    assert_eq!(take(&mut second_b, 1).await, ["b3"]);

    // When the first goes, the second has both, from where each name stopped.
    one.close(200, "".into()).await.unwrap();
    put(&peer, &exchange, "0", "a4").await;
    put(&peer, &exchange, "1", "b4").await;
    assert_eq!(take(&mut second_a, 2).await, ["a3", "a4"]);
    assert_eq!(take(&mut second_b, 1).await, ["b4"]);
}

#[tokio::test]
async fn a_partition_that_no_binding_numbers_is_read_by_the_first_member() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let stream = unique("alone");
    declare(&peer, &stream, &[]).await;
    peer.bind_with(&stream, "amq.direct", &stream, FieldTable::default()).await;
    let (one, two) = (peer.another_channel().await, peer.another_channel().await);
    let mut first = join(&one, &stream, 1).await;
    let mut second = join(&two, &stream, 1).await;
    for number in 0..3 {
        put(&peer, "amq.direct", &stream, &number.to_string()).await;
    }
    assert_eq!(take(&mut first, 3).await, ["0", "1", "2"]);
    second.nothing().await;
}
