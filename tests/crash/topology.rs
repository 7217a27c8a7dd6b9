//! The durable exchanges and queues that the load works on, and the ways through them.

use lapin::{Channel, ExchangeKind, options::*, types::FieldTable};

use crate::{
    model::{Model, Presence},
    patience::within,
};

/// Rejected messages of [`REJECTING`] go here.
pub const DEAD: &str = "dead";
pub const REJECTING: &str = "direct.1";
/// Where transactions take messages from.
pub const TRANSACTED: &str = "tx";
/// Backlogs of several MiB are in these: one with consumers that also reject, one with priorities, and one
/// whose messages expire.
pub const LONG: &str = "long";
pub const PRIORITIES: &str = "priorities";
pub const TTL: &str = "ttl";
/// Nobody consumes from this one.
pub const UNTOUCHED: &str = "fan.2";
pub const QUEUES: &[&str] = &[
    "direct.0", REJECTING, "fan.0", "fan.1", UNTOUCHED, "topic.0", "topic.1", TRANSACTED, LONG, PRIORITIES,
    TTL,
];
const TTL_MILLIS: i32 = 300;
const PRIORITY_MAX: i32 = 10;
/// The exchange of queues and bindings that come and go.
pub const CHURN: &str = "churn";
const EXCHANGES: &[(&str, ExchangeKind)] =
    &[("fan", ExchangeKind::Fanout), ("topic", ExchangeKind::Topic), (CHURN, ExchangeKind::Direct)];
const BINDINGS: &[(&str, &str, &str)] = &[
    ("fan", "fan.0", ""),
    ("fan", "fan.1", ""),
    ("fan", "fan.2", ""),
    ("topic", "topic.0", "a.#"),
    ("topic", "topic.1", "*.b"),
];

/// An exchange, a routing key, and the queues these lead to.
#[derive(Clone, Copy)]
pub struct Route {
    pub exchange: &'static str,
    pub key: &'static str,
    pub queues: &'static [&'static str],
}

const fn route(exchange: &'static str, key: &'static str, queues: &'static [&'static str]) -> Route {
    Route { exchange, key, queues }
}

pub const ROUTES: &[Route] = &[
    route("", "direct.0", &["direct.0"]),
    route("", REJECTING, &[REJECTING]),
    route("", TRANSACTED, &[TRANSACTED]),
    route("fan", "", &["fan.0", "fan.1", "fan.2"]),
    route("topic", "a.b", &["topic.0", "topic.1"]),
    route("topic", "a.c", &["topic.0"]),
    route("topic", "c.b", &["topic.1"]),
];

pub fn durable_queue() -> QueueDeclareOptions {
    QueueDeclareOptions { durable: true, ..Default::default() }
}

pub fn durable_exchange() -> ExchangeDeclareOptions {
    ExchangeDeclareOptions { durable: true, ..Default::default() }
}

/// Declares everything, once for a data directory.
pub async fn declare(channel: &Channel, model: &mut Model) {
    for (name, kind) in EXCHANGES {
        let declare =
            channel.exchange_declare((*name).into(), kind.clone(), durable_exchange(), FieldTable::default());
        within("exchange.declare-ok", declare).await.unwrap();
        model.exchanges.insert((*name).to_owned(), Presence::There);
    }
    for name in QUEUES.iter().chain([&DEAD]) {
        let mut arguments = FieldTable::default();
        if *name == PRIORITIES {
            arguments.insert("x-max-priority".into(), lapin::types::AMQPValue::LongInt(PRIORITY_MAX));
        }
        if *name == TTL {
            arguments.insert("x-message-ttl".into(), lapin::types::AMQPValue::LongInt(TTL_MILLIS));
        }
        if [REJECTING, LONG, TTL].contains(name) {
            arguments.insert("x-dead-letter-exchange".into(), text(""));
            arguments.insert("x-dead-letter-routing-key".into(), text(DEAD));
        }
        let declare = channel.queue_declare((*name).into(), durable_queue(), arguments);
        within("queue.declare-ok", declare).await.unwrap();
        // Dead letters have a reckoning of their own.
        if *name != DEAD {
            model.queues.insert((*name).to_owned(), Presence::There);
        }
    }
    for (exchange, queue, key) in BINDINGS {
        let (queue, exchange, key) = ((*queue).into(), (*exchange).into(), (*key).into());
        let bind =
            channel.queue_bind(queue, exchange, key, QueueBindOptions::default(), FieldTable::default());
        within("queue.bind-ok", bind).await.unwrap();
    }
}

fn text(value: &str) -> lapin::types::AMQPValue {
    lapin::types::AMQPValue::LongString(value.into())
}
