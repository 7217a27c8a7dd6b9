//! Streams: reading from an offset, acknowledgements as credit, filters, names, and what streams refuse.

use futures_lite::StreamExt;
use lapin::{
    BasicProperties, Channel, Consumer,
    message::Delivery,
    options::*,
    types::{AMQPValue, FieldTable},
};

use crate::{fixture::Fixture, support::*};

/// Declares a stream.
pub async fn declare(channel: &Channel, name: &str, arguments: &[(&str, AMQPValue)]) {
    let mut table = table([("x-queue-type", text("stream"))]);
    for (key, value) in arguments {
        table.insert((*key).into(), value.clone());
    }
    let options = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare(name.into(), options, table).await.unwrap();
}

async fn put_with(channel: &Channel, queue: &str, body: &str, properties: BasicProperties) {
    let options = BasicPublishOptions::default();
    let confirm = channel.basic_publish("".into(), queue.into(), options, body.as_bytes(), properties);
    confirm.await.unwrap().await.unwrap();
}

/// Publishes one by one, each confirmed before the next.
async fn fill_slowly(channel: &Channel, queue: &str, numbers: std::ops::Range<u32>) {
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    for number in numbers {
        put_with(channel, queue, &number.to_string(), BasicProperties::default()).await;
    }
}

/// Publishes all and waits for all confirms.
async fn fill(channel: &Channel, queue: &str, numbers: std::ops::Range<u32>) {
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    for number in numbers {
        let options = BasicPublishOptions::default();
        let body = number.to_string();
        let _confirm = channel
            .basic_publish("".into(), queue.into(), options, body.as_bytes(), BasicProperties::default())
            .await
            .unwrap();
    }
    channel.wait_for_confirms().await.unwrap();
}

async fn try_consume(
    channel: &Channel,
    queue: &str,
    options: BasicConsumeOptions,
    arguments: FieldTable,
) -> lapin::Result<Consumer> {
    channel.basic_consume(queue.into(), "".into(), options, arguments).await
}

/// Consumes with a prefetch.
async fn consume<const N: usize>(
    channel: &Channel,
    queue: &str,
    prefetch: u16,
    arguments: [(&str, AMQPValue); N],
) -> Consumer {
    channel.basic_qos(prefetch, BasicQosOptions::default()).await.unwrap();
    try_consume(channel, queue, BasicConsumeOptions::default(), table(arguments)).await.unwrap()
}

async fn next(consumer: &mut Consumer) -> Delivery {
    within("a delivery", consumer.next()).await.expect("a delivery").unwrap()
}

/// The next deliveries' bodies, each acknowledged.
async fn bodies(consumer: &mut Consumer, count: usize) -> Vec<String> {
    let mut bodies = Vec::new();
    for _ in 0..count {
        let delivery = next(consumer).await;
        delivery.acker.ack(BasicAckOptions::default()).await.unwrap();
        bodies.push(body(&delivery));
    }
    bodies
}

fn offset(delivery: &Delivery) -> i64 {
    let headers = delivery.properties.headers().as_ref().expect("headers");
    match headers.inner().get("x-stream-offset") {
        Some(AMQPValue::LongLongInt(offset)) => *offset,
        other => panic!("no offset: {other:?}"),
    }
}

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[tokio::test]
async fn str_01_a_stream_is_durable_shared_and_named() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let durable = QueueDeclareOptions { durable: true, ..Default::default() };
    for (name, options, expected) in [
        ("", durable, "Cannot declare a server-named queue for type rabbit_stream_queue"),
        ("s", QueueDeclareOptions::default(), "invalid property 'non-durable' for queue 's'"),
        ("s", QueueDeclareOptions { exclusive: true, ..durable }, "invalid property 'exclusive-owner'"),
        ("s", QueueDeclareOptions { auto_delete: true, ..durable }, "invalid property 'auto-delete'"),
    ] {
        let channel = peer.another_channel().await;
        let arguments = table([("x-queue-type", text("stream"))]);
        assert_reply(refusal(channel.queue_declare(name.into(), options, arguments).await), 406, expected);
    }
}

#[tokio::test]
async fn str_02_str_06_a_stream_is_read_again_and_again_with_offsets() {
    let fixture = Fixture::start().await;
    let (peer, queue) = (peer(&fixture).await, unique("stream"));
    declare(&peer, &queue, &[]).await;
    fill(&peer, &queue, 0..100).await;
    for _ in 0..2 {
        let channel = peer.another_channel().await;
        let mut consumer = consume(&channel, &queue, 10, [("x-stream-offset", text("first"))]).await;
        for number in 0..100 {
            let delivery = next(&mut consumer).await;
            assert_eq!((body(&delivery), offset(&delivery)), (number.to_string(), number));
            assert!(!delivery.redelivered);
            assert_eq!(delivery.delivery_tag, number as u64 + 1);
            delivery.acker.ack(BasicAckOptions::default()).await.unwrap();
        }
        channel.close(200, "".into()).await.unwrap();
    }
}

#[tokio::test]
async fn str_06_a_clients_own_offset_header_is_replaced_and_others_stay() {
    let fixture = Fixture::start().await;
    let (peer, queue) = (peer(&fixture).await, unique("headers"));
    declare(&peer, &queue, &[]).await;
    let properties = headers([("a", text("b")), ("x-stream-offset", text("mine"))])
        .with_content_type("text/plain".into())
        .with_delivery_mode(2)
        .with_app_id("me".into());
    put_with(&peer, &queue, "x", properties).await;
    let mut consumer = consume(&peer, &queue, 1, [("x-stream-offset", text("first"))]).await;
    let delivery = next(&mut consumer).await;
    assert_eq!(offset(&delivery), 0);
    let properties = &delivery.properties;
    assert_eq!(properties.headers().as_ref().unwrap().inner().get("a"), Some(&text("b")));
    assert_eq!(properties.headers().as_ref().unwrap().inner().len(), 2);
    assert_eq!(properties.content_type().as_ref().unwrap().as_str(), "text/plain");
    assert_eq!(*properties.delivery_mode(), Some(2));
    assert_eq!(properties.app_id().as_ref().unwrap().as_str(), "me");
}

#[tokio::test]
async fn str_05_where_a_consumer_starts() {
    let fixture = Fixture::start().await;
    let (peer, queue) = (peer(&fixture).await, unique("offsets"));
    declare(&peer, &queue, &[]).await;
    fill_slowly(&peer, &queue, 0..5).await;
    let starts = [
        (text("first"), "0"),
        (text("last"), "4"),
        (AMQPValue::LongInt(3), "3"),
        (AMQPValue::ShortShortInt(-7), "0"),
        (AMQPValue::LongLongInt(2), "2"),
        (AMQPValue::Timestamp(0), "0"),
        (text("1h"), "0"),
        (text("7D"), "0"),
    ];
    for (start, expected) in starts {
        let channel = peer.another_channel().await;
        let mut consumer = consume(&channel, &queue, 1, [("x-stream-offset", start.clone())]).await;
        assert_eq!(body(&next(&mut consumer).await), expected, "{start:?}");
        channel.close(200, "".into()).await.unwrap();
    }
    let mut waiting = Vec::new();
    let future = AMQPValue::Timestamp(4_000_000_000);
    for start in [text("next"), AMQPValue::LongInt(5), future] {
        let channel = peer.another_channel().await;
        waiting.push((consume(&channel, &queue, 1, [("x-stream-offset", start)]).await, channel));
    }
    let channel = peer.another_channel().await;
    waiting.push((consume(&channel, &queue, 1, []).await, channel));
    let beyond = peer.another_channel().await;
    let mut far = consume(&beyond, &queue, 1, [("x-stream-offset", AMQPValue::LongInt(7))]).await;
    fill_slowly(&peer, &queue, 5..8).await;
    for (consumer, _channel) in &mut waiting {
        assert_eq!(body(&next(consumer).await), "5");
    }
    assert_eq!(body(&next(&mut far).await), "7");
}

#[tokio::test]
async fn str_05_other_offsets_are_refused() {
    let fixture = Fixture::start().await;
    let (peer, queue) = (peer(&fixture).await, unique("bogus"));
    declare(&peer, &queue, &[]).await;
    for bad in [text("bogus"), AMQPValue::Float(1.0), AMQPValue::Boolean(true), text("stored")] {
        let channel = peer.another_channel().await;
        channel.basic_qos(1, BasicQosOptions::default()).await.unwrap();
        let arguments = table([("x-stream-offset", bad)]);
        let refused = try_consume(&channel, &queue, BasicConsumeOptions::default(), arguments).await;
        let part = format!("invalid arg 'x-stream-offset' for queue '{queue}' in vhost '/': ");
        assert_reply(refusal(refused), 406, &part);
    }
}

#[tokio::test]
async fn str_03_a_prefetch_is_needed() {
    let fixture = Fixture::start().await;
    let (peer, queue) = (peer(&fixture).await, unique("unlimited"));
    declare(&peer, &queue, &[]).await;
    let refused = try_consume(&peer, &queue, BasicConsumeOptions::default(), FieldTable::default()).await;
    let part = format!("consumer prefetch count is not set for stream queue '{queue}' in vhost '/'");
    assert_reply(refusal(refused), 406, &part);
}

#[tokio::test]
async fn str_04_bas_43_bas_52_what_streams_do_not_do() {
    let fixture = Fixture::start().await;
    let queue = unique("refusals");
    declare(&*peer(&fixture).await, &queue, &[]).await;

    let other = peer(&fixture).await;
    other.basic_qos(1, BasicQosOptions::default()).await.unwrap();
    let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
    let refused = try_consume(&other, &queue, options, FieldTable::default()).await;
    let part = format!("automatic acknowledgement not supported by stream queue '{queue}' in vhost '/'");
    assert_reply(refusal(refused), 540, &part);

    let other = peer(&fixture).await;
    other.basic_qos(1, BasicQosOptions::default()).await.unwrap();
    other.basic_qos(1, BasicQosOptions { global: true }).await.unwrap();
    let refused = try_consume(&other, &queue, BasicConsumeOptions::default(), FieldTable::default()).await;
    assert_reply(refusal(refused), 540, &format!("queue '{queue}' in vhost '/' does not support global qos"));

    let other = peer(&fixture).await;
    let refused = other.basic_get(queue.as_str().into(), BasicGetOptions::default()).await;
    let part = format!("basic.get not supported by stream queues queue '{queue}' in vhost '/'");
    assert_reply(refusal(refused), 540, &part);

    let other = peer(&fixture).await;
    let refused = other.queue_purge(queue.as_str().into(), QueuePurgeOptions::default()).await;
    let part = format!("queue.purge not supported by stream queues queue '{queue}' in vhost '/'");
    assert_reply(refusal(refused), 540, &part);
}

#[tokio::test]
async fn str_07_str_08_acknowledgements_give_exactly_their_credit() {
    let fixture = Fixture::start().await;
    let (peer, queue) = (peer(&fixture).await, unique("credit"));
    declare(&peer, &queue, &[]).await;
    fill(&peer, &queue, 0..10).await;
    let mut consumer = consume(&peer, &queue, 3, [("x-stream-offset", text("first"))]).await;
    let mut held = Vec::new();
    for number in 0..3 {
        held.push(next(&mut consumer).await);
        assert_eq!(body(&held[number]), number.to_string());
    }
    // Whatever is said of one delivery, one more follows.
    held[1].acker.ack(BasicAckOptions::default()).await.unwrap();
    assert_eq!(body(&next(&mut consumer).await), "3");
    held[0].acker.nack(BasicNackOptions { requeue: true, multiple: false }).await.unwrap();
    assert_eq!(body(&next(&mut consumer).await), "4");
    held[2].acker.reject(BasicRejectOptions { requeue: false }).await.unwrap();
    let last = next(&mut consumer).await;
    assert_eq!((body(&last), last.delivery_tag), ("5".to_owned(), 6));
    last.acker.ack(BasicAckOptions { multiple: true }).await.unwrap();
    for number in 6..9 {
        assert_eq!(body(&next(&mut consumer).await), number.to_string());
    }
    // What else had been delivered would have come before this answer.
    peer.basic_qos(3, BasicQosOptions::default()).await.unwrap();
    let more = futures_lite::future::poll_once(consumer.next()).await;
    assert!(more.is_none(), "no credit, and a delivery nevertheless: {more:?}");
}

#[tokio::test]
async fn str_13_recover_gives_credit_and_delivers_nothing_again() {
    let fixture = Fixture::start().await;
    let (peer, queue) = (peer(&fixture).await, unique("recover"));
    declare(&peer, &queue, &[]).await;
    fill(&peer, &queue, 0..4).await;
    let mut consumer = consume(&peer, &queue, 2, [("x-stream-offset", text("first"))]).await;
    for number in 0..2 {
        assert_eq!(body(&next(&mut consumer).await), number.to_string());
    }
    peer.basic_recover(BasicRecoverOptions { requeue: true }).await.unwrap();
    for number in 2..4 {
        let delivery = next(&mut consumer).await;
        assert_eq!((body(&delivery), delivery.redelivered), (number.to_string(), false));
    }
}

#[tokio::test]
async fn str_09_que_54_counts_and_deleting() {
    let fixture = Fixture::start().await;
    let (peer, queue) = (peer(&fixture).await, unique("counts"));
    declare(&peer, &queue, &[]).await;
    fill(&peer, &queue, 0..7).await;
    let mut consumer = consume(&peer, &queue, 5, [("x-stream-offset", text("first"))]).await;
    bodies(&mut consumer, 7).await;
    let passive = QueueDeclareOptions { passive: true, ..Default::default() };
    let counts = peer.queue_declare(queue.as_str().into(), passive, FieldTable::default()).await.unwrap();
    assert_eq!((counts.message_count(), counts.consumer_count()), (7, 0));
    let options = QueueDeleteOptions { if_unused: true, if_empty: true, ..Default::default() };
    assert_eq!(peer.queue_delete(queue.as_str().into(), options).await.unwrap(), 0);
    assert!(within("the cancel", consumer.next()).await.is_none());
}

#[tokio::test]
async fn str_12_an_exclusive_consumer_is_not_alone() {
    let fixture = Fixture::start().await;
    let (peer, queue) = (peer(&fixture).await, unique("exclusive"));
    declare(&peer, &queue, &[]).await;
    peer.basic_qos(1, BasicQosOptions::default()).await.unwrap();
    let mut consumers = Vec::new();
    for _ in 0..2 {
        let options = BasicConsumeOptions { exclusive: true, ..Default::default() };
        consumers.push(try_consume(&peer, &queue, options, FieldTable::default()).await.unwrap());
    }
    fill(&peer, &queue, 0..1).await;
    for consumer in &mut consumers {
        assert_eq!(body(&next(consumer).await), "0");
    }
    let channel = peer.another_channel().await;
    channel.basic_qos(1, BasicQosOptions::default()).await.unwrap();
    let arguments = table([("x-priority", AMQPValue::LongInt(1))]);
    let refused = try_consume(&channel, &queue, BasicConsumeOptions::default(), arguments).await;
    assert_reply(refusal(refused), 406, "of queue type rabbit_stream_queue");
}

#[tokio::test]
async fn str_10_filters_are_exact() {
    let fixture = Fixture::start().await;
    let (peer, queue) = (peer(&fixture).await, unique("filters"));
    declare(&peer, &queue, &[]).await;
    for (body, value) in [("0", Some("a")), ("1", Some("b")), ("2", None), ("3", Some("a")), ("4", Some("c"))]
    {
        let properties = value
            .map_or_else(BasicProperties::default, |value| headers([("x-stream-filter-value", text(value))]));
        put_with(&peer, &queue, body, properties).await;
    }
    let expected: [(AMQPValue, bool, &[&str]); 4] = [
        (text("a"), false, &["0", "3"]),
        (texts(["a", "c"]), false, &["0", "3", "4"]),
        (text("b"), true, &["1", "2"]),
        (text("z"), true, &["2"]),
    ];
    for (filter, unfiltered, expected) in expected {
        let channel = peer.another_channel().await;
        let arguments = [
            ("x-stream-offset", text("first")),
            ("x-stream-filter", filter),
            ("x-stream-match-unfiltered", AMQPValue::Boolean(unfiltered)),
        ];
        let mut consumer = consume(&channel, &queue, 1, arguments).await;
        assert_eq!(bodies(&mut consumer, expected.len()).await, expected);
        channel.close(200, "".into()).await.unwrap();
    }
}

#[tokio::test]
async fn str_11_old_segments_go_by_size_and_one_stays() {
    let fixture = Fixture::start().await;
    let (peer, queue) = (peer(&fixture).await, unique("retention"));
    let size = |octets| AMQPValue::LongInt(octets);
    let arguments = [("x-stream-max-segment-size-bytes", size(1_000)), ("x-max-length-bytes", size(3_000))];
    declare(&peer, &queue, &arguments).await;
    fill(&peer, &queue, 0..1_000).await;
    let mut consumer = consume(&peer, &queue, 200, [("x-stream-offset", AMQPValue::LongInt(5))]).await;
    let first = next(&mut consumer).await;
    let oldest = offset(&first);
    assert!((900..1_000).contains(&oldest), "{oldest}");
    assert_eq!(bodies(&mut consumer, 999 - oldest as usize).await, numbers(oldest as u32 + 1..1_000));

    let (one, arguments) = (unique("one"), [("x-max-length-bytes", size(0))]);
    declare(&peer, &one, &arguments).await;
    fill(&peer, &one, 0..10).await;
    let channel = peer.another_channel().await;
    let mut consumer = consume(&channel, &one, 10, [("x-stream-offset", text("first"))]).await;
    assert_eq!(bodies(&mut consumer, 10).await, numbers(0..10));
}

#[tokio::test]
async fn a_name_goes_on_where_it_was() {
    let fixture = Fixture::start().await;
    let (peer, queue) = (peer(&fixture).await, unique("named"));
    declare(&peer, &queue, &[]).await;
    fill(&peer, &queue, 0..10).await;
    let named = |offset: Option<AMQPValue>| {
        let mut arguments = table([("x-stream-offset-name", text("reader"))]);
        if let Some(offset) = offset {
            arguments.insert("x-stream-offset".into(), offset);
        }
        arguments
    };
    // Nothing is stored yet, so that "stored" means everything.
    for (offset, expected, acks) in [
        (Some(text("stored")), 0..4, 3),
        (None, 3..5, 2),
        (Some(text("stored")), 5..6, 0),
        (Some(AMQPValue::LongInt(8)), 8..10, 2),
        (None, 10..10, 0),
    ] {
        let channel = peer.another_channel().await;
        channel.basic_qos(4, BasicQosOptions::default()).await.unwrap();
        let options = BasicConsumeOptions::default();
        let mut consumer = try_consume(&channel, &queue, options, named(offset)).await.unwrap();
        for number in expected.clone() {
            let delivery = next(&mut consumer).await;
            assert_eq!(body(&delivery), number.to_string());
            if number - expected.start < acks {
                delivery.acker.ack(BasicAckOptions::default()).await.unwrap();
            }
        }
        channel.close(200, "".into()).await.unwrap();
    }
}

#[tokio::test]
async fn a_name_stays_before_what_was_given_back_and_passes_what_was_rejected() {
    let fixture = Fixture::start().await;
    let (peer, queue) = (peer(&fixture).await, unique("returned"));
    declare(&peer, &queue, &[]).await;
    fill(&peer, &queue, 0..6).await;
    let named = || [("x-stream-offset-name", text("reader")), ("x-stream-offset", text("stored"))];
    let channel = peer.another_channel().await;
    let mut consumer = consume(&channel, &queue, 10, named()).await;
    let mut held = Vec::new();
    for _ in 0..6 {
        held.push(next(&mut consumer).await);
    }
    held[0].acker.reject(BasicRejectOptions { requeue: false }).await.unwrap();
    held[2].acker.nack(BasicNackOptions { requeue: true, multiple: false }).await.unwrap();
    for delivery in [1, 3, 4].map(|index| &held[index]) {
        delivery.acker.ack(BasicAckOptions::default()).await.unwrap();
    }
    let tag = consumer.tag();
    channel.basic_cancel(tag, BasicCancelOptions::default()).await.unwrap();
    // The consumer is gone, and its last delivery still counts.
    held[5].acker.ack(BasicAckOptions::default()).await.unwrap();
    channel.close(200, "".into()).await.unwrap();
    let channel = peer.another_channel().await;
    let mut consumer = consume(&channel, &queue, 10, named()).await;
    assert_eq!(bodies(&mut consumer, 4).await, numbers(2..6));
}

#[tokio::test]
async fn of_a_group_one_reads_and_the_next_takes_over() {
    let fixture = Fixture::start().await;
    let (peer, queue) = (peer(&fixture).await, unique("group"));
    declare(&peer, &queue, &[]).await;
    fill(&peer, &queue, 0..6).await;
    let member = || {
        [
            ("x-stream-offset-name", text("group")),
            ("x-single-active-consumer", AMQPValue::Boolean(true)),
            ("x-stream-offset", text("stored")),
        ]
    };
    let (one, two) = (peer.another_channel().await, peer.another_channel().await);
    let mut first = consume(&one, &queue, 3, member()).await;
    let mut second = consume(&two, &queue, 3, member()).await;
    assert_eq!(bodies(&mut first, 2).await, numbers(0..2));
    // Delivered, but not acknowledged.
    assert_eq!(body(&next(&mut first).await), "2");
    one.close(200, "".into()).await.unwrap();
    assert_eq!(bodies(&mut second, 4).await, numbers(2..6));

    let alone = peer.another_channel().await;
    alone.basic_qos(1, BasicQosOptions::default()).await.unwrap();
    let arguments = table([("x-single-active-consumer", AMQPValue::Boolean(true))]);
    let refused = try_consume(&alone, &queue, BasicConsumeOptions::default(), arguments).await;
    assert_reply(refusal(refused), 406, "x-stream-offset-name is missing");
}

async fn durable(directory: &std::path::Path) -> (leveret::Broker, lapin::Connection, Channel) {
    let directory = directory.to_owned();
    let configured = leveret::Broker::builder().configure(|config| {
        config.storage.data_dir = Some(directory);
        config.storage.segment_size = Some(1 << 20);
    });
    let broker = configured.start().await.expect("the broker starts");
    let connection = connect(&broker.uri()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (broker, connection, channel)
}

#[tokio::test]
async fn rst_11_a_stream_survives_whatever_the_mode_and_goes_on_counting() {
    let directory = tempfile::tempdir().unwrap();
    let queue = unique("durable");
    for round in 0..3 {
        let (broker, connection, channel) = durable(directory.path()).await;
        declare(&channel, &queue, &[]).await;
        fill(&channel, &queue, round * 100..round * 100 + 100).await;
        let end = round * 100 + 100;
        let mut consumer = consume(&channel, &queue, 50, [("x-stream-offset", text("first"))]).await;
        for number in 0..end {
            let delivery = next(&mut consumer).await;
            assert_eq!((body(&delivery), offset(&delivery)), (number.to_string(), i64::from(number)));
            assert!(!delivery.redelivered);
            delivery.acker.ack(BasicAckOptions::default()).await.unwrap();
        }
        connection.close(200, "".into()).await.unwrap();
        broker.shutdown().await;
    }
}

/// Publishes numbered messages of 200 octets and waits for all confirms.
async fn pour(channel: &Channel, queue: &str, numbers: std::ops::Range<u32>) {
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    for number in numbers {
        let body = number.to_be_bytes().repeat(50);
        let options = BasicPublishOptions::default();
        let properties = headers([("x-stream-filter-value", text(&format!("v{}", number % 1_000)))]);
        let _confirm =
            channel.basic_publish("".into(), queue.into(), options, &body, properties).await.unwrap();
    }
    channel.wait_for_confirms().await.unwrap();
}

/// Reads from an offset to the end, which must hold what [`pour`] wrote.
async fn replay(channel: &Channel, queue: &str, from: u32, end: u32) {
    let start = AMQPValue::LongInt(from as i32);
    let mut consumer = consume(channel, queue, 2_000, [("x-stream-offset", start)]).await;
    for number in from..end {
        let delivery = next(&mut consumer).await;
        assert_eq!(offset(&delivery), i64::from(number));
        assert_eq!(delivery.data, number.to_be_bytes().repeat(50), "message {number}");
        if number % 500 == 0 {
            delivery.acker.ack(BasicAckOptions { multiple: true }).await.unwrap();
        }
    }
}

#[tokio::test]
async fn str_02_a_stream_longer_than_its_tail_in_memory_is_read_from_files_also_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let queue = unique("long");
    let segment = ("x-stream-max-segment-size-bytes", AMQPValue::LongInt(1_000_000));
    for round in 1..=2 {
        let (broker, connection, channel) = durable(directory.path()).await;
        declare(&channel, &queue, std::slice::from_ref(&segment)).await;
        let end = 20_000 * round;
        pour(&channel, &queue, end - 20_000..end).await;
        for from in [0, 7_777, end - 10] {
            let channel = connection.create_channel().await.unwrap();
            replay(&channel, &queue, from, end).await;
        }
        let filtered = connection.create_channel().await.unwrap();
        let arguments = [("x-stream-offset", text("first")), ("x-stream-filter", text("v7"))];
        let mut consumer = consume(&filtered, &queue, 1, arguments).await;
        for number in (7..i64::from(end)).step_by(1_000) {
            let delivery = next(&mut consumer).await;
            assert_eq!(offset(&delivery), number);
            delivery.acker.ack(BasicAckOptions::default()).await.unwrap();
        }
        connection.close(200, "".into()).await.unwrap();
        broker.shutdown().await;
    }
    let files = std::fs::read_dir(directory.path().join("streams")).unwrap().count();
    assert!(5 < files, "{files} files");
}

#[tokio::test]
async fn str_11_segments_beyond_the_limit_lose_their_files_and_a_deleted_stream_all() {
    let directory = tempfile::tempdir().unwrap();
    let queue = unique("short");
    let arguments = [
        ("x-stream-max-segment-size-bytes", AMQPValue::LongInt(100_000)),
        ("x-max-length-bytes", AMQPValue::LongInt(500_000)),
    ];
    let (broker, connection, channel) = durable(directory.path()).await;
    declare(&channel, &queue, &arguments).await;
    pour(&channel, &queue, 0..20_000).await;
    connection.close(200, "".into()).await.unwrap();
    broker.shutdown().await;
    let size = || -> u64 {
        let files = std::fs::read_dir(directory.path().join("streams")).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
    };
    assert!((100_000..1_000_000).contains(&size()), "{} octets", size());

    let (broker, connection, channel) = durable(directory.path()).await;
    let mut consumer = consume(&channel, &queue, 2_000, [("x-stream-offset", text("first"))]).await;
    let first = offset(&next(&mut consumer).await);
    assert!((17_000..19_000).contains(&first), "{first}");
    let channel = connection.create_channel().await.unwrap();
    replay(&channel, &queue, first as u32, 20_000).await;
    channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
    connection.close(200, "".into()).await.unwrap();
    broker.shutdown().await;
    assert_eq!(size(), 0);
}

#[tokio::test]
async fn names_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let queue = unique("remembered");
    let named = || [("x-stream-offset-name", text("reader")), ("x-stream-offset", text("stored"))];
    let (broker, connection, channel) = durable(directory.path()).await;
    declare(&channel, &queue, &[]).await;
    fill(&channel, &queue, 0..10).await;
    let mut consumer = consume(&channel, &queue, 5, named()).await;
    assert_eq!(bodies(&mut consumer, 4).await, numbers(0..4));
    connection.close(200, "".into()).await.unwrap();
    broker.shutdown().await;

    let (broker, connection, channel) = durable(directory.path()).await;
    let mut consumer = consume(&channel, &queue, 5, named()).await;
    assert_eq!(bodies(&mut consumer, 6).await, numbers(4..10));
    connection.close(200, "".into()).await.unwrap();
    broker.shutdown().await;
}

#[tokio::test]
async fn partitions_are_streams_of_a_hash_exchange_with_one_reader_each() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let kind = lapin::ExchangeKind::Custom("x-consistent-hash".to_owned());
    let exchange = peer.exchange("partitions", kind).await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        let stream = unique("partition");
        declare(&peer, &stream, &[]).await;
        let options = QueueBindOptions::default();
        let bound = peer.queue_bind(
            stream.as_str().into(),
            exchange.as_str().into(),
            "1".into(),
            options,
            FieldTable::default(),
        );
        bound.await.unwrap();
        streams.push(stream);
    }
    peer.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    for number in 0..300u32 {
        let (options, key) = (BasicPublishOptions::default(), format!("key{}", number % 30));
        let (exchange, body) = (exchange.as_str().into(), format!("{key}:{number}"));
        let properties = BasicProperties::default();
        peer.basic_publish(exchange, key.as_str().into(), options, body.as_bytes(), properties)
            .await
            .unwrap();
    }
    peer.wait_for_confirms().await.unwrap();
    let passive = QueueDeclareOptions { passive: true, ..Default::default() };
    let (mut seen, mut partition_of) = (0, std::collections::BTreeMap::new());
    for (partition, stream) in streams.iter().enumerate() {
        let declared =
            peer.queue_declare(stream.as_str().into(), passive, FieldTable::default()).await.unwrap();
        let count = declared.message_count() as usize;
        assert!(0 < count && count < 300, "{count} in partition {partition}");
        let channel = peer.another_channel().await;
        let group = [
            ("x-stream-offset-name", text("workers")),
            ("x-single-active-consumer", AMQPValue::Boolean(true)),
            ("x-stream-offset", text("stored")),
        ];
        let mut consumer = consume(&channel, stream, 100, group).await;
        let mut last = std::collections::BTreeMap::new();
        for body in bodies(&mut consumer, count).await {
            let (key, number) = body.split_once(':').unwrap();
            let number: u32 = number.parse().unwrap();
            assert!(last.insert(key.to_owned(), number) < Some(number), "{body} is out of order");
            assert_eq!(*partition_of.entry(key.to_owned()).or_insert(partition), partition);
            seen += 1;
        }
    }
    assert_eq!(seen, 300);
}
