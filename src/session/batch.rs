//! Publishes and settlements gathered until the next flush, then handed to queues and log in one go.

use std::task::Waker;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use smallvec::smallvec;

use super::{Core, Output, channel::Mode};
use crate::{
    amqp::ChannelId,
    broker::{
        Message, Millis,
        queue::{Accepted, Effects, Kept, Queue, Wakes},
    },
    engine::{ConsumerOutlet, DelayRef, Held, QueueRef},
    store::{Op, Place, Position},
};

/// Buckets looked through one by one before a map would be cheaper; larger batches are flushed instead.
const BUCKETS_MAX: usize = 32;
/// Messages gathered before their queues are told, so that consumers need not wait for a whole read.
const BATCH_MAX: usize = 1024;
/// How long a publisher waits for a queue's consumers, in milliseconds.
const PRESSURE_WAIT: u64 = 10;

/// Publishes gathered since the last flush, by queue.
#[derive(Debug, Default)]
pub struct Batch {
    buckets: Vec<Bucket>,
    /// The first so many buckets are in use.
    used: usize,
    messages: usize,
    /// Some message has several destinations.
    has_shared: bool,
    /// What is to wait in delayed exchanges; mostly nothing.
    delayed: Vec<Delayed>,
    /// What exchanges remember of these messages, to be logged in one go with them.
    pub notes: Vec<Op>,
    /// Reused memory for building messages.
    pub scratch: Vec<u8>,
    /// What a queue with a log gets, once more: for the log.
    copies: Vec<Message>,
    /// Reused memory for what a queue keeps.
    kept: Vec<Kept>,
}

/// What one queue gets.
#[derive(Debug)]
struct Bucket {
    queue: QueueRef,
    /// As it was when the bucket began: a policy may change it meanwhile.
    may_refuse: bool,
    messages: Vec<Message>,
    /// Who to tell when the queue refuses, message by message; empty unless the queue may refuse.
    confirms: Vec<Option<(ChannelId, u64)>>,
}

/// What one delayed exchange gets, with the time that each message waits for.
#[derive(Debug)]
struct Delayed {
    delay: DelayRef,
    messages: Vec<(Message, Millis)>,
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        self.used == 0 && self.delayed.is_empty() && self.notes.is_empty()
    }

    pub fn is_full(&self) -> bool {
        BATCH_MAX <= self.messages || BUCKETS_MAX <= self.used
    }

    /// Adds a message for each of these queues, which are all different.
    #[inline]
    pub fn add_all(&mut self, queues: &[QueueRef], message: Message, confirm: Option<(ChannelId, u64)>) {
        let Some((first, rest)) = queues.split_first() else { return };
        // Looking for the bucket of each of very many queues would be quadratic. A queue may have two
        // buckets: they are handed over in order, and the later one is found first.
        let is_wide = BUCKETS_MAX < queues.len();
        self.has_shared |= !rest.is_empty();
        for queue in rest {
            self.add(queue, message.clone(), confirm, is_wide);
        }
        self.add(first, message, confirm, is_wide);
    }

    /// Adds a message for each delayed exchange that it waits in.
    pub fn add_held(&mut self, held: Held, message: &Message) {
        for (delay, at) in held {
            self.messages += 1;
            self.has_shared = true;
            let entry = (message.clone(), at);
            match self.delayed.iter_mut().find(|known| known.delay == delay) {
                Some(known) => known.messages.push(entry),
                None => self.delayed.push(Delayed { delay, messages: vec![entry] }),
            }
        }
    }

    #[inline]
    fn add(&mut self, queue: &QueueRef, message: Message, confirm: Option<(ChannelId, u64)>, is_new: bool) {
        self.messages += 1;
        let used = self.buckets.get(..self.used).unwrap_or_default();
        // The one used last comes first to mind: most publishers stay with a queue.
        let found = if is_new { None } else { used.iter().rposition(|bucket| bucket.queue == *queue) };
        let at = found.unwrap_or_else(|| self.begin(queue));
        let Some(bucket) = self.buckets.get_mut(at) else { return };
        bucket.messages.push(message);
        if bucket.may_refuse {
            bucket.confirms.push(confirm);
        }
    }

    /// Begins a bucket; returns its index.
    fn begin(&mut self, queue: &QueueRef) -> usize {
        if let Some(bucket) = self.buckets.get_mut(self.used) {
            bucket.may_refuse = queue.may_refuse();
            bucket.queue = queue.clone();
        } else {
            let (messages, confirms) = (Vec::new(), Vec::new());
            let may_refuse = queue.may_refuse();
            self.buckets.push(Bucket { queue: queue.clone(), may_refuse, messages, confirms });
        }
        self.used += 1;
        self.used - 1
    }
}

impl Core {
    /// Hands every bucket to its queue and every settlement to its origin, tells the log, and confirms.
    ///
    /// A queue without a log has a message once it took it, so that the confirm follows at once; with one, the
    /// confirm waits until the message is durable.
    #[inline]
    pub(super) fn flush(&mut self, out: &mut Output) {
        if !self.batch.is_empty() {
            let refused = self.flush_batch();
            self.note_refused(&refused);
        }
        if !self.dirty.is_empty() {
            self.flush_dirty(out);
        } else if !self.ops.is_empty() {
            self.log(false);
        }
    }

    /// Hands the batch over; returns the publishes that a queue refused.
    pub(super) fn flush_batch(&mut self) -> Vec<(ChannelId, u64)> {
        let mut refused = Vec::new();
        let (node, now) = (&self.node, self.now);
        let logs = node.journal.is_on();
        self.ops.append(&mut self.batch.notes);
        let mut content = Contents::new(std::mem::take(&mut self.batch.has_shared));
        let mut wakes = Wakes::new();
        for bucket in self.batch.buckets.iter_mut().take(self.batch.used) {
            let Bucket { queue, may_refuse, messages, confirms } = bucket;
            let copies = &mut self.batch.copies;
            if logs && queue.is_durable() {
                copies.extend_from_slice(messages);
            }
            let kept = &mut self.batch.kept;
            let publish = |queue: &mut Queue<ConsumerOutlet>, effects: &mut Effects| {
                std::mem::swap(&mut effects.log.kept, kept);
                if *may_refuse {
                    queue.publish(messages.drain(..), now, effects, |index, accepted| {
                        if accepted == Accepted::Refused {
                            refused.extend(confirms.get(index).copied().flatten());
                        }
                    });
                } else {
                    queue.publish_unrefused(messages.drain(..), now, effects);
                }
                std::mem::swap(&mut effects.log.kept, kept);
                queue.is_pressed()
            };
            let pressed = node.with_queue_quietly(queue, now, &mut self.ops, &mut wakes, publish);
            content.add(&mut self.ops, queue.number, kept, copies);
            copies.clear();
            kept.clear();
            if pressed && self.pressed.is_none() {
                self.pressed = Some((queue.clone(), now + PRESSURE_WAIT));
            }
            messages.clear();
            confirms.clear();
        }
        wakes.into_iter().for_each(Waker::wake);
        for Delayed { delay, messages } in std::mem::take(&mut self.batch.delayed) {
            let copies: Vec<Message> = messages.iter().map(|(message, _)| message.clone()).collect();
            let kept = node.hold(&delay, messages);
            content.add(&mut self.ops, delay.number, &kept, &copies);
        }
        self.batch.used = 0;
        self.batch.messages = 0;
        refused
    }

    pub(super) fn note_refused(&mut self, refused: &[(ChannelId, u64)]) {
        for (id, number) in refused {
            if let Some(Mode::Confirm(confirms)) = self.channels.get_mut(id).map(|channel| &mut channel.mode)
            {
                confirms.refused.push(*number);
            }
        }
    }

    fn flush_dirty(&mut self, out: &mut Output) {
        let dirty = std::mem::take(&mut self.dirty);
        let mut confirms = false;
        for id in &dirty {
            self.flush_settlements(*id);
            if let Some(channel) = self.channels.get_mut(id) {
                channel.is_dirty = false;
                confirms |= matches!(channel.mode, Mode::Confirm(_));
            }
        }
        let position = self.log(confirms);
        if confirms {
            dirty.into_iter().for_each(|id| self.confirm(id, position, out));
        }
    }

    /// Appends to the log, as one, what the log must learn since the last time.
    pub(super) fn log(&mut self, urgent: bool) -> Position {
        self.node.journal.append(&mut self.ops, urgent)
    }

    /// Lets go of what an idle connection does not need.
    pub(super) fn release_batch(&mut self) {
        if self.batch.is_empty() {
            self.batch = Batch::default();
        }
        if self.ops.is_empty() {
            self.ops = Vec::new();
        }
    }
}

/// Joins the places of a message that went to several queues of a batch: the log holds it once.
struct Contents {
    /// By the message's address, the index of its op; only used when any message has several destinations.
    known: Option<HashMap<usize, usize, FixedState>>,
}

impl Contents {
    fn new(has_shared: bool) -> Contents {
        Contents { known: has_shared.then(HashMap::default) }
    }

    #[inline]
    fn add(&mut self, ops: &mut Vec<Op>, queue: u64, kept: &[Kept], published: &[Message]) {
        for Kept { index, sequence, deadline } in kept {
            let Some(message) = published.get(*index as usize) else { continue };
            let place = Place { queue, sequence: *sequence, deadline: *deadline, returns: 0 };
            if let Some(known) = &mut self.known {
                let at = *known.entry(message.address()).or_insert(ops.len());
                if let Some(Op::Message { places, .. }) = ops.get_mut(at) {
                    places.push(place);
                    continue;
                }
            }
            ops.push(Op::Message { message: message.clone(), places: smallvec![place] });
        }
    }
}
