//! Messages that operators move from a queue to elsewhere: the copies are durable before the originals go.

use super::{Node, QueueRef};
use crate::{
    broker::{Millis, queue::Entry},
    store::Op,
};

impl Node {
    /// Settles messages that were taken by [`crate::broker::queue::Queue::get`] to be acknowledged.
    pub fn settle_taken(&self, queue: &QueueRef, entries: &[Entry], now: Millis) {
        if entries.is_empty() {
            return;
        }
        let logged = entries.iter().filter(|entry| entry.logged);
        let sequences: Vec<u64> = logged.map(|entry| entry.sequence).collect();
        let bytes = entries.iter().map(|entry| entry.message.body_length()).sum();
        let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        let mut ops = Vec::new();
        if !sequences.is_empty() {
            ops.push(Op::Settled { queue: queue.number, sequences });
        }
        self.with_queue_logging(queue, now, &mut ops, |queue, effects| {
            queue.settle_bytes(bytes);
            queue.settle(None, count, now, effects);
        });
        self.journal.append(&mut ops, false);
    }
}
