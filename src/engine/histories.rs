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
        while length < history.len() as u64 {
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
#[derive(Debug, Default)]
pub struct Replay {
    arrivals: Vec<(QueueRef, Vec<Message>)>,
}

impl Replay {
    /// Adds the next message for a queue.
    pub fn add(&mut self, queue: QueueRef, message: Message) {
        dead_letters::add(&mut self.arrivals, queue, message);
    }
}

impl Node {
    /// Gives queues what they are to get for having been bound. No lock may be held.
    ///
    /// A message published meanwhile may come to stand before these, but none is lost or comes twice: what is
    /// replayed was fixed together with the binding.
    pub fn replay(&self, replay: Replay, now: Millis) {
        let mut ops = Vec::new();
        for (queue, messages) in replay.arrivals {
            let (dead, _refused) = dead_letters::arrive(self, &queue, messages, now, &mut ops);
            if !dead.is_empty() {
                dead_letters::bury(self, &queue, dead, now, &mut ops);
            }
        }
        self.journal.append(&mut ops, false);
    }
}
