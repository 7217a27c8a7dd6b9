//! What happens on the node, told to whoever has bound a queue to the event exchange.
//!
//! | file | job |
//! |---|---|
//! | [`headers`] | the headers of an event, in the form RabbitMQ's plugin gives them |
//! | [`acting`] | who does what this thread does at the moment |
//! | [`topology`] | queues, exchanges and bindings that come and go |
//! | [`clients`] | connections, channels, consumers, logins |
//! | [`settings`] | users, vhosts, rights, policies, limits, alarms |
//!
//! Events are told under whatever lock their object is changed under, so that they are in order; one task publishes
//! them later, with no lock held. While nothing is bound, telling one costs the look at one flag.

mod acting;
mod clients;
mod headers;
mod settings;
mod topology;

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::Waker,
};

use parking_lot::Mutex;

pub use acting::{Acting, acting, acting_for_nobody, with_actor};
pub use clients::LoginEvent;
pub use headers::Headers;

use super::{Node, Vhost};
use crate::{
    amqp::{FieldTable, basic::AMQPProperties, properties},
    broker::{Message, Millis, Parts, memory::Account},
};

/// Where events are published.
pub const EVENT_EXCHANGE: &str = "amq.rabbitmq.event";
/// Events that may wait to be published; what happens beyond that is told to nobody.
const WAITING_MAX: usize = 20_000;
/// Events that are published in one go.
const PORTION: usize = 256;

/// Something that happened.
#[derive(Debug)]
pub struct NodeEvent {
    /// Its routing key.
    pub key: &'static str,
    pub headers: FieldTable,
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<NodeEvent>,
    /// Those for which there was no room.
    lost: u64,
    waker: Option<Waker>,
}

/// The events of a node that are still to be published.
#[derive(Debug)]
pub struct Events {
    /// Whether anything is bound to the exchange.
    watched: AtomicBool,
    waiting: Mutex<Waiting>,
    /// The node's name, as events have it.
    node: Box<str>,
    /// The vhost with the exchange.
    home: Box<str>,
}

impl Events {
    pub fn new(node: &str, home: &str) -> Events {
        Events {
            watched: AtomicBool::new(false),
            waiting: Mutex::default(),
            node: node.into(),
            home: home.into(),
        }
    }

    /// The node's name.
    pub fn node_name(&self) -> &str {
        &self.node
    }

    /// The vhost with the exchange.
    pub fn home(&self) -> &str {
        &self.home
    }

    /// Whether anybody would see an event.
    #[inline]
    pub fn is_watched(&self) -> bool {
        self.watched.load(Relaxed)
    }

    pub(super) fn set_watched(&self, watched: bool) {
        self.watched.store(watched, Relaxed);
    }

    /// Tells an event, if anybody wants to know.
    #[inline]
    pub fn tell(&self, key: &'static str, headers: impl FnOnce(Headers) -> Headers) {
        if self.is_watched() {
            self.add(key, headers(Headers::default()));
        }
    }

    #[cold]
    fn add(&self, key: &'static str, headers: Headers) {
        let waker = {
            let mut waiting = self.waiting.lock();
            if WAITING_MAX <= waiting.events.len() {
                waiting.lost += 1;
                return;
            }
            waiting.events.push_back(NodeEvent { key, headers: headers.into() });
            waiting.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Some events in the order in which they were told; if there are none, `waker` is woken when there are.
    fn take(&self, waker: &Waker) -> Vec<NodeEvent> {
        let mut waiting = self.waiting.lock();
        let lost = std::mem::take(&mut waiting.lost);
        if lost != 0 {
            tracing::warn!("{lost} events were not published: too many waited");
        }
        let count = waiting.events.len().min(PORTION);
        if count == 0 {
            waiting.waker = Some(waker.clone());
        }
        waiting.events.drain(..count).collect()
    }
}

impl Node {
    /// Publishes some of the events that wait; false when there were none, and `waker` is woken when there are.
    pub fn publish_events(&self, now: Millis, waker: &Waker) -> bool {
        let events = self.events.take(waker);
        let Some(home) = self.vhost(self.events.home()).filter(|_| !events.is_empty()) else {
            return !events.is_empty();
        };
        let mut scratch = Vec::new();
        for event in events {
            let message = message(event, now, self.alarms.account(), &mut scratch);
            self.publish_for_itself(&home, &message, now);
        }
        true
    }
}

/// An event as RabbitMQ's plugin publishes it: no body, everything in the headers.
fn message(event: NodeEvent, now: Millis, account: Account, scratch: &mut Vec<u8>) -> Message {
    let headers = Headers::of(event.headers).number("timestamp_in_ms", now);
    let properties = AMQPProperties::default()
        .with_delivery_mode(2)
        .with_headers(headers.into())
        .with_timestamp(now / 1000);
    let octets = properties::encode(&properties);
    let parts = Parts {
        exchange: EVENT_EXCHANGE.as_bytes(),
        routing_key: event.key.as_bytes(),
        properties: &octets,
        persistent: true,
        priority: 0,
        expiration: None,
        account,
    };
    Message::new(&parts, &[], scratch)
}

impl Vhost {
    /// Notes whether anything listens to the exchanges that the broker itself publishes to. Whoever calls holds the
    /// lock of the topology.
    pub(super) fn note_listeners(&self, topology: &crate::broker::topology::Topology<super::QueueRef>) {
        if *self.name == *self.events.home() {
            self.events.set_watched(topology.is_source(EVENT_EXCHANGE));
        }
    }

    /// Adds the event exchange, if this is the vhost for it.
    pub(super) fn add_event_exchange(&self) {
        if *self.name == *self.events.home() {
            let mut topology = self.topology.write();
            topology.add_internal_topic(EVENT_EXCHANGE);
            self.count(&topology);
        }
    }
}

impl Default for Events {
    fn default() -> Events {
        Events::new("", "/")
    }
}

/// Shared by what tells events.
pub type SharedEvents = Arc<Events>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_kept_while_nobody_watches() {
        let events = Events::default();
        events.tell("queue.created", |_| unreachable!("nobody asked"));
        assert!(events.take(Waker::noop()).is_empty());
    }

    #[test]
    fn events_come_in_order_and_too_many_are_counted() {
        let events = Events::default();
        events.set_watched(true);
        for number in 0..WAITING_MAX as u64 + 3 {
            events.tell("queue.created", |headers| headers.number("n", number));
        }
        assert_eq!(events.waiting.lock().lost, 3);
        let first = events.take(Waker::noop());
        assert_eq!((first.len(), events.waiting.lock().lost), (PORTION, 0));
        let numbers: Vec<_> = first.iter().map(|event| format!("{:?}", event.headers)).collect();
        assert!(numbers[0].contains("LongLongInt(0)") && numbers[255].contains("LongLongInt(255)"));
    }
}
