//! Tests of the queue as a pure state machine: named rules one by one, and everything at once against a
//! model that is too simple to be wrong in the same way.

mod agreement;
mod consumers;
mod disk;
mod expiry;
mod identities;
mod limits;
mod model;
mod notes;
mod order;
mod paging;
mod reconfigure;

use std::{cell::RefCell, rc::Rc};

use bytes::Bytes;

use super::*;
use crate::broker::Parts;

/// Octets that bodies are cut from, so that a large message costs no memory.
static BODY: [u8; 1 << 20] = [0; 1 << 20];

/// What a test says of a message; `id` comes back as its routing key.
#[derive(Debug, Clone, Copy, Default)]
struct Draft {
    id: u32,
    size: usize,
    priority: u8,
    ttl: Option<Millis>,
    persistent: bool,
}

fn message(draft: Draft) -> Message {
    let id = draft.id.to_string();
    let parts = Parts {
        exchange: b"",
        routing_key: id.as_bytes(),
        properties: &[0, 0],
        persistent: draft.persistent,
        priority: draft.priority,
        expiration: draft.ttl,
        account: crate::broker::memory::Account::UNCOUNTED,
    };
    Message::from_pieces(&parts, vec![Bytes::from_static(&BODY[..draft.size])], &mut Vec::new())
}

fn id_of(entry: &Entry) -> u32 {
    String::from_utf8_lossy(entry.message.routing_key()).parse().expect("a number")
}

fn ids<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<u32> {
    entries.into_iter().map(id_of).collect()
}

/// Keeps what a consumer gets.
#[derive(Debug, Clone, Default)]
struct Sink(Rc<RefCell<Vec<Entry>>>);

impl Outlet for Sink {
    fn deliver(&self, batch: &mut Vec<Entry>, _wakes: &mut Wakes) {
        self.0.borrow_mut().append(batch);
    }
}

impl Sink {
    fn take(&self) -> Vec<Entry> {
        std::mem::take(&mut self.0.borrow_mut())
    }

    fn ids(&self) -> Vec<u32> {
        ids(self.0.borrow().iter())
    }
}

/// A queue with a clock of its own and everything it gave up.
struct Bench {
    queue: Queue<Sink>,
    now: Millis,
    effects: Effects,
    next_id: u32,
}

impl Bench {
    fn new(settings: QueueSettings) -> Bench {
        let now = 1_000;
        Bench { queue: Queue::new(settings, now), now, effects: Effects::default(), next_id: 0 }
    }

    /// Publishes one message; says whether it was accepted.
    fn send(&mut self, draft: Draft) -> Accepted {
        let mut fate = Accepted::Yes;
        self.queue.publish([message(draft)], self.now, &mut self.effects, |_, accepted| fate = accepted);
        fate
    }

    /// Publishes so many messages with the next ids, in one batch.
    fn fill(&mut self, count: u32) {
        let first = self.next_id;
        self.next_id += count;
        let batch = (first..self.next_id).map(|id| message(Draft { id, size: 1, ..Draft::default() }));
        self.queue.publish(batch, self.now, &mut self.effects, |_, _| panic!("refused"));
    }

    fn consume(&mut self, settings: ConsumerSettings) -> Result<(ConsumerKey, Sink), ConsumeError> {
        let sink = Sink::default();
        let key = self.queue.consume(sink.clone(), settings, self.now, &mut self.effects)?;
        Ok((key, sink))
    }

    fn with_prefetch(&mut self, prefetch: u16) -> (ConsumerKey, Sink) {
        self.consume(prefetching(prefetch)).expect("nobody has it exclusively")
    }

    fn get(&mut self) -> Option<Entry> {
        match self.queue.get(true, self.now, &mut self.effects) {
            Got::Entry(entry, _) => Some(entry),
            Got::Empty => None,
            Got::Wait => panic!("the head is on disk"),
        }
    }

    fn requeue(&mut self, consumer: Option<ConsumerKey>, entries: impl IntoIterator<Item = Entry>) {
        self.queue.requeue(consumer, entries, self.now, &mut self.effects);
    }

    fn settle(&mut self, consumer: ConsumerKey, deliveries: u32) {
        self.queue.settle(Some(consumer), deliveries, self.now, &mut self.effects);
    }

    fn cancel(&mut self, consumer: ConsumerKey) -> bool {
        self.queue.cancel(consumer, self.now, &mut self.effects)
    }

    fn tick(&mut self) -> bool {
        self.queue.tick(self.now, &mut self.effects)
    }

    /// Takes everything that is ready, in order.
    fn drain(&mut self) -> Vec<u32> {
        std::iter::from_fn(|| self.get()).map(|entry| id_of(&entry)).collect()
    }

    fn take_dead(&mut self) -> Vec<(u32, Death)> {
        self.effects.dead.drain(..).map(|(entry, death)| (id_of(&entry), death)).collect()
    }
}

fn prefetching(prefetch: u16) -> ConsumerSettings {
    ConsumerSettings {
        acknowledges: Acknowledges::Each { prefetch },
        priority: 0,
        exclusive: false,
        shared: None,
    }
}

/// Settings of a queue that dead-letters.
fn mortal() -> QueueSettings {
    QueueSettings { dead_letters: true, ..QueueSettings::default() }
}
