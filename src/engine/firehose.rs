//! The firehose: copies of all that is published to and delivered from a vhost, for whoever has bound a queue to its
//! trace exchange, with what there is to know of each in the headers.
//!
//! It is off until an operator switches it on, and off again after a restart, as RabbitMQ's is. Publishing pays
//! nothing for it: while it is on, routes are not cached, and who has to route looks; deliveries look once for
//! many.

use super::{Node, Vhost};
use crate::{
    amqp::{
        AMQPValue, ChannelId, FieldTable, LongString,
        basic::AMQPProperties,
        properties::{self, Value},
        table::parse_field_table,
    },
    broker::{Message, Millis, Parts, death::extras},
};

/// Where copies are published.
pub const TRACE_EXCHANGE: &str = "amq.rabbitmq.trace";
/// Octets of a copied message's properties that are shown. Headers must fit into a frame with all else.
const PROPERTIES_MAX: usize = 96 << 10;
/// Queues that are named; a fan-out to more would not fit into a frame either.
const QUEUES_MAX: usize = 256;

/// Where a message was seen.
#[derive(Debug, Clone, Copy)]
pub struct Tap<'a> {
    /// RabbitMQ's name of the connection.
    pub connection: &'a str,
    pub channel: ChannelId,
    pub user: &'a str,
}

/// What happened to it.
#[derive(Debug)]
pub enum Seen<'a> {
    /// It was published, and goes to these queues.
    Published(&'a [super::QueueRef]),
    /// It was delivered from a queue.
    Delivered { queue: &'a str, redelivered: bool },
}

fn long_string(octets: &[u8]) -> AMQPValue {
    AMQPValue::LongString(LongString::from(octets.to_vec()))
}

fn array(values: impl Iterator<Item = AMQPValue>) -> AMQPValue {
    AMQPValue::FieldArray(values.collect::<Vec<_>>().into())
}

/// A number in the type that RabbitMQ gives it, as long as it fits.
fn number(number: u64) -> AMQPValue {
    match i32::try_from(number) {
        Ok(small) => AMQPValue::LongInt(small),
        Err(_) => AMQPValue::LongLongInt(i64::try_from(number).unwrap_or(i64::MAX)),
    }
}

/// The properties of a message as a table.
fn shown(octets: &[u8]) -> FieldTable {
    let mut table = FieldTable::default();
    if PROPERTIES_MAX < octets.len() {
        return table;
    }
    for (name, value) in properties::named(octets) {
        let value = match value {
            Value::Short(text) => long_string(text),
            Value::Octet(octet) => number(u64::from(octet)),
            Value::Time(time) => number(time),
            Value::Table(headers) => match parse_field_table(headers.as_bytes()) {
                Ok(headers) => AMQPValue::FieldTable(headers),
                // Names that are no text have no place in the copy.
                Err(_) => continue,
            },
        };
        table.insert(name.into(), value);
    }
    table
}

impl Node {
    /// The copy of a message that goes to the trace exchange; `None` for copies themselves.
    pub fn trace(&self, vhost: &Vhost, message: &Message, tap: Tap<'_>, seen: &Seen<'_>) -> Option<Message> {
        if message.exchange() == TRACE_EXCHANGE.as_bytes() {
            return None;
        }
        let extras = extras(message);
        let keys = std::iter::once(message.routing_key()).chain(extras.keys.iter().copied());
        let mut headers = FieldTable::default();
        let mut put = |name: &str, value: AMQPValue| {
            headers.insert(name.into(), value);
        };
        put("exchange_name", long_string(message.exchange()));
        put("routing_keys", array(keys.map(long_string)));
        put("properties", AMQPValue::FieldTable(shown(message.properties())));
        put("node", long_string(self.events.node_name().as_bytes()));
        put("vhost", long_string(vhost.name.as_bytes()));
        put("connection", long_string(tap.connection.as_bytes()));
        put("channel", AMQPValue::LongInt(i32::from(tap.channel)));
        put("user", long_string(tap.user.as_bytes()));
        let mut key = Vec::new();
        match seen {
            Seen::Published(queues) => {
                let names = queues.iter().take(QUEUES_MAX).map(|queue| long_string(queue.name.as_bytes()));
                put("routed_queues", array(names));
                key.extend_from_slice(b"publish.");
                key.extend_from_slice(message.exchange());
            }
            Seen::Delivered { queue, redelivered } => {
                put("redelivered", AMQPValue::LongInt(i32::from(*redelivered)));
                key.extend_from_slice(b"deliver.");
                key.extend_from_slice(queue.as_bytes());
            }
        }
        // A routing key is a short string, however long the name in it is.
        key.truncate(255);
        let octets = properties::encode(&AMQPProperties::default().with_headers(headers));
        let parts = Parts {
            exchange: TRACE_EXCHANGE.as_bytes(),
            routing_key: &key,
            properties: &octets,
            persistent: false,
            priority: 0,
            expiration: None,
            account: message.account(),
        };
        Some(message.copied_as(&parts, &mut Vec::new()))
    }

    /// Publishes the copies of messages that were delivered. No lock may be held.
    #[cold]
    pub fn publish_traces(&self, vhost: &Vhost, traces: Vec<Message>, now: Millis) {
        for trace in traces {
            self.publish_for_itself(vhost, &trace, now);
        }
    }
}

impl Vhost {
    /// Whether the firehose is on.
    #[inline]
    pub fn is_traced(&self) -> bool {
        self.rules.is_traced()
    }

    /// Switches the firehose. Routes that are cached do not look at it, so they are void.
    pub fn set_traced(&self, traced: bool) {
        if self.rules.set_traced(traced) != traced {
            self.routes_changed();
        }
    }
}
