//! Delayed exchanges: messages that are routed when their time has come (EXC-88 to EXC-90).

use std::time::{Duration, Instant};

use futures_lite::StreamExt;
use lapin::{
    BasicProperties, Confirmation, Consumer, ExchangeKind,
    message::Delivery,
    options::*,
    types::{AMQPValue, FieldTable, ShortString},
};

use crate::{fixture::Fixture, support::*};

fn kind() -> ExchangeKind {
    ExchangeKind::Custom("x-delayed-message".to_owned())
}

/// A delayed exchange that routes as another type; none where only a plugin would bring it.
async fn delayed(fixture: &Fixture, inner: &str) -> Option<(Peer, String)> {
    if !fixture.is_ours() {
        return None;
    }
    let peer = peer(fixture).await;
    let exchange = peer.exchange_with("delayed", kind(), table([("x-delayed-type", text(inner))])).await;
    Some((peer, exchange))
}

fn delay(millis: i32) -> BasicProperties {
    headers([("x-delay", AMQPValue::LongInt(millis))])
}

async fn next(consumer: &mut Consumer) -> Delivery {
    within("a delivery", consumer.next()).await.expect("the consumer goes on").expect("a delivery")
}

fn header(delivery: &Delivery, name: &str) -> Option<AMQPValue> {
    delivery.properties.headers().as_ref()?.inner().get(&ShortString::from(name)).cloned()
}

#[tokio::test]
async fn exc_88_the_type_that_routes_must_be_there_and_be_another() {
    let fixture = Fixture::start().await;
    if !fixture.is_ours() {
        return;
    }
    let peer = peer(&fixture).await;
    for (arguments, reason) in [
        (FieldTable::default(), "Invalid argument, 'x-delayed-type' must be an existing exchange type"),
        (
            table([("x-delayed-type", AMQPValue::LongInt(1))]),
            "Invalid argument, 'x-delayed-type' must be an existing exchange type",
        ),
        (table([("x-delayed-type", text("none"))]), "unknown exchange type 'none'"),
        (
            table([("x-delayed-type", text("x-delayed-message"))]),
            "Invalid argument, 'x-delayed-message' can't be used for 'x-delayed-type'",
        ),
        // What the other type demands is demanded.
        (
            table([("x-delayed-type", text("x-message-deduplication"))]),
            "Missing or invalid argument, 'x-cache-size' must be an integer greater than 0",
        ),
    ] {
        let channel = peer.another_channel().await;
        let name = unique("delayed");
        let declare = channel.exchange_declare(name.as_str().into(), kind(), Default::default(), arguments);
        let (code, told) = refusal(within("a refusal", declare).await);
        assert_eq!((code, told), (406, format!("PRECONDITION_FAILED - {reason}")));
    }
}

#[tokio::test]
async fn exc_88_bindings_are_those_of_the_inner_type() {
    let fixture = Fixture::start().await;
    let Some((peer, exchange)) = delayed(&fixture, "topic").await else { return };
    let (stars, rest) = (peer.bound(&exchange, "*.x").await, peer.bound(&exchange, "a.#").await);
    for (key, body) in [("a.x", "both"), ("b.x", "stars"), ("a.b.c", "rest"), ("b.b", "none")] {
        peer.publish(&exchange, key, body).await;
        peer.publish_with(&exchange, key, body.as_bytes(), delay(1)).await;
    }
    for (queue, bodies) in [(stars, ["both", "stars"]), (rest, ["both", "rest"])] {
        let mut consumer = peer.consume(&queue).await;
        let mut got = Vec::new();
        for _ in 0..4 {
            got.push(body(&next(&mut consumer).await));
        }
        got.sort();
        assert_eq!(got, [bodies[0], bodies[0], bodies[1], bodies[1]]);
    }
    let weighted = table([("x-delayed-type", text("x-consistent-hash"))]);
    let exchange = peer.exchange_with("delayed", kind(), weighted).await;
    let (queue, channel) = (peer.declare("q").await, peer.another_channel().await);
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    let bind = channel.queue_bind(queue.as_str().into(), exchange.as_str().into(), "0".into(), options, none);
    assert_reply(refusal(within("a refusal", bind).await), 406, "The binding key must be greater than 0");
}

#[tokio::test]
async fn exc_89_a_message_waits_for_its_delay_and_no_message_is_early() {
    let fixture = Fixture::start().await;
    let Some((peer, exchange)) = delayed(&fixture, "direct").await else { return };
    let queue = peer.bound(&exchange, "k").await;
    let mut consumer = peer.consume(&queue).await;
    let began = Instant::now();
    for millis in [300, 100, 200] {
        peer.publish_with(&exchange, "k", millis.to_string().as_bytes(), delay(millis)).await;
    }
    peer.publish(&exchange, "k", "0").await;
    for expected in [0, 100, 200, 300] {
        let delivery = next(&mut consumer).await;
        assert_eq!(body(&delivery), expected.to_string());
        assert!(Duration::from_millis(expected) <= began.elapsed(), "{expected} is early");
    }
}

#[tokio::test]
async fn exc_89_texts_and_floats_are_taken_for_numbers_and_anything_else_goes_at_once() {
    let fixture = Fixture::start().await;
    let Some((peer, exchange)) = delayed(&fixture, "fanout").await else { return };
    let queue = peer.bound(&exchange, "").await;
    let hour = 3_600_000;
    for value in [
        AMQPValue::LongInt(0),
        AMQPValue::LongInt(-hour),
        AMQPValue::Boolean(true),
        text("soon"),
        AMQPValue::Timestamp(hour as u64),
    ] {
        peer.publish_with(&exchange, "", b"now", headers([("x-delay", value)])).await;
    }
    for value in [
        text(&hour.to_string()),
        AMQPValue::Double(f64::from(hour)),
        AMQPValue::LongLongInt(10 * 365 * 24 * i64::from(hour)),
        AMQPValue::LongUInt(u32::MAX),
    ] {
        peer.publish_with(&exchange, "", b"later", headers([("x-delay", value)])).await;
    }
    assert_eq!(peer.drain(&queue).await, ["now"; 5]);
}

#[tokio::test]
async fn exc_90_what_has_waited_says_so_and_keeps_everything_else() {
    let fixture = Fixture::start().await;
    let Some((peer, exchange)) = delayed(&fixture, "fanout").await else { return };
    let queue = peer.bound(&exchange, "").await;
    let mut consumer = peer.consume(&queue).await;
    let fields =
        table([("a", text("b")), ("x-delay", AMQPValue::LongInt(10)), ("z", AMQPValue::Boolean(true))]);
    let properties = BasicProperties::default()
        .with_headers(fields)
        .with_delivery_mode(2)
        .with_message_id("id".into())
        .with_priority(3);
    peer.publish_with(&exchange, "key", b"body", properties).await;
    let delivery = next(&mut consumer).await;
    assert_eq!(header(&delivery, "x-delay"), Some(AMQPValue::LongInt(-10)));
    assert_eq!(header(&delivery, "a"), Some(text("b")));
    assert_eq!(header(&delivery, "z"), Some(AMQPValue::Boolean(true)));
    assert_eq!((delivery.exchange.as_str(), delivery.routing_key.as_str()), (&*exchange, "key"));
    assert_eq!(delivery.properties.message_id().as_ref().map(|id| id.as_str()), Some("id"));
    assert_eq!((delivery.properties.delivery_mode(), delivery.properties.priority()), (&Some(2), &Some(3)));
    assert!(!delivery.redelivered);
}

#[tokio::test]
async fn exc_90_bindings_count_when_the_time_has_come() {
    let fixture = Fixture::start().await;
    let Some((peer, exchange)) = delayed(&fixture, "direct").await else { return };
    let early = peer.bound(&exchange, "k").await;
    peer.publish_with(&exchange, "k", b"body", delay(150)).await;
    let unbind =
        peer.queue_unbind(early.as_str().into(), exchange.as_str().into(), "k".into(), Default::default());
    within("queue.unbind-ok", unbind).await.unwrap();
    let late = peer.bound(&exchange, "k").await;
    let mut consumer = peer.consume(&late).await;
    assert_eq!(body(&next(&mut consumer).await), "body");
    assert_eq!(peer.ready(&early).await, 0);
}

#[tokio::test]
async fn exc_90_for_a_mandatory_publish_a_message_that_waits_goes_nowhere() {
    let fixture = Fixture::start().await;
    let Some((peer, exchange)) = delayed(&fixture, "fanout").await else { return };
    let queue = peer.bound(&exchange, "").await;
    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    let publish = peer.basic_publish(exchange.as_str().into(), "".into(), options, b"body", delay(10));
    match within("a confirm", publish.await.unwrap()).await.unwrap() {
        Confirmation::Ack(Some(returned)) => assert_eq!(returned.reply_code, 312),
        other => panic!("not returned: {other:?}"),
    }
    let mut consumer = peer.consume(&queue).await;
    assert_eq!(body(&next(&mut consumer).await), "body", "it comes nevertheless");
}

#[tokio::test]
async fn an_alternate_exchange_gets_what_is_unroutable_when_its_time_has_come() {
    let fixture = Fixture::start().await;
    if !fixture.is_ours() {
        return;
    }
    let peer = peer(&fixture).await;
    let alternate = peer.exchange("alternate", ExchangeKind::Fanout).await;
    let arguments = table([("x-delayed-type", text("direct")), ("alternate-exchange", text(&alternate))]);
    let exchange = peer.exchange_with("delayed", kind(), arguments).await;
    let queue = peer.bound(&alternate, "").await;
    peer.publish_with(&exchange, "k", b"one", delay(50)).await;
    assert_eq!(peer.ready(&queue).await, 0);
    let mut consumer = peer.consume(&queue).await;
    assert_eq!(body(&next(&mut consumer).await), "one");
}

#[tokio::test]
async fn messages_wait_in_exchanges_behind_others_and_wait_once() {
    let fixture = Fixture::start().await;
    let Some((peer, second)) = delayed(&fixture, "fanout").await else { return };
    let first = peer.exchange("first", ExchangeKind::Fanout).await;
    let third = peer.exchange_with("third", kind(), table([("x-delayed-type", text("fanout"))])).await;
    for (source, destination) in [(&first, &second), (&second, &third)] {
        let (options, none) = (ExchangeBindOptions::default(), FieldTable::default());
        let bind =
            peer.exchange_bind(destination.as_str().into(), source.as_str().into(), "".into(), options, none);
        within("exchange.bind-ok", bind).await.unwrap();
    }
    let (direct, queue) = (peer.bound(&first, "").await, peer.bound(&third, "").await);
    peer.publish_with(&first, "", b"body", delay(20)).await;
    assert_eq!(peer.drain(&direct).await, ["body"]);
    let mut consumer = peer.consume(&queue).await;
    let delivery = next(&mut consumer).await;
    assert_eq!(header(&delivery, "x-delay"), Some(AMQPValue::LongInt(-20)));
    assert_eq!(delivery.exchange.as_str(), first);
    peer.fence(&queue).await;
    assert_eq!(peer.ready(&queue).await, 0);
}

#[tokio::test]
async fn dead_letters_wait_if_they_ask_for_it() {
    let fixture = Fixture::start().await;
    let Some((peer, exchange)) = delayed(&fixture, "fanout").await else { return };
    let queue = peer.bound(&exchange, "").await;
    let source = peer.declare_with("source", table([("x-dead-letter-exchange", text(&exchange))])).await;
    peer.publish_with("", &source, b"body", delay(30)).await;
    let began = Instant::now();
    let got = peer.take(&source).await;
    got.reject(BasicRejectOptions { requeue: false }).await.unwrap();
    let mut consumer = peer.consume(&queue).await;
    let delivery = next(&mut consumer).await;
    assert!(Duration::from_millis(30) <= began.elapsed());
    assert!(header(&delivery, "x-death").is_some());
}

#[tokio::test]
async fn a_message_waits_from_its_commit_on() {
    let fixture = Fixture::start().await;
    let Some((peer, exchange)) = delayed(&fixture, "fanout").await else { return };
    let queue = peer.bound(&exchange, "").await;
    let channel = peer.another_channel().await;
    within("tx.select-ok", channel.tx_select()).await.unwrap();
    let publish = async |body: &str| {
        let options = BasicPublishOptions::default();
        let publish =
            channel.basic_publish(exchange.as_str().into(), "".into(), options, body.as_bytes(), delay(20));
        publish.await.expect("the publish is written");
    };
    publish("rolled back").await;
    within("tx.rollback-ok", channel.tx_rollback()).await.unwrap();
    publish("committed").await;
    within("tx.commit-ok", channel.tx_commit()).await.unwrap();
    let mut consumer = peer.consume(&queue).await;
    assert_eq!(body(&next(&mut consumer).await), "committed");
    peer.fence(&queue).await;
    assert_eq!(peer.ready(&queue).await, 0);
}

#[tokio::test]
async fn what_waits_goes_with_its_exchange() {
    let fixture = Fixture::start().await;
    let Some((peer, exchange)) = delayed(&fixture, "fanout").await else { return };
    peer.publish_with(&exchange, "", b"dropped", delay(50)).await;
    within("exchange.delete-ok", peer.exchange_delete(exchange.as_str().into(), Default::default()))
        .await
        .unwrap();
    let arguments = table([("x-delayed-type", text("fanout"))]);
    let declare = peer.exchange_declare(exchange.as_str().into(), kind(), Default::default(), arguments);
    within("exchange.declare-ok", declare).await.unwrap();
    let queue = peer.bound(&exchange, "").await;
    peer.publish_with(&exchange, "", b"kept", delay(80)).await;
    let mut consumer = peer.consume(&queue).await;
    assert_eq!(body(&next(&mut consumer).await), "kept");
}

#[tokio::test]
async fn an_inner_deduplication_sees_messages_when_they_are_routed() {
    let fixture = Fixture::start().await;
    if !fixture.is_ours() {
        return;
    }
    let peer = peer(&fixture).await;
    let arguments =
        table([("x-delayed-type", text("x-message-deduplication")), ("x-cache-size", AMQPValue::LongInt(9))]);
    let exchange = peer.exchange_with("delayed", kind(), arguments).await;
    let queue = peer.bound(&exchange, "").await;
    let publish = async |body: &str, millis| {
        let fields = [("x-deduplication-header", text("id")), ("x-delay", AMQPValue::LongInt(millis))];
        peer.publish_with(&exchange, "", body.as_bytes(), headers(fields)).await;
    };
    publish("late", 100).await;
    publish("now", 0).await;
    publish("last", 130).await;
    peer.publish_with(&exchange, "", b"end", delay(160)).await;
    let mut consumer = peer.consume(&queue).await;
    assert_eq!(body(&next(&mut consumer).await), "now");
    assert_eq!(body(&next(&mut consumer).await), "end");
}

/// 100,000 messages that are due at random times over ten seconds. Prints how late they were:
/// `cargo test --release --test clients lateness -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes half a minute, and measures"]
async fn lateness_of_many_messages_none_of_which_is_early() {
    const COUNT: u32 = 100_000;
    const SPREAD: u32 = 10_000;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    let configured = leveret::Broker::builder().configure(|config| config.storage.data_dir = Some(path));
    let broker = configured.start().await.expect("the broker starts");
    let connection = connect(&broker.uri()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let durable = ExchangeDeclareOptions { durable: true, ..Default::default() };
    let arguments = table([("x-delayed-type", text("direct"))]);
    channel.exchange_declare("x".into(), kind(), durable, arguments).await.unwrap();
    let durable = QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare("q".into(), durable, FieldTable::default()).await.unwrap();
    channel.bind("q", "x", "k").await;

    // All are published before the first is due.
    let (lead, began) = (8_000, Instant::now());
    let micros = move || began.elapsed().as_micros() as u64;
    let consuming = connection.create_channel().await.unwrap();
    let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
    let mut consumer = consuming.consume_with("q", options, FieldTable::default()).await.unwrap();
    let mut random = 1u64;
    let mut confirms = Vec::new();
    for _ in 0..COUNT {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let target = lead + (random >> 33) as u32 % SPREAD;
        // As long as is left until then, from this moment on.
        let wait = target.saturating_sub((micros() / 1000) as u32).max(1);
        let due = (micros() + u64::from(wait) * 1000).to_be_bytes();
        let properties = delay(wait as i32).with_delivery_mode(2);
        let options = BasicPublishOptions::default();
        let publish = channel.basic_publish("x".into(), "k".into(), options, &due, properties);
        confirms.push(publish.await.unwrap());
    }
    for confirm in confirms {
        within_secs(60, "a confirm", confirm).await.unwrap();
    }
    println!("{COUNT} messages published and confirmed after {} ms", micros() / 1000);
    let mut late = Vec::new();
    for _ in 0..COUNT {
        let delivery = within_secs(60, "a delivery", consumer.next()).await.unwrap().unwrap();
        let due = u64::from_be_bytes(delivery.data.as_slice().try_into().unwrap());
        let now = micros();
        assert!(due <= now, "{} us early", due - now);
        late.push(now - due);
    }
    late.sort_unstable();
    for (name, part) in [("median", 0.5), ("90 %", 0.9), ("99 %", 0.99), ("99.9 %", 0.999), ("worst", 1.0)] {
        let at = ((late.len() - 1) as f64 * part) as usize;
        println!("{name}: {:.2} ms late", late[at] as f64 / 1000.0);
    }
    broker.shutdown().await;
}
