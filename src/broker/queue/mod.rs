//! A queue as a pure state machine: commands and the time in, messages and wakes out.
//!
//! It holds the ready messages and its consumers. Deliveries that wait for a settlement live in the
//! channel that holds them; the queue keeps their number. Whoever owns a queue calls it under one short
//! lock, a batch at a time, and performs what [`Effects`] collected after the lock is gone.

mod consumers;
mod pressure;
mod ready;
#[cfg(test)]
mod tests;

use std::task::Waker;

use smallvec::SmallVec;

pub use consumers::{
    Acknowledges, ConsumerKey, ConsumerSettings, SharedPrefetch, WINDOW_BYTES, WINDOW_MESSAGES,
};
use consumers::{Consumers, Handed};
use pressure::Pressure;
pub use ready::Ready;

use super::{Message, Millis, queue_arguments::Overflow};

/// A deadline that never comes.
const NEVER: Millis = Millis::MAX;

/// Connections to wake once the lock is gone.
pub type Wakes = SmallVec<[Waker; 4]>;

/// A message's place in a queue.
#[derive(Debug, Clone)]
pub struct Entry {
    pub message: Message,
    /// Ascending in order of arrival; its original position.
    pub sequence: u64,
    /// When it expires; fixed on arrival (TTL-01). `Millis::MAX` for never.
    pub deadline: Millis,
    /// Whether it was delivered to anybody before (BAS-64).
    pub redelivered: bool,
}

/// Where a consumer's messages go: the inbox of its connection.
pub trait Outlet {
    /// Takes the whole batch, in order, and adds whom to wake.
    fn deliver(&self, batch: &mut Vec<Entry>, wakes: &mut Wakes);
}

/// Why a message left without being consumed (DLX-01).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    Rejected,
    Expired,
    MaxLength,
}

/// What an operation asks its caller to do once the lock is gone.
#[derive(Debug, Default)]
pub struct Effects {
    pub wakes: Wakes,
    /// Messages to publish to the dead-letter exchange, in queue order; empty without one.
    pub dead: Vec<(Entry, Death)>,
}

impl Effects {
    /// Wakes everybody who got something.
    pub fn wake_all(&mut self) {
        for waker in self.wakes.drain(..) {
            waker.wake();
        }
    }
}

/// The rules that a queue applies by itself.
#[derive(Debug, Clone, Default)]
pub struct QueueSettings {
    /// Time to live of every message, in milliseconds.
    pub message_ttl: Option<Millis>,
    /// The queue goes after so many milliseconds without use (QUE-70).
    pub expires: Option<Millis>,
    pub max_length: Option<u64>,
    pub max_length_bytes: Option<u64>,
    pub overflow: Overflow,
    /// 0 for a queue without priorities.
    pub max_priority: u8,
    pub single_active_consumer: bool,
    /// Whether dead messages go anywhere.
    pub dead_letters: bool,
}

/// Why a consumer cannot be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsumeError {
    /// Somebody holds it exclusively, or exclusivity was asked for and somebody consumes (CH-61).
    InExclusiveUse,
    /// The queue went away between being found and being asked.
    Deleted,
}

/// What became of one published message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    Yes,
    /// Refused by reject-publish: a confirm becomes a nack (CNF-08).
    Refused,
}

/// Numbers for declare-ok and for operators.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub ready: u64,
    pub ready_bytes: u64,
    pub unacknowledged: u64,
    pub consumers: u32,
}

/// One queue.
#[derive(Debug)]
pub struct Queue<O> {
    settings: QueueSettings,
    ready: Ready,
    consumers: Consumers<O>,
    pressure: Pressure,
    unacknowledged: u64,
    next_sequence: u64,
    /// The last declare, get, or moment with a consumer; the clock of x-expires.
    last_used: Millis,
    had_consumer: bool,
    deleted: bool,
}

impl<O: Outlet> Queue<O> {
    pub fn new(settings: QueueSettings, now: Millis) -> Queue<O> {
        Queue {
            ready: Ready::new(settings.max_priority),
            consumers: Consumers::new(settings.single_active_consumer),
            pressure: Pressure::default(),
            settings,
            unacknowledged: 0,
            next_sequence: 0,
            last_used: now,
            had_consumer: false,
            deleted: false,
        }
    }

    pub fn counts(&self) -> Counts {
        Counts {
            ready: self.ready.count(),
            ready_bytes: self.ready.bytes(),
            unacknowledged: self.unacknowledged,
            consumers: self.consumers.count(),
        }
    }

    pub fn is_deleted(&self) -> bool {
        self.deleted
    }

    /// Whether publishers should wait a moment for the consumers; see [`pressure`].
    pub fn is_pressed(&self) -> bool {
        0 < self.consumers.count() && self.pressure.is_high(self.ready.count(), self.ready.bytes())
    }

    /// Lets waiting publishers go on if the queue is short now; for whoever owns it to call after operations.
    #[inline]
    pub fn relieve(&mut self, effects: &mut Effects) {
        self.pressure.update(self.ready.count(), self.ready.bytes(), &mut effects.wakes);
    }

    /// Wakes `waker` when publishers need not wait any more.
    pub fn wait_for_consumers(&mut self, waker: &Waker) {
        self.pressure.wait(waker);
    }

    /// A publisher waited in vain: these consumers are not worth it.
    pub fn give_up_waiting(&mut self, effects: &mut Effects) {
        self.pressure.give_up();
        self.pressure.update(0, 0, &mut effects.wakes);
        self.pressure.give_up();
    }

    /// Restarts the clock of x-expires.
    pub fn touch(&mut self, now: Millis) {
        self.last_used = now;
    }

    /// Takes a batch of messages in; each one's fate goes to `fate`, by its index, when it is not accepted.
    ///
    /// A deleted queue drops them: whoever routed them found it an instant too late.
    pub fn publish(
        &mut self,
        batch: impl IntoIterator<Item = Message>,
        now: Millis,
        effects: &mut Effects,
        mut fate: impl FnMut(usize, Accepted),
    ) {
        if self.deleted {
            return;
        }
        self.expire(effects, |deadline| deadline < now);
        let limited = self.settings.max_length.is_some() || self.settings.max_length_bytes.is_some();
        for (index, message) in batch.into_iter().enumerate() {
            if limited && self.settings.overflow != Overflow::DropHead && !self.fits(&message) {
                fate(index, Accepted::Refused);
                let dead_letter = self.settings.overflow == Overflow::RejectPublishDlx;
                if dead_letter && self.settings.dead_letters {
                    let entry = self.entry(message, now);
                    effects.dead.push((entry, Death::MaxLength));
                }
                continue;
            }
            let entry = self.entry(message, now);
            self.ready.push(entry);
            if limited {
                self.dispatch(now, effects);
                self.enforce_limits(effects);
            }
        }
        self.dispatch(now, effects);
        // A time to live of zero gives a message one chance: a consumer that is ready now (TTL-03).
        self.expire(effects, |deadline| deadline <= now);
        self.consumers.flush(&mut effects.wakes);
    }

    #[inline]
    fn entry(&mut self, message: Message, now: Millis) -> Entry {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let time_to_live = match (self.settings.message_ttl, message.expiration()) {
            (None, None) => return Entry { message, sequence, deadline: NEVER, redelivered: false },
            (Some(queue), Some(message)) => queue.min(message),
            (Some(only), None) | (None, Some(only)) => only,
        };
        Entry { message, sequence, deadline: now.saturating_add(time_to_live), redelivered: false }
    }

    fn fits(&self, message: &Message) -> bool {
        let count = self.ready.count() + 1;
        let bytes = self.ready.bytes() + message.body_length();
        self.settings.max_length.is_none_or(|max| count <= max)
            && self.settings.max_length_bytes.is_none_or(|max| bytes <= max)
    }

    /// Drops from the head while over a limit (LEN-02). A queue that refuses publishes instead never drops
    /// what it accepted, even when requeued messages take it over its limit.
    fn enforce_limits(&mut self, effects: &mut Effects) {
        if self.settings.overflow != Overflow::DropHead {
            return;
        }
        let (count_max, bytes_max) = (self.settings.max_length, self.settings.max_length_bytes);
        while count_max.is_some_and(|max| max < self.ready.count())
            || bytes_max.is_some_and(|max| max < self.ready.bytes())
        {
            let Some(entry) = self.ready.pop() else { return };
            self.bury(entry, Death::MaxLength, effects);
        }
    }

    fn bury(&self, entry: Entry, death: Death, effects: &mut Effects) {
        if self.settings.dead_letters {
            effects.dead.push((entry, death));
        }
    }

    /// Expires from the head only, as classic queues do (TTL-02).
    #[inline]
    fn expire(&mut self, effects: &mut Effects, due: impl Fn(Millis) -> bool) {
        while self.ready.front().is_some_and(|entry| entry.deadline != NEVER && due(entry.deadline)) {
            let Some(entry) = self.ready.pop() else { return };
            self.bury(entry, Death::Expired, effects);
        }
    }

    /// Hands ready messages to consumers that have room.
    fn dispatch(&mut self, now: Millis, effects: &mut Effects) {
        while self.consumers.somebody_has_room() {
            self.expire(effects, |deadline| deadline < now);
            if self.ready.is_empty() {
                return;
            }
            let ready = &mut self.ready;
            match self.consumers.hand_over(|| ready.pop()) {
                Handed::Settled => {}
                Handed::Unacknowledged => self.unacknowledged += 1,
                Handed::Nobody => return,
            }
        }
    }

    fn dispatch_and_flush(&mut self, now: Millis, effects: &mut Effects) {
        self.dispatch(now, effects);
        self.consumers.flush(&mut effects.wakes);
    }

    /// Adds a consumer; its first messages are on their way when this returns.
    pub fn consume(
        &mut self,
        outlet: O,
        settings: ConsumerSettings,
        now: Millis,
        effects: &mut Effects,
    ) -> Result<ConsumerKey, ConsumeError> {
        if self.deleted {
            return Err(ConsumeError::Deleted);
        }
        let taken = self.consumers.has_exclusive()
            || settings.exclusive && (0 < self.consumers.count() || self.consumers.is_single_active());
        if taken {
            return Err(ConsumeError::InExclusiveUse);
        }
        self.had_consumer = true;
        let key = self.consumers.add(outlet, settings);
        self.dispatch_and_flush(now, effects);
        Ok(key)
    }

    /// Takes a consumer away; true when it was the last one the queue had.
    pub fn cancel(&mut self, key: ConsumerKey, now: Millis, effects: &mut Effects) -> bool {
        if !self.consumers.remove(key) {
            return false;
        }
        self.last_used = now;
        self.dispatch_and_flush(now, effects);
        self.had_consumer && self.consumers.count() == 0
    }

    /// Takes the head for basic.get; says how many stay ready.
    pub fn get(&mut self, acknowledges: bool, now: Millis, effects: &mut Effects) -> Option<(Entry, u64)> {
        self.last_used = now;
        self.expire(effects, |deadline| deadline <= now);
        let entry = self.ready.pop()?;
        if acknowledges {
            self.unacknowledged += 1;
        }
        Some((entry, self.ready.count()))
    }

    /// Deliveries are settled for good. `consumer` is `None` for those of basic.get.
    pub fn settle(
        &mut self,
        consumer: Option<ConsumerKey>,
        deliveries: u32,
        now: Millis,
        effects: &mut Effects,
    ) {
        self.release(consumer, deliveries);
        self.dispatch_and_flush(now, effects);
    }

    fn release(&mut self, consumer: Option<ConsumerKey>, deliveries: u32) {
        self.unacknowledged = self.unacknowledged.saturating_sub(u64::from(deliveries));
        if let Some(key) = consumer {
            self.consumers.settled(key, deliveries);
        }
    }

    /// Deliveries come back to their original places, marked as redelivered. Limits and deadlines apply to
    /// them again (LEN-04, BAS-67).
    pub fn requeue(
        &mut self,
        consumer: Option<ConsumerKey>,
        entries: impl IntoIterator<Item = Entry>,
        now: Millis,
        effects: &mut Effects,
    ) {
        let mut deliveries = 0;
        for entry in entries {
            deliveries += 1;
            if !self.deleted {
                self.ready.put_back(Entry { redelivered: true, ..entry });
            }
        }
        self.release(consumer, deliveries);
        self.settle_returned(now, effects);
    }

    /// After messages came back: what is due expires, a consumer with room comes before the limits (LEN-03).
    fn settle_returned(&mut self, now: Millis, effects: &mut Effects) {
        self.expire(effects, |deadline| deadline <= now);
        self.dispatch(now, effects);
        self.enforce_limits(effects);
        self.consumers.flush(&mut effects.wakes);
    }

    /// Deliveries of no-ack consumers that were never written come back; they were not unacknowledged.
    pub fn take_back_unsent(
        &mut self,
        entries: impl IntoIterator<Item = Entry>,
        now: Millis,
        effects: &mut Effects,
    ) {
        if self.deleted {
            return;
        }
        for entry in entries {
            self.ready.put_back(entry);
        }
        self.settle_returned(now, effects);
    }

    /// Deliveries are settled as rejected without requeue; they die here (BAS-62).
    pub fn reject(
        &mut self,
        consumer: Option<ConsumerKey>,
        entries: impl IntoIterator<Item = Entry>,
        now: Millis,
        effects: &mut Effects,
    ) {
        let mut deliveries = 0;
        for entry in entries {
            deliveries += 1;
            if !self.deleted {
                self.bury(entry, Death::Rejected, effects);
            }
        }
        self.settle(consumer, deliveries, now, effects);
    }

    /// A consumer's connection has written deliveries; more may follow.
    pub fn written(
        &mut self,
        consumer: ConsumerKey,
        messages: u32,
        bytes: u64,
        now: Millis,
        effects: &mut Effects,
    ) {
        self.consumers.written(consumer, messages, bytes);
        self.dispatch_and_flush(now, effects);
    }

    /// A consumer's channel has room again under its shared limit.
    pub fn recheck(&mut self, consumer: ConsumerKey, now: Millis, effects: &mut Effects) {
        self.consumers.recheck(consumer);
        self.dispatch_and_flush(now, effects);
    }

    /// Removes what is ready and hands it out to be counted and dropped (QUE-15).
    pub fn purge(&mut self) -> Ready {
        self.ready.take_all()
    }

    /// Marks the queue deleted; hands out what was ready to be counted and dropped.
    pub fn delete(&mut self) -> Ready {
        self.deleted = true;
        self.ready.take_all()
    }

    /// Everybody's outlet, for telling them that the queue is gone.
    pub fn outlets(&self) -> impl Iterator<Item = &O> {
        self.consumers.outlets()
    }

    /// When [`Queue::tick`] has something to do next.
    pub fn next_deadline(&self) -> Option<Millis> {
        if self.deleted {
            return None;
        }
        let head = self.ready.front().map(|entry| entry.deadline).filter(|deadline| *deadline != NEVER);
        [head, self.expires_at()].into_iter().flatten().min()
    }

    fn expires_at(&self) -> Option<Millis> {
        let expires = self.settings.expires?;
        (self.consumers.count() == 0).then(|| self.last_used.saturating_add(expires))
    }

    /// Expires what is due; true when the queue itself has expired and must be deleted.
    pub fn tick(&mut self, now: Millis, effects: &mut Effects) -> bool {
        if self.deleted {
            return false;
        }
        self.expire(effects, |deadline| deadline <= now);
        self.ready.shrink();
        self.expires_at().is_some_and(|deadline| deadline <= now)
    }
}
