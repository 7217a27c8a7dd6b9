//! The octets that clients of a simulation send, and the bodies of their messages.

use super::random::mix;
use crate::amqp::{
    AMQPClass, AMQPValue, ChannelId, FieldTable, basic, channel, confirm, connection, encode, exchange,
    method, queue, tx,
};

/// What a client of the simulation agrees to.
pub const FRAME_MAX: u32 = 8192;

/// A message, as its number determines it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Letter {
    pub id: u64,
    pub length: usize,
    pub persistent: bool,
    pub priority: u8,
}

impl Letter {
    pub fn new(id: u64) -> Letter {
        let chance = mix(id ^ 0x1E77E7);
        let length = match chance % 64 {
            0..=39 => (chance >> 8) % 300,
            40..=61 => (chance >> 8) % 5_000,
            62 => (chance >> 8) % 40_000,
            _ => (chance >> 8) % 300_000,
        };
        Letter {
            id,
            length: length as usize,
            persistent: !(chance >> 40).is_multiple_of(5),
            priority: ((chance >> 48) % 5) as u8,
        }
    }

    /// How long it waits in an exchange that delays, in milliseconds.
    fn delay(&self) -> i32 {
        let chance = mix(self.id ^ 0xDE1A7);
        if chance.is_multiple_of(8) { 0 } else { (chance >> 8) as i32 & 0x1FF }
    }

    /// The number, and then octets that follow from it.
    pub fn body(&self) -> Vec<u8> {
        let mut body = self.id.to_be_bytes().to_vec();
        let mut chance = self.id;
        while body.len() < 8 + self.length {
            chance = mix(chance);
            body.extend_from_slice(&chance.to_be_bytes());
        }
        body.truncate(8 + self.length);
        body
    }

    /// Tells which message a body is; panics when it is none.
    pub fn read(body: &[u8]) -> Letter {
        let number = body.first_chunk::<8>().expect("a body begins with its message's number");
        let letter = Letter::new(u64::from_be_bytes(*number));
        assert!(letter.body() == body, "the body of message {} is damaged", letter.id);
        letter
    }
}

fn plain(channel: ChannelId, class: AMQPClass) -> Vec<u8> {
    let mut octets = Vec::new();
    method::encode(&mut octets, channel, class);
    octets
}

/// Everything up to connection.open; the answers need not be waited for.
pub fn handshake() -> Vec<u8> {
    let mut octets = b"AMQP\x00\x00\x09\x01".to_vec();
    for method in [
        connection::AMQPMethod::StartOk(connection::StartOk {
            client_properties: FieldTable::default(),
            mechanism: "PLAIN".into(),
            response: b"\0guest\0guest".to_vec().into(),
            locale: "en_US".into(),
        }),
        connection::AMQPMethod::TuneOk(connection::TuneOk {
            channel_max: 100,
            frame_max: FRAME_MAX,
            heartbeat: 0,
        }),
        connection::AMQPMethod::Open(connection::Open { virtual_host: "/".into() }),
    ] {
        octets.extend(plain(0, AMQPClass::Connection(method)));
    }
    octets
}

pub fn open(id: ChannelId) -> Vec<u8> {
    plain(id, AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {})))
}

pub fn close(id: ChannelId) -> Vec<u8> {
    let close = channel::Close { reply_code: 200, reply_text: "bye".into(), class_id: 0, method_id: 0 };
    plain(id, AMQPClass::Channel(channel::AMQPMethod::Close(close)))
}

pub fn close_ok(id: ChannelId) -> Vec<u8> {
    plain(id, AMQPClass::Channel(channel::AMQPMethod::CloseOk(channel::CloseOk {})))
}

pub fn confirm_select(id: ChannelId) -> Vec<u8> {
    plain(id, AMQPClass::Confirm(confirm::AMQPMethod::Select(confirm::Select { nowait: false })))
}

pub fn tx_select(id: ChannelId) -> Vec<u8> {
    plain(id, AMQPClass::Tx(tx::AMQPMethod::Select(tx::Select {})))
}

pub fn tx_commit(id: ChannelId) -> Vec<u8> {
    plain(id, AMQPClass::Tx(tx::AMQPMethod::Commit(tx::Commit {})))
}

pub fn tx_rollback(id: ChannelId) -> Vec<u8> {
    plain(id, AMQPClass::Tx(tx::AMQPMethod::Rollback(tx::Rollback {})))
}

pub fn publish(id: ChannelId, exchange: &str, routing_key: &str, letter: &Letter) -> Vec<u8> {
    let publish = basic::Publish {
        exchange: exchange.into(),
        routing_key: routing_key.into(),
        mandatory: false,
        immediate: false,
    };
    let mut octets = plain(id, AMQPClass::Basic(basic::AMQPMethod::Publish(publish)));
    // Headers, delivery mode and priority.
    let mut properties = vec![0x38, 0, 0, 0, 0, 13, 7];
    properties.extend(b"x-delay");
    properties.push(b'I');
    properties.extend(letter.delay().to_be_bytes());
    properties.extend([if letter.persistent { 2 } else { 1 }, letter.priority]);
    let body = letter.body();
    encode::content_header(&mut octets, id, body.len() as u64, &properties);
    for part in body.chunks(FRAME_MAX as usize - 8) {
        encode::body(&mut octets, id, part);
    }
    octets
}

fn on_basic(id: ChannelId, method: basic::AMQPMethod) -> Vec<u8> {
    plain(id, AMQPClass::Basic(method))
}

pub fn ack(id: ChannelId, delivery_tag: u64, multiple: bool) -> Vec<u8> {
    on_basic(id, basic::AMQPMethod::Ack(basic::Ack { delivery_tag, multiple }))
}

pub fn nack(id: ChannelId, delivery_tag: u64, multiple: bool, requeue: bool) -> Vec<u8> {
    on_basic(id, basic::AMQPMethod::Nack(basic::Nack { delivery_tag, multiple, requeue }))
}

pub fn reject(id: ChannelId, delivery_tag: u64, requeue: bool) -> Vec<u8> {
    on_basic(id, basic::AMQPMethod::Reject(basic::Reject { delivery_tag, requeue }))
}

pub fn qos(id: ChannelId, prefetch_count: u16) -> Vec<u8> {
    on_basic(id, basic::AMQPMethod::Qos(basic::Qos { prefetch_count, global: false }))
}

pub fn consume(id: ChannelId, queue: &str, tag: &str, no_ack: bool) -> Vec<u8> {
    let consume = basic::Consume {
        queue: queue.into(),
        consumer_tag: tag.into(),
        no_local: false,
        no_ack,
        exclusive: false,
        nowait: false,
        arguments: FieldTable::default(),
    };
    on_basic(id, basic::AMQPMethod::Consume(consume))
}

pub fn cancel(id: ChannelId, tag: &str) -> Vec<u8> {
    on_basic(id, basic::AMQPMethod::Cancel(basic::Cancel { consumer_tag: tag.into(), nowait: false }))
}

pub fn get(id: ChannelId, queue: &str, no_ack: bool) -> Vec<u8> {
    on_basic(id, basic::AMQPMethod::Get(basic::Get { queue: queue.into(), no_ack }))
}

fn table(arguments: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in arguments {
        table.insert((*key).into(), value.clone());
    }
    table
}

fn on_queue(id: ChannelId, method: queue::AMQPMethod) -> Vec<u8> {
    plain(id, AMQPClass::Queue(method))
}

pub fn declare_queue(id: ChannelId, name: &str, durable: bool, arguments: &[(&str, AMQPValue)]) -> Vec<u8> {
    let declare = queue::Declare {
        queue: name.into(),
        passive: false,
        durable,
        exclusive: false,
        auto_delete: false,
        nowait: false,
        arguments: table(arguments),
    };
    on_queue(id, queue::AMQPMethod::Declare(declare))
}

pub fn delete_queue(id: ChannelId, name: &str) -> Vec<u8> {
    let delete = queue::Delete { queue: name.into(), if_unused: false, if_empty: false, nowait: false };
    on_queue(id, queue::AMQPMethod::Delete(delete))
}

pub fn purge(id: ChannelId, name: &str) -> Vec<u8> {
    on_queue(id, queue::AMQPMethod::Purge(queue::Purge { queue: name.into(), nowait: false }))
}

pub fn bind(id: ChannelId, exchange: &str, queue: &str, key: &str) -> Vec<u8> {
    let bind = queue::Bind {
        queue: queue.into(),
        exchange: exchange.into(),
        routing_key: key.into(),
        nowait: false,
        arguments: FieldTable::default(),
    };
    on_queue(id, queue::AMQPMethod::Bind(bind))
}

pub fn unbind(id: ChannelId, exchange: &str, queue: &str, key: &str) -> Vec<u8> {
    let unbind = queue::Unbind {
        queue: queue.into(),
        exchange: exchange.into(),
        routing_key: key.into(),
        arguments: FieldTable::default(),
    };
    on_queue(id, queue::AMQPMethod::Unbind(unbind))
}

pub fn declare_exchange(
    id: ChannelId,
    name: &str,
    kind: &str,
    durable: bool,
    arguments: &[(&str, AMQPValue)],
) -> Vec<u8> {
    let declare = exchange::Declare {
        exchange: name.into(),
        kind: kind.into(),
        passive: false,
        durable,
        auto_delete: false,
        internal: false,
        nowait: false,
        arguments: table(arguments),
    };
    plain(id, AMQPClass::Exchange(exchange::AMQPMethod::Declare(declare)))
}

pub fn delete_exchange(id: ChannelId, name: &str) -> Vec<u8> {
    let delete = exchange::Delete { exchange: name.into(), if_unused: false, nowait: false };
    plain(id, AMQPClass::Exchange(exchange::AMQPMethod::Delete(delete)))
}
