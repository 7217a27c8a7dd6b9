//! What a restart keeps and what it does not, line by line of the behaviour reference: after an orderly end
//! and after a kill.
//!
//! RST-19 (what was not confirmed may be there or not) is the load's ([`crate::cycles`]). RST-11 and RST-16
//! need quorum queues, RST-20 the management interface.

use std::time::Duration;

use futures_lite::StreamExt;
use lapin::{
    BasicProperties, Channel, Confirmation, ErrorKind, ExchangeKind,
    message::BasicGetMessage,
    options::*,
    types::{AMQPValue, FieldTable},
};

use crate::{
    look::{consume, exchange_exists, open, ready},
    patience::within,
    place::{Broker, Ending, Place},
    topology::{durable_exchange, durable_queue},
};

const BOTH: [Ending; 2] = [Ending::Clean, Ending::Kill];
const AWAY: Duration = Duration::from_secs(3);

/// Prepares a broker, ends it while what `prepare` gives is still held, and checks the next one.
async fn across<T>(ending: Ending, prepare: impl AsyncFn(&Broker) -> T, check: impl AsyncFn(&Broker)) {
    across_downtime(ending, Duration::ZERO, prepare, check).await;
}

async fn across_downtime<T>(
    ending: Ending,
    downtime: Duration,
    prepare: impl AsyncFn(&Broker) -> T,
    check: impl AsyncFn(&Broker),
) {
    eprintln!("{ending:?}");
    let place = Place::new();
    let broker = place.start();
    let held = prepare(&broker).await;
    broker.end(ending).await;
    drop(held);
    tokio::time::sleep(downtime).await;
    check(&place.start()).await;
}

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

fn persistent() -> BasicProperties {
    BasicProperties::default().with_delivery_mode(2)
}

async fn declare(channel: &Channel, queue: &str, options: QueueDeclareOptions, arguments: FieldTable) {
    within("queue.declare-ok", channel.queue_declare(queue.into(), options, arguments)).await.unwrap();
}

/// A durable queue without arguments.
async fn durable(channel: &Channel, queue: &str) {
    declare(channel, queue, durable_queue(), FieldTable::default()).await;
}

async fn exchange(channel: &Channel, name: &str, kind: ExchangeKind, options: ExchangeDeclareOptions) {
    let declare = channel.exchange_declare(name.into(), kind, options, FieldTable::default());
    within("exchange.declare-ok", declare).await.unwrap();
}

async fn bind(channel: &Channel, exchange: &str, queue: &str, key: &str, arguments: FieldTable) {
    let options = QueueBindOptions::default();
    let bind = channel.queue_bind(queue.into(), exchange.into(), key.into(), options, arguments);
    within("queue.bind-ok", bind).await.unwrap();
}

/// Publishes on a channel in confirm mode and awaits the confirm; false if no queue took it.
async fn publish(
    channel: &Channel,
    exchange: &str,
    key: &str,
    body: &str,
    properties: BasicProperties,
) -> bool {
    within("confirm.select-ok", channel.confirm_select(ConfirmSelectOptions::default())).await.unwrap();
    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    let publish = channel.basic_publish(exchange.into(), key.into(), options, body.as_bytes(), properties);
    match within("a confirm", within("a publish", publish).await.unwrap()).await.unwrap() {
        Confirmation::Ack(returned) => returned.is_none(),
        other => panic!("{body} is answered with {other:?}"),
    }
}

/// Publishes persistent messages of these bodies to a queue, and awaits their confirms.
async fn fill(channel: &Channel, queue: &str, bodies: &[&str]) {
    for body in bodies {
        assert!(publish(channel, "", queue, body, persistent()).await);
    }
}

async fn take(channel: &Channel, queue: &str) -> Option<BasicGetMessage> {
    within("get-ok or get-empty", channel.basic_get(queue.into(), BasicGetOptions::default())).await.unwrap()
}

fn body(message: &BasicGetMessage) -> String {
    String::from_utf8(message.delivery.data.clone()).unwrap()
}

/// Bodies and redelivered flags, in order, of all that is ready.
async fn drain(channel: &Channel, queue: &str) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    while let Some(message) = take(channel, queue).await {
        found.push((body(&message), message.delivery.redelivered));
    }
    found
}

async fn bodies(broker: &Broker, queue: &str) -> Vec<String> {
    drain(&broker.channel().await, queue).await.into_iter().map(|(body, _)| body).collect()
}

async fn count(broker: &Broker, queue: &str) -> Option<u32> {
    ready(&broker.connect().await, queue).await
}

#[tokio::test]
async fn rst_01_durable_queues_survive_as_they_were_declared() {
    let arguments =
        || table([("x-max-length", AMQPValue::LongInt(7)), ("x-overflow", text("reject-publish"))]);
    for ending in BOTH {
        across(
            ending,
            async |broker| {
                let channel = broker.channel().await;
                durable(&channel, "plain").await;
                declare(&channel, "with arguments", durable_queue(), arguments()).await;
                durable(&channel, "deleted").await;
                let delete = channel.queue_delete("deleted".into(), QueueDeleteOptions::default());
                within("queue.delete-ok", delete).await.unwrap();
            },
            async |broker| {
                assert_eq!(count(broker, "plain").await, Some(0));
                assert_eq!(count(broker, "deleted").await, None);
                // The same declaration is equivalent, another one is not.
                let channel = broker.channel().await;
                declare(&channel, "with arguments", durable_queue(), arguments()).await;
                let other = table([("x-max-length", AMQPValue::LongInt(8))]);
                let declare = channel.queue_declare("with arguments".into(), durable_queue(), other);
                let refused = within("channel.close", declare).await.unwrap_err();
                assert!(refused.to_string().contains("PRECONDITION_FAILED"), "{refused}");
            },
        )
        .await;
    }
}

#[tokio::test]
async fn rst_02_transient_queues_are_gone() {
    for ending in BOTH {
        let prepare = async |broker: &Broker| {
            let channel = broker.channel().await;
            declare(&channel, "transient", QueueDeclareOptions::default(), FieldTable::default()).await;
            fill(&channel, "transient", &["lost with it"]).await;
        };
        across(ending, prepare, async |broker| assert_eq!(count(broker, "transient").await, None)).await;
    }
}

#[tokio::test]
async fn rst_03_exclusive_queues_are_gone_durable_or_not() {
    for ending in BOTH {
        across(
            ending,
            async |broker| {
                let channel = broker.channel().await;
                let options = QueueDeclareOptions { exclusive: true, ..Default::default() };
                declare(&channel, "exclusive", options, FieldTable::default()).await;
                let options = QueueDeclareOptions { exclusive: true, ..durable_queue() };
                declare(&channel, "exclusive durable", options, FieldTable::default()).await;
                fill(&channel, "exclusive durable", &["lost with it"]).await;
                channel
            },
            async |broker| {
                assert_eq!(count(broker, "exclusive").await, None);
                assert_eq!(count(broker, "exclusive durable").await, None);
            },
        )
        .await;
    }
}

#[tokio::test]
async fn rst_04_auto_delete_queues_survive_with_their_messages() {
    for ending in BOTH {
        let prepare = async |broker: &Broker| {
            let channel = broker.channel().await;
            let options = QueueDeclareOptions { auto_delete: true, ..durable_queue() };
            declare(&channel, "auto-delete", options, FieldTable::default()).await;
            fill(&channel, "auto-delete", &["1", "2"]).await;
        };
        across(ending, prepare, async |broker| {
            assert_eq!(bodies(broker, "auto-delete").await, ["1", "2"]);
            // It is still one that goes with its last consumer.
            let connection = broker.connect().await;
            let channel = open(&connection).await;
            drop(consume(&channel, "auto-delete").await);
            let _ = within("channel.close-ok", channel.close(200, "done".into())).await;
            assert_eq!(ready(&connection, "auto-delete").await, None);
        })
        .await;
    }
}

#[tokio::test]
async fn rst_05_06_durable_exchanges_survive_transient_ones_are_gone() {
    let kinds = || [ExchangeKind::Direct, ExchangeKind::Fanout, ExchangeKind::Topic, ExchangeKind::Headers];
    let options = [
        durable_exchange(),
        ExchangeDeclareOptions { auto_delete: true, ..durable_exchange() },
        ExchangeDeclareOptions { internal: true, ..durable_exchange() },
    ];
    for ending in BOTH {
        across(
            ending,
            async |broker| {
                let channel = broker.channel().await;
                exchange(&channel, "transient", ExchangeKind::Direct, Default::default()).await;
                for kind in kinds() {
                    for (at, options) in options.iter().enumerate() {
                        exchange(&channel, &format!("{kind:?} {at}"), kind.clone(), *options).await;
                    }
                }
                let delete = channel.exchange_delete("Direct 0".into(), ExchangeDeleteOptions::default());
                within("exchange.delete-ok", delete).await.unwrap();
            },
            async |broker| {
                let connection = broker.connect().await;
                assert!(!exchange_exists(&connection, "transient").await);
                assert!(!exchange_exists(&connection, "Direct 0").await);
                let channel = open(&connection).await;
                for kind in kinds() {
                    for (at, options) in options.iter().enumerate() {
                        let name = format!("{kind:?} {at}");
                        if name != "Direct 0" {
                            assert!(exchange_exists(&connection, &name).await, "{name}");
                            // An equivalent declaration: it has kept its type and its flags.
                            exchange(&channel, &name, kind.clone(), *options).await;
                        }
                    }
                }
            },
        )
        .await;
    }
}

#[tokio::test]
async fn rst_07_bindings_between_durable_ends_survive() {
    for ending in BOTH {
        across(
            ending,
            async |broker| {
                let channel = broker.channel().await;
                durable(&channel, "q").await;
                exchange(&channel, "topic", ExchangeKind::Topic, durable_exchange()).await;
                exchange(&channel, "headers", ExchangeKind::Headers, durable_exchange()).await;
                exchange(&channel, "to topic", ExchangeKind::Fanout, durable_exchange()).await;
                for key in ["a.#", "b.*", "unbound.*"] {
                    bind(&channel, "topic", "q", key, FieldTable::default()).await;
                }
                bind(&channel, "headers", "q", "", table([("x-match", text("all")), ("is", text("so"))]))
                    .await;
                let unbind = channel.queue_unbind(
                    "q".into(),
                    "topic".into(),
                    "unbound.*".into(),
                    FieldTable::default(),
                );
                within("queue.unbind-ok", unbind).await.unwrap();
                let (options, none) = (ExchangeBindOptions::default(), FieldTable::default());
                let bind = channel.exchange_bind("topic".into(), "to topic".into(), "".into(), options, none);
                within("exchange.bind-ok", bind).await.unwrap();
            },
            async |broker| {
                let channel = broker.channel().await;
                for (exchange, key, bound) in [
                    ("topic", "a.x.y", true),
                    ("topic", "b.x", true),
                    ("topic", "b.x.y", false),
                    ("topic", "unbound.x", false),
                    ("to topic", "a", true),
                    ("headers", "a", false),
                ] {
                    let arrived = publish(&channel, exchange, key, key, persistent()).await;
                    assert_eq!(arrived, bound, "{exchange}, {key}");
                }
                let headers = persistent().with_headers(table([("is", text("so"))]));
                assert!(publish(&channel, "headers", "", "by header", headers).await);
                assert_eq!(bodies(broker, "q").await, ["a.x.y", "b.x", "a", "by header"]);
            },
        )
        .await;
    }
}

#[tokio::test]
async fn rst_08_bindings_with_a_transient_end_are_gone() {
    // Declared before the restart and, so that only the bindings can be missing, after it again.
    async fn ends(broker: &Broker) -> Channel {
        let channel = broker.channel().await;
        durable(&channel, "durable").await;
        declare(&channel, "transient", QueueDeclareOptions::default(), FieldTable::default()).await;
        exchange(&channel, "x.durable", ExchangeKind::Direct, durable_exchange()).await;
        exchange(&channel, "x.transient", ExchangeKind::Direct, Default::default()).await;
        channel
    }
    let pairs = [("x.durable", "transient"), ("x.transient", "durable"), ("x.transient", "transient")];
    for ending in BOTH {
        across(
            ending,
            async |broker| {
                let channel = ends(broker).await;
                for (exchange, queue) in pairs {
                    bind(&channel, exchange, queue, queue, FieldTable::default()).await;
                }
            },
            async |broker| {
                let channel = ends(broker).await;
                for (exchange, queue) in pairs {
                    assert!(!publish(&channel, exchange, queue, "to nowhere", persistent()).await);
                }
            },
        )
        .await;
    }
}

#[tokio::test]
async fn rst_09_persistent_messages_survive_octet_for_octet() {
    let properties = || {
        let nested = table([("deep", AMQPValue::Boolean(true))]);
        persistent()
            .with_content_type("text/plain".into())
            .with_content_encoding("utf-8".into())
            .with_headers(table([
                ("nested", AMQPValue::FieldTable(nested)),
                ("n", AMQPValue::LongLongInt(-1)),
            ]))
            .with_priority(3)
            .with_correlation_id("correlation".into())
            .with_reply_to("reply".into())
            .with_message_id("message".into())
            .with_timestamp(1_700_000_000)
            .with_type("type".into())
            .with_user_id("guest".into())
            .with_app_id("app".into())
            .with_cluster_id("cluster".into())
    };
    let sizes = [0, 1, 4095, 4096, 4097, 131_064, 131_065, 3_000_000];
    let content = |size: usize| "leveret".chars().cycle().take(size).collect::<String>();
    for ending in BOTH {
        across(
            ending,
            async |broker| {
                let channel = broker.channel().await;
                durable(&channel, "q").await;
                exchange(&channel, "x", ExchangeKind::Fanout, durable_exchange()).await;
                bind(&channel, "x", "q", "", FieldTable::default()).await;
                for size in sizes {
                    assert!(publish(&channel, "x", "a key", &content(size), properties()).await);
                }
            },
            async |broker| {
                let channel = broker.channel().await;
                for size in sizes {
                    let message = take(&channel, "q").await.expect("it survives").delivery;
                    assert!(message.data == content(size).as_bytes(), "body of {size} octets");
                    assert_eq!(message.properties, properties());
                    assert_eq!((message.exchange.as_str(), message.routing_key.as_str()), ("x", "a key"));
                }
                assert!(take(&channel, "q").await.is_none());
            },
        )
        .await;
    }
}

#[tokio::test]
async fn rst_10_transient_messages_are_gone() {
    for ending in BOTH {
        across(
            ending,
            async |broker| {
                let channel = broker.channel().await;
                durable(&channel, "q").await;
                let mode_1 = BasicProperties::default().with_delivery_mode(1);
                assert!(publish(&channel, "", "q", "mode 1", mode_1).await);
                fill(&channel, "q", &["mode 2"]).await;
                assert!(publish(&channel, "", "q", "no mode", BasicProperties::default()).await);
            },
            async |broker| assert_eq!(bodies(broker, "q").await, ["mode 2"]),
        )
        .await;
    }
}

#[tokio::test]
async fn rst_12_acknowledged_messages_are_gone() {
    for ending in BOTH {
        across(
            ending,
            async |broker| {
                let channel = broker.channel().await;
                durable(&channel, "q").await;
                fill(&channel, "q", &["1", "2", "3"]).await;
                // Only a transaction promises anything about an acknowledgement.
                let tx = broker.channel().await;
                within("tx.select-ok", tx.tx_select()).await.unwrap();
                let tag = take(&tx, "q").await.unwrap().delivery.delivery_tag;
                within("an ack", tx.basic_ack(tag, BasicAckOptions::default())).await.unwrap();
                within("tx.commit-ok", tx.tx_commit()).await.unwrap();
                let tag = take(&tx, "q").await.unwrap().delivery.delivery_tag;
                within("an ack", tx.basic_ack(tag, BasicAckOptions::default())).await.unwrap();
                (channel, tx)
            },
            async |broker| assert_eq!(bodies(broker, "q").await, ["2", "3"]),
        )
        .await;
    }
}

#[tokio::test]
async fn rst_12_acknowledgements_without_a_transaction_survive_an_orderly_end() {
    let prepare = async |broker: &Broker| {
        let channel = broker.channel().await;
        durable(&channel, "q").await;
        fill(&channel, "q", &["1", "2", "3"]).await;
        for _ in 0..2 {
            let tag = take(&channel, "q").await.unwrap().delivery.delivery_tag;
            within("an ack", channel.basic_ack(tag, BasicAckOptions::default())).await.unwrap();
        }
        // The acknowledgements have been read when this is answered.
        durable(&channel, "q").await;
    };
    let check = async |broker: &Broker| assert_eq!(bodies(broker, "q").await, ["3"]);
    across(Ending::Clean, prepare, check).await;
}

#[tokio::test]
async fn rst_13_14_unacknowledged_messages_are_back_in_their_places() {
    for ending in BOTH {
        across(
            ending,
            async |broker| {
                let channel = broker.channel().await;
                durable(&channel, "q").await;
                fill(&channel, "q", &["1", "2", "3", "4", "5"]).await;
                for _ in 0..3 {
                    take(&channel, "q").await.unwrap();
                }
                fill(&channel, "q", &["6"]).await;
                channel
            },
            async |broker| assert_eq!(bodies(broker, "q").await, ["1", "2", "3", "4", "5", "6"]),
        )
        .await;
    }
}

#[tokio::test]
async fn rst_14_priority_queues_keep_their_order() {
    for ending in BOTH {
        across(
            ending,
            async |broker| {
                let channel = broker.channel().await;
                let arguments = table([("x-max-priority", AMQPValue::LongInt(5))]);
                declare(&channel, "q", durable_queue(), arguments).await;
                for (body, priority) in [("low 1", 1), ("high 1", 5), ("low 2", 1), ("high 2", 5)] {
                    assert!(publish(&channel, "", "q", body, persistent().with_priority(priority)).await);
                }
            },
            async |broker| assert_eq!(bodies(broker, "q").await, ["high 1", "high 2", "low 1", "low 2"]),
        )
        .await;
    }
}

/// Two messages, of which one has been delivered before the end; their flags after it.
async fn flags_after(ending: Ending) -> [bool; 2] {
    let place = Place::new();
    let broker = place.start();
    let channel = broker.channel().await;
    durable(&channel, "q").await;
    fill(&channel, "q", &["delivered", "not delivered"]).await;
    take(&channel, "q").await.unwrap();
    broker.end(ending).await;
    let found = drain(&place.start().channel().await, "q").await;
    assert_eq!(found.len(), 2, "{found:?}");
    [found[0].1, found[1].1]
}

#[tokio::test]
async fn rst_15_redelivered_is_set_for_all_after_a_kill_and_for_the_delivered_after_an_orderly_end() {
    assert_eq!(flags_after(Ending::Clean).await, [true, false]);
    assert_eq!(flags_after(Ending::Kill).await, [true, true]);
}

#[tokio::test]
async fn rst_17_time_to_live_runs_on_while_the_broker_is_away() {
    let downtime = async |ending| {
        let prepare = async |broker: &Broker| {
            let channel = broker.channel().await;
            durable(&channel, "dead").await;
            let to_dead =
                || [("x-dead-letter-exchange", text("")), ("x-dead-letter-routing-key", text("dead"))];
            declare(&channel, "by message", durable_queue(), table(to_dead())).await;
            let [exchange, key] = to_dead();
            let ttl = ("x-message-ttl", AMQPValue::LongInt(2000));
            declare(&channel, "by queue", durable_queue(), table([exchange, key, ttl])).await;
            fill(&channel, "by queue", &["1"]).await;
            for (body, expiration) in [("2", "2000"), ("long", "3600000")] {
                let properties = persistent().with_expiration(expiration.into());
                assert!(publish(&channel, "", "by message", body, properties).await);
            }
        };
        across_downtime(ending, AWAY, prepare, async |broker| {
            assert_eq!(bodies(broker, "by queue").await, [""; 0]);
            assert_eq!(bodies(broker, "by message").await, ["long"]);
            let mut dead = bodies(broker, "dead").await;
            dead.sort();
            assert_eq!(dead, ["1", "2"]);
        })
        .await;
    };
    tokio::join!(downtime(Ending::Clean), downtime(Ending::Kill));
}

#[tokio::test]
async fn rst_18_expiring_queues_survive_and_begin_to_wait_anew() {
    let downtime = async |ending| {
        let prepare = async |broker: &Broker| {
            let channel = broker.channel().await;
            let arguments = table([("x-expires", AMQPValue::LongInt(2500))]);
            declare(&channel, "q", durable_queue(), arguments).await;
            fill(&channel, "q", &["kept"]).await;
        };
        let check = async |broker: &Broker| assert_eq!(bodies(broker, "q").await, ["kept"]);
        across_downtime(ending, AWAY, prepare, check).await;
    };
    tokio::join!(downtime(Ending::Clean), downtime(Ending::Kill));
}

#[tokio::test]
async fn rst_21_clients_are_told_of_an_orderly_end_only() {
    for ending in BOTH {
        let place = Place::new();
        let broker = place.start();
        let channel = broker.channel().await;
        durable(&channel, "q").await;
        let mut consumer = consume(&channel, "q").await;
        broker.end(ending).await;
        let error = within("the end", consumer.next()).await.expect("an error").unwrap_err();
        match error.kind() {
            ErrorKind::ProtocolError(error) => assert_eq!((error.get_id(), ending), (320, Ending::Clean)),
            other => assert_eq!(ending, Ending::Kill, "{other:?}"),
        }
    }
}
