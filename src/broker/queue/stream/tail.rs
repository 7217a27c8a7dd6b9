//! The end of a stream, in memory: what consumers that keep up read, and what is not in a file yet.

use std::collections::{VecDeque, vec_deque};

use crate::broker::{Message, queue::Entry};

/// What a message counts for in segments beside its octets.
const OVERHEAD: u64 = 40;

/// Octets of a message in a segment, about.
pub fn weight(message: &Message) -> u64 {
    let names = message.exchange().len() + message.routing_key().len() + message.properties().len();
    OVERHEAD + names as u64 + message.body_length()
}

/// Messages up to the end of the stream, in order; offsets that do not exist are missing.
#[derive(Debug, Default)]
pub struct Tail {
    entries: VecDeque<Entry>,
    bytes: u64,
}

impl Tail {
    pub fn push(&mut self, entry: Entry) {
        self.bytes += weight(&entry.message);
        self.entries.push_back(entry);
    }

    /// The first offset in memory.
    pub fn first(&self) -> Option<u64> {
        self.entries.front().map(|entry| entry.sequence)
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What is in memory from an offset to before another.
    pub fn range(&self, from: u64, end: u64) -> vec_deque::Iter<'_, Entry> {
        let index = |offset: u64| self.entries.partition_point(|entry| entry.sequence < offset);
        let (from, end) = (index(from), index(end));
        self.entries.range(from.min(end)..end)
    }

    /// Takes the first entry away if it is before an offset.
    pub fn pop_before(&mut self, offset: u64) -> Option<Entry> {
        if offset <= self.first()? {
            return None;
        }
        let entry = self.entries.pop_front()?;
        self.bytes -= weight(&entry.message);
        Some(entry)
    }

    /// Gives back memory that a burst needed.
    pub fn shrink(&mut self) {
        if 4096 < self.entries.capacity() && self.entries.len() < self.entries.capacity() / 4 {
            self.entries.shrink_to(self.entries.len() * 2);
        }
    }

    /// The first offset whose message is not older than `time`.
    pub fn at_time(&self, time: u64) -> Option<u64> {
        let at = self.entries.partition_point(|entry| entry.deadline < time);
        self.entries.get(at).map(|entry| entry.sequence)
    }

    /// Empties it.
    pub fn clear(&mut self) {
        *self = Tail::default();
    }
}
