//! A queue with its identity, behind one short lock.

use std::{
    borrow::Cow,
    hash::{Hash, Hasher},
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;

use super::{
    ConsumerOutlet, Journal, PolicySet,
    paging::IsLong,
    stats::{Figure, Figures, History, QUEUE_FIGURES},
};
use crate::broker::{
    Millis,
    policy::Applied,
    queue::{
        ConsumerKey, Counts, Death, Entry, Queue, QueueCounters, QueueReport, QueueSettings,
        stream::StreamOverview,
    },
    queue_arguments::{Overflow, QueueArguments},
    queue_type::QueueType,
};

/// Names a connection of this node.
pub type ConnectionId = u64;

/// What a queue was declared as; fixed for its life.
#[derive(Debug)]
pub struct QueueProperties {
    pub durable: bool,
    pub auto_delete: bool,
    /// The only connection that may use it (QUE-10).
    pub owner: Option<ConnectionId>,
    /// Mostly those of many others, too.
    pub arguments: Arc<QueueArguments>,
    /// The number under which the log has the identities of its messages, if it deduplicates.
    pub identities: Option<u64>,
}

/// The policies that a queue goes by, as of a version of those of its vhost.
#[derive(Debug, Default)]
struct Governed {
    version: u64,
    applied: Option<Arc<Applied>>,
}

/// A queue that connections share.
#[derive(Debug)]
pub struct SharedQueue {
    /// Unique within the node, and in its log for ever.
    pub number: u64,
    pub name: Arc<str>,
    pub vhost: Arc<str>,
    pub properties: QueueProperties,
    /// The only lock on the way of a message; held for one batch, never together with another queue's.
    pub(super) state: Mutex<Queue<ConsumerOutlet>>,
    /// Dead messages that nobody took yet, with at-least-once dead-lettering (QQ-08).
    pub(super) undelivered: Mutex<Vec<(Entry, Death)>>,
    pub(super) is_long: IsLong,
    governed: Mutex<Governed>,
    /// Whether it may refuse publishes, by its arguments or policies.
    refuses: AtomicBool,
    pub history: Mutex<History<QUEUE_FIGURES>>,
    /// The deadline that the timers know; `u64::MAX` when none.
    armed: AtomicU64,
}

impl SharedQueue {
    pub(super) fn new(
        number: u64,
        name: &str,
        vhost: &Arc<str>,
        properties: QueueProperties,
        settings: QueueSettings,
        now: Millis,
    ) -> SharedQueue {
        let refuses = AtomicBool::new(properties.arguments.overflow != Overflow::DropHead);
        SharedQueue {
            number,
            name: name.into(),
            vhost: vhost.clone(),
            properties,
            state: Mutex::new(Queue::new(settings, now)),
            undelivered: Mutex::default(),
            is_long: IsLong::default(),
            governed: Mutex::default(),
            refuses,
            history: Mutex::default(),
            armed: AtomicU64::new(Millis::MAX),
        }
    }

    /// True when `deadline` is earlier than what the timers know; they must be told then.
    pub(super) fn arm_before(&self, deadline: Millis) -> bool {
        deadline < self.armed.fetch_min(deadline, Relaxed)
    }

    pub(super) fn disarm(&self) {
        self.armed.store(Millis::MAX, Relaxed);
    }

    /// Whether these policies are other ones than it goes by; if not, it counts as having seen them.
    pub(super) fn is_governed_otherwise(&self, policies: &PolicySet, applied: Option<&Applied>) -> bool {
        let mut governed = self.governed.lock();
        let is_same = match (&governed.applied, applied) {
            (None, None) => true,
            (Some(one), Some(other)) => one.is_of(other),
            _ => false,
        };
        if is_same {
            governed.version = governed.version.max(policies.version);
        }
        !is_same
    }

    /// Takes policies over, under the lock of its state; false when it goes by later ones already.
    pub(super) fn adopt(&self, policies: &PolicySet, applied: Option<Arc<Applied>>) -> bool {
        let mut governed = self.governed.lock();
        if policies.version < governed.version {
            return false;
        }
        *governed = Governed { version: policies.version, applied };
        drop(governed);
        self.refuses.store(self.rules().overflow != Overflow::DropHead, Relaxed);
        true
    }

    /// The policies that it goes by.
    pub fn applied(&self) -> Option<Arc<Applied>> {
        self.governed.lock().applied.clone()
    }

    /// What it goes by: its arguments, unless policies have a say.
    pub fn rules(&self) -> Cow<'_, QueueArguments> {
        let own = &self.properties.arguments;
        match self.applied() {
            None => Cow::Borrowed(own),
            Some(applied) => Cow::Owned(applied.effective.govern(own)),
        }
    }

    /// Whether it may refuse publishes.
    #[inline]
    pub fn may_refuse(&self) -> bool {
        self.refuses.load(Relaxed)
    }

    /// Whether what is in it goes to the log.
    pub(super) fn is_logged(&self, journal: &Journal) -> bool {
        self.is_durable() && journal.is_on()
    }

    /// What is in it; its lock is held for that only.
    pub fn counts(&self) -> Counts {
        self.state.lock().counts()
    }

    /// What is in it, what it counted, and the octets of memory that its messages take.
    pub fn sums(&self, now: Millis) -> (Counts, QueueCounters, u64) {
        let state = self.state.lock();
        (state.counts(), state.counters(now), state.resident_cost())
    }

    /// Everything that operators are told of it.
    pub fn report(&self, now: Millis) -> QueueReport {
        self.state.lock().report(now)
    }

    /// Whether a consumer gets messages, or waits for its turn.
    pub fn is_served(&self, consumer: ConsumerKey) -> bool {
        self.state.lock().is_served(consumer)
    }

    /// Clones of what is ready from some place on; true when more follows that is not in memory.
    pub fn look(&self, offset: usize, count: usize) -> (Vec<Entry>, bool) {
        self.state.lock().look(offset, count)
    }

    /// Dead messages that nobody took yet.
    pub fn undelivered_count(&self) -> usize {
        self.undelivered.lock().len()
    }

    /// The part of the last interval in which a message could have been given to a consumer at once.
    pub fn utilisation(&self, now: Millis, interval: Millis, figures: &Figures, report: &QueueReport) -> f64 {
        let history = self.history.lock();
        if report.counts.consumers == 0 {
            return 0.0;
        }
        if history.is_empty() {
            return f64::from(u8::from(report.has_room));
        }
        let with_room = |figures: &[u64; QUEUE_FIGURES]| {
            figures.get(Figure::WithRoom as usize).copied().unwrap_or_default()
        };
        (history.rate(now, &figures.0, interval, with_room) / 1000.0).clamp(0.0, 1.0)
    }

    #[inline]
    pub fn is_stream(&self) -> bool {
        self.properties.arguments.queue_type == QueueType::Stream
    }

    /// How it stands, if it is a stream.
    pub fn stream_status(&self) -> Option<StreamStatus> {
        let mut state = self.state.lock();
        let stream = state.stream()?;
        let (segments, committed_offset) = (stream.segment_count(), stream.committed_offset());
        Some(StreamStatus { segments, committed_offset })
    }

    /// What there is to see of a stream.
    pub fn stream_overview(&self) -> Option<StreamOverview> {
        self.state.lock().stream().map(|stream| stream.overview())
    }

    /// Whether it survives a restart (RST-01 to RST-03).
    #[inline]
    pub fn is_durable(&self) -> bool {
        self.properties.durable && self.properties.owner.is_none()
    }

    /// Whether another connection owns it (CH-44).
    pub fn is_locked_for(&self, connection: ConnectionId) -> bool {
        self.properties.owner.is_some_and(|owner| owner != connection)
    }
}

/// What operators want to know of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamStatus {
    pub segments: usize,
    /// The last offset that consumers may see.
    pub committed_offset: Option<u64>,
}

/// A handle on a shared queue; two are equal when they mean the same queue.
#[derive(Debug, Clone)]
pub struct QueueRef(pub Arc<SharedQueue>);

impl Deref for QueueRef {
    type Target = SharedQueue;

    fn deref(&self) -> &SharedQueue {
        &self.0
    }
}

impl PartialEq for QueueRef {
    fn eq(&self, other: &QueueRef) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for QueueRef {}

impl Hash for QueueRef {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.number.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_queue_takes_little() {
        // With the two counts before it and the allocator's steps: 768 octets.
        assert!(size_of::<SharedQueue>() <= 752, "{}", size_of::<SharedQueue>());
    }
}
