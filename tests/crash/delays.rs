//! Messages that wait in delayed exchanges, and what deduplication exchanges have seen, across ends of the broker.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_lite::StreamExt;
use lapin::{
    BasicProperties, Channel, Confirmation, Consumer, ExchangeKind,
    options::*,
    types::{AMQPValue, FieldTable},
};

use crate::{
    cycles::seeded,
    patience::within,
    place::{Broker, Ending, Place},
    settings,
    topology::{durable_exchange, durable_queue},
};

const BOTH: [Ending; 2] = [Ending::Clean, Ending::Kill];

fn table<const N: usize>(pairs: [(&str, AMQPValue); N]) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in pairs {
        table.insert(key.into(), value);
    }
    table
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn wall() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// A durable exchange `x` with the durable queue `q`, on a channel in confirm mode.
async fn declared(broker: &Broker, kind: &str, arguments: FieldTable) -> Channel {
    let channel = broker.channel().await;
    let kind = ExchangeKind::Custom(kind.to_owned());
    let exchange = channel.exchange_declare("x".into(), kind, durable_exchange(), arguments);
    within("exchange.declare-ok", exchange).await.unwrap();
    let queue = channel.queue_declare("q".into(), durable_queue(), FieldTable::default());
    within("queue.declare-ok", queue).await.unwrap();
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    let bind = channel.queue_bind("q".into(), "x".into(), "".into(), options, none);
    within("queue.bind-ok", bind).await.unwrap();
    confirming(&channel).await;
    channel
}

async fn delayed(broker: &Broker) -> Channel {
    declared(broker, "x-delayed-message", table([("x-delayed-type", text("fanout"))])).await
}

async fn confirming(channel: &Channel) {
    within("confirm.select-ok", channel.confirm_select(ConfirmSelectOptions::default())).await.unwrap();
}

/// Publishes persistent messages to `x` and awaits all confirms.
async fn publish(channel: &Channel, messages: impl IntoIterator<Item = (String, FieldTable)>) {
    let mut confirms = Vec::new();
    for (body, headers) in messages {
        let properties = BasicProperties::default().with_delivery_mode(2).with_headers(headers);
        let options = BasicPublishOptions::default();
        let publish = channel.basic_publish("x".into(), "".into(), options, body.as_bytes(), properties);
        confirms.push(publish.await.unwrap());
    }
    for confirm in confirms {
        let confirmation = within("a confirm", confirm).await.unwrap();
        assert!(matches!(confirmation, Confirmation::Ack(None)), "{confirmation:?}");
    }
}

/// A message that is to wait, with the earliest time of its coming in front of its body.
fn waiting(name: &str, delay: u64) -> (String, FieldTable) {
    (format!("{} {name}", wall() + delay), table([("x-delay", AMQPValue::LongLongInt(delay as i64))]))
}

async fn consume(channel: &Channel) -> Consumer {
    let options = BasicConsumeOptions { no_ack: true, ..Default::default() };
    let consume = channel.basic_consume("q".into(), "".into(), options, FieldTable::default());
    within("basic.consume-ok", consume).await.unwrap()
}

/// The name of the next message, which must not come before its time.
async fn next(consumer: &mut Consumer) -> String {
    let delivery = within("a delivery", consumer.next()).await.unwrap().unwrap();
    let now = wall();
    let body = String::from_utf8(delivery.data).unwrap();
    let (due, name) = body.split_once(' ').unwrap();
    let due: u64 = due.parse().unwrap();
    assert!(due <= now, "{name} is {} ms early", due - now);
    name.to_owned()
}

/// What is ready in `q`, by its bodies.
async fn drain(channel: &Channel) -> Vec<String> {
    let mut bodies = Vec::new();
    let get = || channel.basic_get("q".into(), BasicGetOptions { no_ack: true });
    while let Some(message) = within("get-ok or get-empty", get()).await.unwrap() {
        bodies.push(String::from_utf8(message.delivery.data).unwrap());
    }
    bodies
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exc_90_what_waits_survives_and_comes_in_time_also_if_its_time_has_passed() {
    for ending in BOTH {
        let place = Place::new();
        let broker = place.start();
        let channel = delayed(&broker).await;
        publish(&channel, [waiting("hour", 3_600_000), waiting("late", 2500), waiting("missed", 300)]).await;
        broker.end(ending).await;
        tokio::time::sleep(Duration::from_millis(400)).await;

        let broker = place.start();
        let channel = broker.channel().await;
        let mut consumer = consume(&channel).await;
        assert_eq!(next(&mut consumer).await, "missed");
        confirming(&channel).await;
        publish(&channel, [waiting("later", 3000)]).await;
        assert_eq!(next(&mut consumer).await, "late");
        assert_eq!(next(&mut consumer).await, "later");
        // What is confirmed is durable with everything before it.
        publish(&channel, [waiting("another hour", 3_600_000)]).await;
        broker.end(ending).await;

        // What was delivered does not come again, what waits goes on waiting.
        let broker = place.start();
        let channel = broker.channel().await;
        confirming(&channel).await;
        publish(&channel, [waiting("end", 500)]).await;
        let mut consumer = consume(&channel).await;
        assert_eq!(next(&mut consumer).await, "end", "{ending:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exc_90_a_message_is_in_the_exchange_or_in_its_queues_and_never_in_both() {
    let (mut random, mut place) = (seeded(), Place::new());
    place.set(settings::PAGING);
    let mut broker = place.start();
    let mut channel = delayed(&broker).await;
    let mut published = Vec::new();
    for cycle in 0..4 {
        let names = (0..2000).map(|number| format!("{cycle}-{number}"));
        let messages: Vec<_> =
            names.clone().map(|name| waiting(&name, 1 + u64::from(random.pick(0..2000)))).collect();
        publish(&channel, messages).await;
        published.extend(names);
        tokio::time::sleep(Duration::from_millis(u64::from(random.pick(0..1500)))).await;
        broker.end(if cycle == 2 { Ending::Clean } else { Ending::Kill }).await;
        broker = place.start();
        channel = broker.channel().await;
        confirming(&channel).await;
    }
    let (mut consumer, mut names) = (consume(&channel).await, Vec::new());
    for _ in 0..published.len() {
        names.push(next(&mut consumer).await);
    }
    published.sort();
    names.sort();
    assert_eq!(names, published);
    publish(&channel, [waiting("end", 1)]).await;
    assert_eq!(next(&mut consumer).await, "end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_on_disk_survives_and_comes_in_time() {
    let mut place = Place::new();
    // Next to nothing stays in memory.
    place.set(&["limits.resident_max=0", "storage.segment_size=1MiB"]);
    let broker = place.start();
    let channel = delayed(&broker).await;
    let padding = "x".repeat(2000);
    let count = 4000u64;
    let message = |number: u64| waiting(&format!("{number} {padding}"), 2500 + number * 7919 % count / 2);
    publish(&channel, (0..count).map(message)).await;
    broker.end(Ending::Kill).await;
    let broker = place.start();
    let channel = broker.channel().await;
    let (mut consumer, mut numbers) = (consume(&channel).await, Vec::new());
    for _ in 0..count {
        let name = next(&mut consumer).await;
        numbers.push(name.split(' ').next().unwrap().parse::<u64>().unwrap());
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..count).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waited_in_a_deleted_exchange_does_not_come_back_with_its_name() {
    for ending in BOTH {
        let place = Place::new();
        let broker = place.start();
        let channel = delayed(&broker).await;
        publish(&channel, [waiting("gone", 300)]).await;
        within("exchange.delete-ok", channel.exchange_delete("x".into(), Default::default())).await.unwrap();
        let channel = delayed(&broker).await;
        publish(&channel, [waiting("kept", 400)]).await;
        broker.end(ending).await;
        let broker = place.start();
        let channel = broker.channel().await;
        let mut consumer = consume(&channel).await;
        assert_eq!(next(&mut consumer).await, "kept", "{ending:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transient_delayed_exchange_takes_what_waits_along() {
    let place = Place::new();
    let broker = place.start();
    let channel = delayed(&broker).await;
    let kind = ExchangeKind::Custom("x-delayed-message".to_owned());
    let arguments = table([("x-delayed-type", text("fanout"))]);
    let declare = channel.exchange_declare("passing".into(), kind, Default::default(), arguments);
    within("exchange.declare-ok", declare).await.unwrap();
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    let bind = channel.queue_bind("q".into(), "passing".into(), "".into(), options, none);
    within("queue.bind-ok", bind).await.unwrap();
    let (body, headers) = waiting("gone", 1000);
    let properties = BasicProperties::default().with_delivery_mode(2).with_headers(headers);
    let publish =
        channel.basic_publish("passing".into(), "".into(), Default::default(), body.as_bytes(), properties);
    within("a confirm", publish.await.unwrap()).await.unwrap();
    broker.end(Ending::Kill).await;
    let broker = place.start();
    let channel = broker.channel().await;
    confirming(&channel).await;
    self::publish(&channel, [waiting("end", 1500)]).await;
    assert_eq!(next(&mut consume(&channel).await).await, "end");
}

/// A message with an identity.
fn identified(name: &str, identity: AMQPValue) -> (String, FieldTable) {
    (name.to_owned(), table([("x-deduplication-header", identity)]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exc_91_what_was_confirmed_is_a_duplicate_after_a_restart() {
    for ending in BOTH {
        let place = Place::new();
        let broker = place.start();
        let arguments = table([("x-cache-size", AMQPValue::LongInt(3))]);
        let channel = declared(&broker, "x-message-deduplication", arguments).await;
        let long = "long".repeat(100);
        let identities = [text("evicted"), text("one"), AMQPValue::LongInt(2), text(&long)];
        let named = || identities.iter().cloned().zip(["0", "1", "2", "3"]);
        publish(&channel, named().map(|(identity, name)| identified(name, identity))).await;
        broker.end(ending).await;

        let broker = place.start();
        let channel = broker.channel().await;
        confirming(&channel).await;
        let again = named().skip(1).map(|(identity, _)| identified("again", identity));
        publish(&channel, again.chain([identified("new", text("evicted"))])).await;
        assert_eq!(drain(&channel).await, ["0", "1", "2", "3", "new"], "{ending:?}");
        broker.end(ending).await;

        // The order in which they were seen is kept, too: the next one to go was the oldest.
        let broker = place.start();
        let channel = broker.channel().await;
        confirming(&channel).await;
        let more = [identified("again", text(&long)), identified("newer", text("one"))];
        publish(&channel, more).await;
        let found = drain(&channel).await;
        assert!(found.ends_with(&["newer".to_owned()]) && !found.contains(&"again".to_owned()), "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exc_91_identities_expire_while_the_broker_is_away_and_are_not_kept_where_memory_is_asked_for() {
    for (persistence, ttl, kept) in
        [("memory", 600_000, false), ("disk", 500, false), ("disk", 600_000, true)]
    {
        let place = Place::new();
        let broker = place.start();
        let arguments = table([
            ("x-cache-size", AMQPValue::LongInt(3)),
            ("x-cache-ttl", AMQPValue::LongInt(ttl)),
            ("x-cache-persistence", text(persistence)),
        ]);
        let channel = declared(&broker, "x-message-deduplication", arguments).await;
        publish(&channel, [identified("first", text("id"))]).await;
        broker.end(Ending::Kill).await;
        tokio::time::sleep(Duration::from_millis(600)).await;
        let broker = place.start();
        let channel = broker.channel().await;
        confirming(&channel).await;
        publish(&channel, [identified("second", text("id"))]).await;
        let expected: &[&str] = if kept { &["first"] } else { &["first", "second"] };
        assert_eq!(drain(&channel).await, expected, "{persistence} {ttl}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exc_91_a_deleted_exchange_has_seen_nothing() {
    let place = Place::new();
    let broker = place.start();
    let arguments = || table([("x-cache-size", AMQPValue::LongInt(3))]);
    let channel = declared(&broker, "x-message-deduplication", arguments()).await;
    publish(&channel, [identified("first", text("id"))]).await;
    within("exchange.delete-ok", channel.exchange_delete("x".into(), Default::default())).await.unwrap();
    declared(&broker, "x-message-deduplication", arguments()).await;
    broker.end(Ending::Kill).await;
    let broker = place.start();
    let channel = broker.channel().await;
    confirming(&channel).await;
    publish(&channel, [identified("second", text("id")), identified("third", text("id"))]).await;
    assert_eq!(drain(&channel).await, ["first", "second"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn que_43_the_identities_in_a_queue_survive_as_its_messages_do() {
    // Also of what is on disk.
    for (ending, kind, settings) in [
        (Ending::Clean, "classic", settings::DEFAULT),
        (Ending::Kill, "classic", settings::DEFAULT),
        (Ending::Kill, "quorum", settings::DEFAULT),
        (Ending::Kill, "classic", settings::PAGING),
    ] {
        let mut place = Place::new();
        place.set(settings);
        let broker = place.start();
        let channel = broker.channel().await;
        confirming(&channel).await;
        let arguments =
            table([("x-message-deduplication", AMQPValue::Boolean(true)), ("x-queue-type", text(kind))]);
        within("queue.declare-ok", channel.queue_declare("q".into(), durable_queue(), arguments))
            .await
            .unwrap();
        let exchange = channel.exchange_declare(
            "x".into(),
            ExchangeKind::Fanout,
            durable_exchange(),
            FieldTable::default(),
        );
        within("exchange.declare-ok", exchange).await.unwrap();
        let (options, none) = (QueueBindOptions::default(), FieldTable::default());
        within("queue.bind-ok", channel.queue_bind("q".into(), "x".into(), "".into(), options, none))
            .await
            .unwrap();
        let padding = "x".repeat(500);
        let name = |number: i32| format!("{number} {padding}");
        let count = 2000;
        publish(&channel, (0..count).map(|number| identified(&name(number), AMQPValue::LongInt(number))))
            .await;
        let got = within("get-ok", channel.basic_get("q".into(), Default::default())).await.unwrap().unwrap();
        got.ack(BasicAckOptions::default()).await.unwrap();
        // Comes after the acknowledgement, and is durable with it.
        publish(&channel, [identified("1 again", AMQPValue::LongInt(1))]).await;
        broker.end(ending).await;

        let broker = place.start();
        let channel = broker.channel().await;
        confirming(&channel).await;
        let again = (1..count).map(|number| identified("again", AMQPValue::LongInt(number)));
        publish(&channel, again.chain([identified(&name(0), AMQPValue::LongInt(0))])).await;
        let expected: Vec<String> = (1..count).chain([0]).map(name).collect();
        assert!(drain(&channel).await == expected, "{ending:?} {kind} {settings:?}");
        publish(&channel, [identified("anew", AMQPValue::LongInt(7))]).await;
        assert_eq!(drain(&channel).await, ["anew"]);
    }
}
