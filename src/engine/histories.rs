//! What recent-history exchanges remember, and how it reaches what is bound to them later (EXC-87).
//!
//! Kept in memory only, as RabbitMQ does: after a restart a history begins anew.

use std::{collections::VecDeque, sync::Arc};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use parking_lot::Mutex;

use super::{Node, QueueRef, dead_letters};
use crate::{
    amqp::table::FieldRef,
    broker::{Message, Millis, death::extras},
};

/// Messages that one exchange remembers at most, whatever its x-recent-history-length says.
const HISTORY_MAX: u64 = 10_000;

/// The header by which a message asks not to be remembered.
const NO_STORE: &[u8] = b"x-recent-history-no-store";

/// Remembered messages by exchange, oldest first. Its lock is held for moments, under that of the topology.
#[derive(Debug, Default)]
pub struct Histories {
    by_exchange: Mutex<HashMap<Arc<str>, VecDeque<Message>, RandomState>>,
}

impl Histories {
    /// Remembers a message, unless it does not want that, and forgets the oldest beyond `length`.
    pub fn add(&self, exchange: &Arc<str>, length: u64, message: &Message) {
        let header = extras(message).headers.and_then(|headers| headers.find(NO_STORE));
        if header == Some(FieldRef::Bool(true)) {
            return;
        }
        let mut histories = self.by_exchange.lock();
        let history = histories.entry(exchange.clone()).or_default();
        history.push_back(message.clone());
        while length.min(HISTORY_MAX) < history.len() as u64 {
            history.pop_front();
        }
    }

    /// What an exchange remembers.
    pub fn of(&self, exchange: &str) -> Vec<Message> {
        let histories = self.by_exchange.lock();
        histories.get(exchange).into_iter().flatten().cloned().collect()
    }

    /// Forgets what deleted exchanges remembered.
    pub fn forget<'a>(&self, exchanges: impl Iterator<Item = &'a str>) {
        let mut histories = self.by_exchange.lock();
        exchanges.for_each(|exchange| drop(histories.remove(exchange)));
    }
}

/// Remembered messages on their way to what was just bound; to be given to [`Node::replay`].
#[must_use]
#[derive(Debug)]
pub struct Replay(Option<(Bound, Vec<Message>)>);

/// What was bound.
#[derive(Debug)]
enum Bound {
    Queue(QueueRef),
    Exchange { vhost: Arc<str>, name: String },
}

impl Replay {
    /// Nothing to be replayed.
    pub fn none() -> Replay {
        Replay(None)
    }

    /// To a queue.
    pub fn to_queue(queue: QueueRef, messages: Vec<Message>) -> Replay {
        Replay(Some((Bound::Queue(queue), messages)))
    }

    /// To an exchange of a vhost.
    pub fn to_exchange(vhost: Arc<str>, name: &str, messages: Vec<Message>) -> Replay {
        Replay(Some((Bound::Exchange { vhost, name: name.to_owned() }, messages)))
    }
}

impl Node {
    /// Gives queues what they are to get for having been bound, they or an exchange before them. No lock may be
    /// held.
    ///
    /// A message published meanwhile may come to stand before these, but none is lost or comes twice: what is
    /// replayed was fixed together with the binding.
    pub fn replay(&self, replay: Replay, now: Millis) {
        let Some((bound, messages)) = replay.0 else { return };
        let (mut arrivals, mut ops) = (Vec::new(), Vec::new());
        match bound {
            Bound::Queue(queue) => arrivals.push((queue, messages)),
            Bound::Exchange { vhost, name } => {
                let Some(vhost) = self.vhost(&vhost) else { return };
                for message in messages {
                    let routed = vhost.route_message(&name, &message, now);
                    for queue in self.accept(routed, &message, &mut ops) {
                        dead_letters::add(&mut arrivals, queue, message.clone());
                    }
                }
            }
        }
        for (queue, messages) in arrivals {
            let (dead, _refused) = dead_letters::arrive(self, &queue, messages, now, &mut ops);
            if !dead.is_empty() {
                dead_letters::bury(self, &queue, dead, now, &mut ops);
            }
        }
        self.journal.append(&mut ops, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::{Parts, memory::Account};

    #[test]
    fn a_history_has_an_end_whatever_was_asked_for() {
        let parts = Parts {
            exchange: b"x",
            routing_key: b"",
            properties: &[0, 0],
            persistent: false,
            priority: 0,
            expiration: None,
            account: Account::UNCOUNTED,
        };
        let (histories, exchange) = (Histories::default(), Arc::from("x"));
        let message = Message::new(&parts, b"", &mut Vec::new());
        for _ in 0..HISTORY_MAX + 5 {
            histories.add(&exchange, u64::MAX, &message);
        }
        let held = histories.by_exchange.lock().get(&exchange).map(VecDeque::len);
        assert_eq!(held, Some(HISTORY_MAX as usize));
    }
}
