//! A queue as a pure state machine: commands and the time in, messages and wakes out.
//!
//! It holds the ready messages and its consumers. Deliveries that wait for a settlement live in the
//! channel that holds them; the queue keeps their number. Whoever owns a queue calls it under one short
//! lock, a batch at a time, and performs what [`Effects`] collected after the lock is gone.

mod consumers;
mod counters;
mod departures;
mod effects;
mod entry;
mod identities;
mod lane;
mod page;
mod paging;
mod pressure;
mod ready;
mod reconfigure;
mod resting;
pub mod returns;
mod settings;
pub mod stream;
#[cfg(test)]
mod tests;

use std::{sync::Arc, task::Waker};

pub use consumers::{
    Acknowledges, ConsumerKey, ConsumerSettings, SharedPrefetch, WINDOW_BYTES, WINDOW_MESSAGES,
};
use consumers::{Consumers, Handed};
use counters::Counting;
pub use counters::QueueCounters;
pub use effects::{Death, Effects, Kept, Notes, Wakes};
pub use entry::Entry;
use entry::NEVER;
use identities::Identities;
pub use identities::IdentityNotes;
pub use page::{PageId, PageOut, PageSummary};
use pressure::Pressure;
pub use ready::Ready;
use resting::Resting;
pub use resting::Retry;
pub use settings::QueueSettings;

use stream::{Stream, StreamRead};

use super::{Message, Millis, queue_arguments::Overflow};
use crate::amqp::properties::{Value, named};

/// Where a consumer's messages go: the inbox of its connection.
pub trait Outlet {
    /// Takes the whole batch, in order, and adds whom to wake.
    fn deliver(&self, batch: &mut Vec<Entry>, wakes: &mut Wakes);
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

/// What basic.get finds.
#[derive(Debug)]
pub enum Got {
    /// The head, and how many stay ready.
    Entry(Entry, u64),
    Empty,
    /// The head is on disk and being fetched; see [`Queue::wait_for_page`].
    Wait,
}

/// Numbers for declare-ok and for operators.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub ready: u64,
    pub ready_bytes: u64,
    pub unacknowledged: u64,
    pub unacknowledged_bytes: u64,
    pub consumers: u32,
    /// Messages that came back and wait before they are ready again (QQ-11).
    pub resting: u64,
}

/// What operators are told of a queue, beyond [`Counts`].
#[derive(Debug, Clone, Copy, Default)]
pub struct QueueReport {
    pub counts: Counts,
    pub counters: QueueCounters,
    /// Octets of memory that its ready messages take.
    pub memory: u64,
    /// Ready messages that are on disk only, and the octets of their bodies.
    pub away: u64,
    pub away_bytes: u64,
    /// The last operation with a message, or a declare, get or cancel.
    pub active: Millis,
    /// Whether a consumer could take a message now.
    pub has_room: bool,
    /// The timestamp property of the next to leave, if it has one and is in memory.
    pub head_timestamp: Option<u64>,
    /// Somebody has it for himself.
    pub is_exclusive: bool,
    /// Publishers wait for its consumers.
    pub is_pressed: bool,
}

/// One queue.
#[derive(Debug)]
pub struct Queue<O> {
    /// Mostly those of many others, too.
    settings: Arc<QueueSettings>,
    ready: Ready,
    /// Of a queue that makes messages wait when they come back.
    resting: Option<Box<Resting>>,
    consumers: Consumers<O>,
    pressure: Pressure,
    /// Of a queue that deduplicates.
    identities: Option<Box<Identities>>,
    /// Set for a stream, which keeps its messages and consumers in here.
    stream: Option<Box<Stream<O>>>,
    /// Whoever waits for a page to be read.
    page_waiters: Vec<Waker>,
    unacknowledged: u64,
    counting: Counting,
    next_sequence: u64,
    /// Sequence numbers from here on are of the batch being published; `u64::MAX` at all other times.
    fresh_from: u64,
    /// The last declare, get, or moment with a consumer; the clock of x-expires.
    last_used: Millis,
    had_consumer: bool,
    deleted: bool,
}

impl<O: Outlet> Queue<O> {
    pub fn new(settings: QueueSettings, now: Millis) -> Queue<O> {
        Queue {
            ready: if settings.quorum { Ready::quorum() } else { Ready::new(settings.max_priority) },
            resting: None,
            consumers: Consumers::new(settings.single_active_consumer),
            pressure: Pressure::default(),
            identities: settings.deduplicates.then(Box::default),
            stream: settings.stream.clone().map(|settings| Box::new(Stream::new(settings))),
            page_waiters: Vec::new(),
            settings: settings.shared(),
            unacknowledged: 0,
            counting: Counting::new(now),
            next_sequence: 0,
            fresh_from: u64::MAX,
            last_used: now,
            had_consumer: false,
            deleted: false,
        }
    }

    pub fn counts(&self) -> Counts {
        if let Some(stream) = &self.stream {
            return stream.counts();
        }
        Counts {
            ready: self.ready.count(),
            ready_bytes: self.ready.bytes(),
            unacknowledged: self.unacknowledged,
            unacknowledged_bytes: self.counting.unacknowledged_bytes,
            consumers: self.consumers.count(),
            resting: self.resting.as_ref().map_or(0, |resting| resting.count()),
        }
    }

    /// Its counters at this moment.
    pub fn counters(&self, now: Millis) -> QueueCounters {
        let counters = self.counting.at(now);
        match &self.stream {
            Some(stream) => QueueCounters { delivered: stream.delivered(), ..counters },
            None => counters,
        }
    }

    /// Everything that operators are told.
    pub fn report(&self, now: Millis) -> QueueReport {
        let (away, away_bytes) = self.ready.away();
        QueueReport {
            counts: self.counts(),
            counters: self.counters(now),
            memory: self.ready.resident_cost() + self.stream.as_ref().map_or(0, |stream| stream.memory()),
            away,
            away_bytes,
            active: self.counting.active.max(self.last_used),
            has_room: self.counting.has_room(),
            head_timestamp: self.ready.peek().and_then(|head| timestamp(head.message.properties())),
            is_exclusive: self.consumers.has_exclusive(),
            is_pressed: self.is_pressed(),
        }
    }

    /// Whether a consumer gets messages, or waits for its turn.
    pub fn is_served(&self, key: ConsumerKey) -> bool {
        match &self.stream {
            Some(stream) => stream.is_served(key),
            None => self.consumers.is_served(key),
        }
    }

    /// What is ready and in memory.
    #[cfg(test)]
    pub fn ready_entries(&self) -> impl Iterator<Item = &Entry> {
        self.ready.resident()
    }

    pub fn is_deleted(&self) -> bool {
        self.deleted
    }

    /// Whether publishers should wait a moment for the consumers; see [`pressure`].
    pub fn is_pressed(&self) -> bool {
        if let Some(stream) = &self.stream {
            return stream.is_pressed();
        }
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
        fate: impl FnMut(usize, Accepted),
    ) {
        let refuses = self.settings.overflow != Overflow::DropHead;
        self.take_in(batch, refuses, now, effects, fate);
    }

    /// As [`Queue::publish`], whether or not the rules say that what does not fit is refused.
    pub(super) fn take_in(
        &mut self,
        batch: impl IntoIterator<Item = Message>,
        refuses: bool,
        now: Millis,
        effects: &mut Effects,
        mut fate: impl FnMut(usize, Accepted),
    ) {
        if self.deleted {
            return;
        }
        if let Some(stream) = &mut self.stream {
            self.counting.active = now;
            self.counting.counters.published += stream.publish(batch, now, effects);
            return;
        }
        self.expire(effects, |deadline| deadline < now);
        self.fresh_from = self.next_sequence;
        self.counting.active = now;
        let limited = self.settings.max_length.is_some() || self.settings.max_length_bytes.is_some();
        for (index, message) in batch.into_iter().enumerate() {
            self.counting.counters.published += 1;
            if limited && refuses && !self.fits(&message) {
                fate(index, Accepted::Refused);
                self.refuse(message, now, effects);
                continue;
            }
            let identity = self.identity(&message);
            if let Some(identity) = &identity
                && self.is_duplicate(identity, now, effects)
            {
                continue;
            }
            let entry = self.entry(message, now);
            if entry.logged {
                effects.log.keep(index, &entry);
            }
            if let Some(identity) = identity {
                self.identify(identity, &entry, effects);
            }
            self.ready.push(entry);
            if limited {
                self.dispatch(now, effects);
                self.enforce_limits(effects);
            }
        }
        self.dispatch(now, effects);
        // A time to live of zero gives a message one chance: a consumer that is ready now (TTL-03).
        self.expire(effects, |deadline| deadline <= now);
        self.ready.take_wanted(&mut effects.fetch);
        effects.log.forget_passing(std::mem::replace(&mut self.fresh_from, u64::MAX));
        self.counting.counters.disk_writes += effects.log.kept.len() as u64;
        self.consumers.flush(&mut effects.wakes);
    }

    #[inline]
    fn entry(&mut self, message: Message, now: Millis) -> Entry {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let deadline = match (self.settings.message_ttl, message.expiration()) {
            (None, None) => NEVER,
            (Some(queue), Some(message)) => now.saturating_add(queue.min(message)),
            (Some(only), None) | (None, Some(only)) => now.saturating_add(only),
        };
        let logged = self.settings.durable && (message.is_persistent() || self.settings.quorum);
        Entry { message, sequence, deadline, returns: 0, redelivered: false, logged }
    }

    /// Hands ready messages to consumers that have room; what is overdue does not stay at the head.
    fn dispatch(&mut self, now: Millis, effects: &mut Effects) {
        while self.consumers.somebody_has_room() {
            self.expire(effects, |deadline| deadline < now);
            if !self.ready.reach() {
                break;
            }
            let ready = &mut self.ready;
            let (mut taken, mut again, mut bytes) = (None, false, 0);
            let handed = self.consumers.hand_over(|| {
                let entry = ready.pop();
                if let Some(entry) = &entry {
                    taken = Some((entry.sequence, entry.logged));
                    again = entry.redelivered;
                    bytes = entry.message.body_length();
                }
                entry
            });
            if handed == Handed::Settled
                && let Some((sequence, logged)) = taken
            {
                effects.log.gone.extend(logged.then_some(sequence));
                self.forget_identity(sequence, effects);
            }
            let counters = &mut self.counting.counters;
            match handed {
                Handed::Settled => {
                    counters.delivered_no_ack += 1;
                }
                Handed::Unacknowledged => {
                    self.unacknowledged += 1;
                    self.counting.unacknowledged_bytes += bytes;
                    counters.delivered += 1;
                }
                Handed::Nobody => break,
            }
            counters.redelivered += u64::from(again);
        }
        self.counting.note_room(self.consumers.somebody_has_room(), now);
        self.expire(effects, |deadline| deadline < now);
        self.ready.take_wanted(&mut effects.fetch);
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

    /// Adds a consumer of a stream; its first messages are on their way when this returns.
    pub fn consume_stream(
        &mut self,
        outlet: O,
        read: StreamRead,
        now: Millis,
        effects: &mut Effects,
    ) -> Result<ConsumerKey, ConsumeError> {
        match &mut self.stream {
            Some(stream) if !self.deleted => Ok(stream.consume(outlet, read, now, effects)),
            _ => Err(ConsumeError::Deleted),
        }
    }

    /// Takes a consumer away; true when it was the last one the queue had.
    pub fn cancel(&mut self, key: ConsumerKey, now: Millis, effects: &mut Effects) -> bool {
        if let Some(stream) = &mut self.stream {
            stream.cancel(key, effects);
            return false;
        }
        if !self.consumers.remove(key) {
            return false;
        }
        self.last_used = now;
        self.dispatch_and_flush(now, effects);
        self.had_consumer && self.consumers.count() == 0
    }

    /// Takes the head for basic.get.
    pub fn get(&mut self, acknowledges: bool, now: Millis, effects: &mut Effects) -> Got {
        self.last_used = now;
        self.expire(effects, |deadline| deadline <= now);
        let entry = self.ready.pop();
        self.ready.take_wanted(&mut effects.fetch);
        let counters = &mut self.counting.counters;
        let Some(entry) = entry else {
            if !self.ready.is_empty() {
                return Got::Wait;
            }
            counters.got_nothing += 1;
            return Got::Empty;
        };
        counters.redelivered += u64::from(entry.redelivered);
        if acknowledges {
            counters.got += 1;
            self.unacknowledged += 1;
            self.counting.hold(&entry.message);
        } else {
            counters.got_no_ack += 1;
            effects.log.lose(&entry);
            self.forget_identity(entry.sequence, effects);
        }
        // What is behind and has had its time is not left (TTL-02).
        self.expire(effects, |deadline| deadline <= now);
        self.ready.take_wanted(&mut effects.fetch);
        Got::Entry(entry, self.ready.count())
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
        if let Some(stream) = &mut self.stream {
            return stream.written(consumer, messages, bytes, effects);
        }
        self.consumers.written(consumer, messages, bytes);
        self.dispatch_and_flush(now, effects);
    }

    /// A consumer's channel has room again under its shared limit.
    pub fn recheck(&mut self, consumer: ConsumerKey, now: Millis, effects: &mut Effects) {
        self.consumers.recheck(consumer);
        self.dispatch_and_flush(now, effects);
    }

    /// Removes what is ready and hands it out to be counted and dropped (QUE-15).
    pub fn purge(&mut self, effects: &mut Effects) -> Ready {
        self.end_rest(Millis::MAX);
        if self.settings.durable {
            self.ready.resident().for_each(|entry| effects.log.lose(entry));
        }
        self.forget_identities(effects);
        self.take_all(effects)
    }

    /// What is ready from some place on, which stays there; true when more follows that is not in memory.
    pub fn look(&self, offset: usize, count: usize) -> (Vec<Entry>, bool) {
        match &self.stream {
            Some(stream) => stream.look(offset, count),
            None => self.ready.look(offset, count),
        }
    }

    /// Marks the queue deleted; hands out what was ready to be counted and dropped. The log is to forget the
    /// queue as a whole.
    pub fn delete(&mut self, effects: &mut Effects) -> Ready {
        self.end_rest(Millis::MAX);
        self.deleted = true;
        if let Some(stream) = &mut self.stream {
            stream.delete();
        }
        self.take_all(effects)
    }

    /// The stream that it is, if it is one.
    pub fn stream(&mut self) -> Option<&mut Stream<O>> {
        self.stream.as_deref_mut()
    }

    fn take_all(&mut self, effects: &mut Effects) -> Ready {
        effects.dropped_pages.extend(self.ready.pages_away());
        effects.wakes.extend(self.page_waiters.drain(..));
        self.ready.take_all()
    }

    /// Everybody's outlet, for telling them that the queue is gone.
    pub fn outlets(&self) -> impl Iterator<Item = &O> {
        self.consumers.outlets().chain(self.stream.iter().flat_map(|stream| stream.outlets()))
    }

    /// When [`Queue::tick`] has something to do next.
    pub fn next_deadline(&self) -> Option<Millis> {
        if self.deleted {
            return None;
        }
        let head = self.ready.first_deadline().filter(|deadline| *deadline != NEVER);
        let rested = self.resting.as_ref().and_then(|resting| resting.next_at());
        [head, rested, self.expires_at()].into_iter().flatten().min()
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
        if self.end_rest(now) {
            self.settle_returned(now, effects);
        }
        self.expire(effects, |deadline| deadline <= now);
        self.ready.take_wanted(&mut effects.fetch);
        self.ready.shrink();
        self.expires_at().is_some_and(|deadline| deadline <= now)
    }
}

/// The timestamp among the properties of a message.
fn timestamp(properties: &[u8]) -> Option<u64> {
    named(properties).find_map(|(name, value)| match (name, value) {
        ("timestamp", Value::Time(seconds)) => Some(seconds),
        _ => None,
    })
}
