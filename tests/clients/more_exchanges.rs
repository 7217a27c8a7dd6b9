//! RabbitMQ's exchange types beyond those of AMQP: hashes, chance, recent history, deduplication.

use std::path::Path;

use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind,
    options::*,
    types::{AMQPValue, FieldTable},
};
use leveret::Broker;

use crate::{fixture::Fixture, support::*};

fn kind(name: &str) -> ExchangeKind {
    ExchangeKind::Custom(name.to_owned())
}

/// Old RabbitMQ has only the first of these types unless plugins bring the others.
fn has_all(fixture: &Fixture) -> bool {
    fixture.is_ours()
}

/// What each queue got, as sorted bodies.
async fn drained(peer: &Peer, queues: &[String]) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for queue in queues {
        let mut bodies = peer.drain(queue).await;
        bodies.sort();
        all.push(bodies);
    }
    all
}

async fn bound_each(peer: &Peer, exchange: &str, keys: &[&str]) -> Vec<String> {
    let mut queues = Vec::new();
    for key in keys {
        queues.push(peer.bound(exchange, key).await);
    }
    queues
}

/// Publishes a number of messages, each its number as key and body.
async fn publish_numbers(peer: &Peer, exchange: &str, count: usize) {
    for number in 0..count {
        let number = number.to_string();
        peer.publish(exchange, &number, &number).await;
    }
}

#[tokio::test]
async fn exc_80_weights_must_be_positive_integers() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let exchange = peer.exchange("ring", kind("x-consistent-hash")).await;
    let queue = peer.declare("hashed").await;
    for (key, text) in [
        ("0", "PRECONDITION_FAILED - The binding key must be greater than 0"),
        ("-1", "PRECONDITION_FAILED - The binding key must be greater than 0"),
        ("abc", "PRECONDITION_FAILED - The binding key must be an integer: <<\"abc\">>"),
    ] {
        let channel = peer.another_channel().await;
        let (options, none) = (QueueBindOptions::default(), FieldTable::default());
        let bind =
            channel.queue_bind(queue.as_str().into(), exchange.as_str().into(), key.into(), options, none);
        assert_eq!(refusal(within("channel.close", bind).await), (406, text.to_owned()));
    }
}

#[tokio::test]
async fn exc_81_each_message_goes_to_one_queue_and_the_same_for_the_same_key() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let exchange = peer.exchange("ring", kind("x-consistent-hash")).await;
    let queues = bound_each(&peer, &exchange, &["1", "2", "1"]).await;
    publish_numbers(&peer, &exchange, 200).await;
    let first = drained(&peer, &queues).await;
    assert_eq!(first.iter().map(Vec::len).sum::<usize>(), 200);
    assert!(first.iter().all(|bodies| 20 < bodies.len()), "everybody gets a share");
    publish_numbers(&peer, &exchange, 200).await;
    assert_eq!(drained(&peer, &queues).await, first);
}

#[tokio::test]
async fn exc_83_a_header_or_a_property_is_hashed_instead_of_the_key() {
    let fixture = Fixture::start().await;
    let peer = peer(&fixture).await;
    let by_header = table([("hash-header", text("customer"))]);
    let by_property = table([("hash-property", text("message_id"))]);
    for (number, arguments) in [by_header, by_property].into_iter().enumerate() {
        let exchange = peer.exchange_with("ring", kind("x-consistent-hash"), arguments).await;
        let queues = bound_each(&peer, &exchange, &["1", "1", "1"]).await;
        let publish = async |key: &str| {
            for id in 0..100 {
                let id = id.to_string();
                let properties = match number {
                    0 => headers([("customer", text(&id))]),
                    _ => BasicProperties::default().with_message_id(id.as_str().into()),
                };
                peer.publish_with(&exchange, key, id.as_bytes(), properties).await;
            }
        };
        publish("one key").await;
        let first = drained(&peer, &queues).await;
        assert_eq!(first.iter().map(Vec::len).sum::<usize>(), 100);
        assert!(first.iter().all(|bodies| !bodies.is_empty()), "everybody gets a share");
        publish("another key").await;
        assert_eq!(drained(&peer, &queues).await, first, "the key does not matter");
        publish_numbers(&peer, &exchange, 20).await;
        let without = drained(&peer, &queues).await;
        assert_eq!(without.iter().filter(|bodies| !bodies.is_empty()).count(), 1, "all in one place");
    }
}

#[tokio::test]
async fn exc_84_85_random_exchanges_give_each_message_to_one_queue() {
    let fixture = Fixture::start().await;
    if !has_all(&fixture) {
        return;
    }
    let peer = peer(&fixture).await;
    for name in ["x-random", "x-local-random"] {
        let exchange = peer.exchange("dice", kind(name)).await;
        let queues = bound_each(&peer, &exchange, &["", "", ""]).await;
        for number in 0..150 {
            // One key, again and again: routes must not be remembered.
            let properties = headers([("CC", texts(["also", "this"]))]);
            peer.publish_with(&exchange, "k", number.to_string().as_bytes(), properties).await;
            peer.publish(&exchange, "k", &format!("plain {number}")).await;
        }
        let bodies = drained(&peer, &queues).await;
        assert_eq!(bodies.iter().map(Vec::len).sum::<usize>(), 300, "{name}");
        assert!(bodies.iter().all(|bodies| 50 < bodies.len()), "{name} is unfair");
    }
}

#[tokio::test]
async fn exc_86_modulus_hash_gives_each_key_to_one_queue() {
    let fixture = Fixture::start().await;
    if !has_all(&fixture) {
        return;
    }
    let peer = peer(&fixture).await;
    let exchange = peer.exchange("shards", kind("x-modulus-hash")).await;
    let queues = bound_each(&peer, &exchange, &["", "ignored"]).await;
    publish_numbers(&peer, &exchange, 100).await;
    let first = drained(&peer, &queues).await;
    assert_eq!(first.iter().map(Vec::len).sum::<usize>(), 100);
    assert!(first.iter().all(|bodies| 20 < bodies.len()), "everybody gets a share");
    publish_numbers(&peer, &exchange, 100).await;
    assert_eq!(drained(&peer, &queues).await, first);
}

#[tokio::test]
async fn exc_87_a_queue_bound_later_gets_the_last_messages() {
    let fixture = Fixture::start().await;
    if !has_all(&fixture) {
        return;
    }
    let peer = peer(&fixture).await;
    let arguments = table([("x-recent-history-length", AMQPValue::LongInt(3))]);
    let exchange = peer.exchange_with("history", kind("x-recent-history"), arguments).await;
    // Before anything is bound, too; the history is as long as was asked for.
    for body in ["one", "two", "three", "four"] {
        peer.publish(&exchange, body, body).await;
    }
    let queue = peer.bound(&exchange, "").await;
    let oldest = peer.take(&queue).await;
    assert_eq!((body(&oldest).as_str(), oldest.routing_key.as_str()), ("two", "two"));
    assert_eq!((oldest.exchange.as_str(), oldest.redelivered), (exchange.as_str(), false));
    assert_eq!(peer.drain(&queue).await, ["three", "four"]);
    // A message may ask not to be remembered; it is routed all the same.
    let secret = headers([("x-recent-history-no-store", AMQPValue::Boolean(true))]);
    peer.publish_with(&exchange, "", b"secret", secret).await;
    let not_really = headers([("x-recent-history-no-store", text("true"))]);
    peer.publish_with(&exchange, "", b"five", not_really).await;
    assert_eq!(peer.drain(&queue).await, ["secret", "five"]);
    // Binding again, or once more, is not being bound: only a new binding replays.
    peer.bind(&queue, &exchange, "").await;
    assert_eq!(peer.ready(&queue).await, 0);
    let latecomer = peer.bound(&exchange, "").await;
    assert_eq!(peer.drain(&latecomer).await, ["three", "four", "five"]);
    // An exchange of the same name starts afresh.
    within("exchange.delete-ok", peer.exchange_delete(exchange.as_str().into(), Default::default()))
        .await
        .unwrap();
    let options = ExchangeDeclareOptions::default();
    let declare = peer.exchange_declare(
        exchange.as_str().into(),
        kind("x-recent-history"),
        options,
        FieldTable::default(),
    );
    within("exchange.declare-ok", declare).await.unwrap();
    peer.bind(&latecomer, &exchange, "").await;
    assert_eq!(peer.ready(&latecomer).await, 0);
}

#[tokio::test]
async fn exc_87_an_exchange_bound_later_gets_the_last_messages() {
    let fixture = Fixture::start().await;
    if !has_all(&fixture) {
        return;
    }
    let peer = peer(&fixture).await;
    let history = peer.exchange("history", kind("x-recent-history")).await;
    let topic = peer.exchange("topic", ExchangeKind::Topic).await;
    let queue = peer.bound(&topic, "a.*").await;
    for key in ["a.b", "b.a", "a.c"] {
        peer.publish(&history, key, key).await;
    }
    let (options, none) = (ExchangeBindOptions::default(), FieldTable::default());
    let bind = peer.exchange_bind(topic.as_str().into(), history.as_str().into(), "".into(), options, none);
    within("exchange.bind-ok", bind).await.unwrap();
    assert_eq!(peer.drain(&queue).await, ["a.b", "a.c"]);
}

#[tokio::test]
async fn exc_87_only_committed_messages_are_remembered() {
    let fixture = Fixture::start().await;
    if !has_all(&fixture) {
        return;
    }
    let peer = peer(&fixture).await;
    let history = peer.exchange("history", kind("x-recent-history")).await;
    let channel = peer.another_channel().await;
    within("tx.select-ok", channel.tx_select()).await.unwrap();
    let publish = async |body: &str| {
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let publish =
            channel.basic_publish(history.as_str().into(), "k".into(), options, body.as_bytes(), properties);
        publish.await.expect("the publish is written");
    };
    publish("taken back").await;
    within("tx.rollback-ok", channel.tx_rollback()).await.unwrap();
    publish("committed").await;
    // Bound after the publish, before its commit: it gets the message once.
    let between = peer.bound(&history, "").await;
    assert_eq!(peer.ready(&between).await, 0);
    within("tx.commit-ok", channel.tx_commit()).await.unwrap();
    let after = peer.bound(&history, "").await;
    assert_eq!(peer.drain(&between).await, ["committed"]);
    assert_eq!(peer.drain(&after).await, ["committed"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exc_87_who_binds_while_others_publish_misses_nothing_and_gets_nothing_twice() {
    let fixture = Fixture::start().await;
    if !has_all(&fixture) {
        return;
    }
    let (publisher, binder) = (peer(&fixture).await, peer(&fixture).await);
    let arguments = table([("x-recent-history-length", AMQPValue::LongInt(1_000))]);
    let exchange = publisher.exchange_with("history", kind("x-recent-history"), arguments).await;
    let publishing = async {
        for number in 0..1_000 {
            let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
            let body = format!("{number:04}");
            // The confirms are awaited together.
            let _confirm = publisher
                .basic_publish(exchange.as_str().into(), "".into(), options, body.as_bytes(), properties)
                .await
                .expect("the publish is written");
        }
        within("all confirms", publisher.wait_for_confirms()).await.unwrap();
    };
    let (_, queues) = tokio::join!(publishing, bound_each(&binder, &exchange, &[""; 10]));
    let all: Vec<String> = (0..1_000).map(|number| format!("{number:04}")).collect();
    for bodies in drained(&binder, &queues).await {
        assert_eq!(bodies, all);
    }
}

/// Publishes with an identity and, if so, a time to keep it in mind.
async fn publish_as(peer: &Peer, exchange: &str, identity: &str, body: &str, ttl: Option<i32>) {
    let mut fields = table([("x-deduplication-header", text(identity))]);
    if let Some(ttl) = ttl {
        fields.insert("x-cache-ttl".into(), AMQPValue::LongInt(ttl));
    }
    let properties = BasicProperties::default().with_headers(fields);
    peer.publish_with(exchange, "", body.as_bytes(), properties).await;
}

#[tokio::test]
async fn exc_91_a_message_is_routed_once_however_often_it_is_published() {
    let fixture = Fixture::start().await;
    if !has_all(&fixture) {
        return;
    }
    let peer = peer(&fixture).await;
    let arguments = table([("x-cache-size", AMQPValue::LongInt(2))]);
    let exchange = peer.exchange_with("once", kind("x-message-deduplication"), arguments).await;
    let (queue, other) = (peer.bound(&exchange, "a").await, peer.bound(&exchange, "b").await);
    for (identity, body) in [("one", "1"), ("one", "1 again"), ("two", "2"), ("one", "1 and again")] {
        publish_as(&peer, &exchange, identity, body, None).await;
    }
    assert_eq!(peer.drain(&queue).await, ["1", "2"]);
    assert_eq!(peer.drain(&other).await, ["1", "2"], "a fanout");
    // Without the header nothing is a duplicate.
    peer.publish(&exchange, "", "plain").await;
    peer.publish(&exchange, "", "plain").await;
    assert_eq!(peer.drain(&queue).await, ["plain", "plain"]);
    // A third message displaces the oldest.
    for (identity, body) in [("three", "3"), ("two", "2 again"), ("one", "1 anew")] {
        publish_as(&peer, &exchange, identity, body, None).await;
    }
    assert_eq!(peer.drain(&queue).await, ["3", "1 anew"]);
}

#[tokio::test]
async fn exc_91_a_message_says_how_long_it_is_kept_in_mind() {
    let fixture = Fixture::start().await;
    if !has_all(&fixture) {
        return;
    }
    let peer = peer(&fixture).await;
    let arguments =
        table([("x-cache-size", AMQPValue::LongInt(9)), ("x-cache-ttl", AMQPValue::LongInt(600_000))]);
    let exchange = peer.exchange_with("once", kind("x-message-deduplication"), arguments).await;
    let queue = peer.bound(&exchange, "").await;
    publish_as(&peer, &exchange, "long", "kept", None).await;
    publish_as(&peer, &exchange, "short", "first", Some(1)).await;
    // Again and again until its time is over, which the queue tells.
    within("the end of a millisecond", async {
        while peer.ready(&queue).await < 3 {
            publish_as(&peer, &exchange, "short", "second", None).await;
        }
    })
    .await;
    publish_as(&peer, &exchange, "short", "third", None).await;
    publish_as(&peer, &exchange, "long", "kept again", None).await;
    assert_eq!(peer.drain(&queue).await, ["kept", "first", "second"]);
}

#[tokio::test]
async fn exc_91_only_a_commit_makes_a_message_seen() {
    let fixture = Fixture::start().await;
    if !has_all(&fixture) {
        return;
    }
    let peer = peer(&fixture).await;
    let arguments = table([("x-cache-size", AMQPValue::LongInt(9))]);
    let exchange = peer.exchange_with("once", kind("x-message-deduplication"), arguments).await;
    let queue = peer.bound(&exchange, "").await;
    let channel = peer.another_channel().await;
    within("tx.select-ok", channel.tx_select()).await.unwrap();
    let publish = async || {
        let (options, properties) =
            (BasicPublishOptions::default(), headers([("x-deduplication-header", text("id"))]));
        let publish =
            channel.basic_publish(exchange.as_str().into(), "".into(), options, b"body", properties);
        publish.await.expect("the publish is written");
    };
    publish().await;
    within("tx.rollback-ok", channel.tx_rollback()).await.unwrap();
    for _ in 0..2 {
        publish().await;
        publish().await;
        within("tx.commit-ok", channel.tx_commit()).await.unwrap();
        assert_eq!(peer.ready(&queue).await, 1);
    }
}

async fn broker(directory: &Path) -> Broker {
    let directory = directory.to_owned();
    let configured = Broker::builder().configure(|config| config.storage.data_dir = Some(directory));
    configured.start().await.expect("the broker starts")
}

async fn channel(broker: &Broker) -> (Connection, Channel) {
    let connection = Connection::connect(&broker.uri(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    (connection, channel)
}

/// A durable exchange of each type with its arguments, and the binding key of its queues.
fn each_type() -> [(&'static str, FieldTable, &'static str); 6] {
    [
        ("x-consistent-hash", table([("hash-header", text("id"))]), "3"),
        ("x-modulus-hash", FieldTable::default(), ""),
        ("x-random", FieldTable::default(), ""),
        ("x-local-random", FieldTable::default(), ""),
        ("x-recent-history", table([("x-recent-history-length", AMQPValue::LongInt(2))]), ""),
        ("x-message-deduplication", table([("x-cache-size", AMQPValue::LongInt(2))]), ""),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exc_80_to_91_rst_07_durable_exchanges_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let first = broker(directory.path()).await;
    let (connection, peer) = channel(&first).await;
    let durable = QueueDeclareOptions { durable: true, ..Default::default() };
    for queue in ["q", "r", "late"] {
        peer.queue_declare(queue.into(), durable, FieldTable::default()).await.unwrap();
    }
    for (name, arguments, key) in each_type() {
        let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
        peer.exchange_declare(name.into(), kind(name), options, arguments).await.unwrap();
        for queue in ["q", "r"] {
            let (options, none) = (QueueBindOptions::default(), FieldTable::default());
            peer.queue_bind(queue.into(), name.into(), key.into(), options, none).await.unwrap();
        }
    }
    // What is replayed into a durable queue is as durable as it was when published.
    for mode in [2, 1] {
        let properties = BasicProperties::default().with_delivery_mode(mode);
        let body = mode.to_string();
        peer.publish_with("x-recent-history", "k", body.as_bytes(), properties).await;
    }
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    peer.queue_bind("late".into(), "x-recent-history".into(), "".into(), options, none).await.unwrap();
    assert_eq!(peer.ready("late").await, 2);
    connection.close(200, "bye".into()).await.unwrap();
    first.shutdown().await;

    let second = broker(directory.path()).await;
    let (_connection, peer) = channel(&second).await;
    assert_eq!(peer.drain("late").await, ["2"]);
    assert_eq!((peer.drain("q").await, peer.drain("r").await), (vec!["2".to_owned()], vec!["2".to_owned()]));
    for (name, arguments, _) in each_type() {
        let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
        peer.exchange_declare(name.into(), kind(name), options, arguments).await.unwrap();
        peer.publish_with(name, "k", b"after", headers([("id", text("7"))])).await;
        let reached = peer.drain("q").await.len() + peer.drain("r").await.len();
        let is_fanout = ["x-recent-history", "x-message-deduplication"].contains(&name);
        assert_eq!(reached, if is_fanout { 2 } else { 1 }, "{name}");
    }
    second.shutdown().await;
}
