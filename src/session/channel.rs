//! What one channel keeps between methods.

use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::{
    deliver::Source,
    transaction::Transaction,
    unacked::{Ledger, OriginIndex, Unacked},
};
use crate::{
    broker::{
        Millis,
        queue::{ConsumerKey, SharedPrefetch},
    },
    engine::{ConsumerId, QueueRef, stats::ChannelMeter},
};

/// Where deliveries came from and where their settlements go.
#[derive(Debug)]
pub struct Origin {
    pub queue: QueueRef,
    /// `None` for basic.get.
    pub consumer: Option<ConsumerKey>,
    /// Deliveries in the ledger or in a transaction.
    pub outstanding: u32,
    /// Settled since the last flush; told to the queue in one go.
    pub settled: u32,
    /// Octets of the bodies of those.
    pub settled_bytes: u64,
    /// Those of them that the log knows, by sequence.
    pub settled_logged: Vec<u64>,
    /// All of them, if the queue deduplicates.
    pub settled_identified: Option<Vec<u64>>,
    /// Whether a consumer still delivers through this origin.
    pub live: bool,
    /// How long the consumer may take for a delivery, if it says so itself (BAS-71).
    pub timeout: Option<Millis>,
}

/// What publishes of the channel mean.
#[derive(Debug)]
pub enum Mode {
    Plain,
    Confirm(Confirms),
    Transaction(Box<Transaction>),
}

/// Publisher confirms: publishes are numbered, confirmed in order, refused ones singly (CNF-02 to CNF-04).
#[derive(Debug, Default)]
pub struct Confirms {
    /// Number of the last publish.
    pub published: u64,
    /// Everything up to here is confirmed or refused.
    pub answered: u64,
    /// Everything up to here is answered or waits for the log to be.
    pub promised: u64,
    /// Refused publishes after `promised`.
    pub refused: Vec<u64>,
}

/// A channel.
#[derive(Debug)]
pub struct Channel {
    pub meter: Arc<ChannelMeter>,
    pub next_delivery_tag: u64,
    pub unacked: Ledger,
    origins: Vec<Option<Origin>>,
    /// It had deliveries of a queue that deduplicates: there the order of publishing and settling matters.
    pub deduplicates: bool,
    free_origins: Vec<OriginIndex>,
    /// Origins of basic.get by the queue's number.
    gets: HashMap<u64, OriginIndex, FixedState>,
    /// Origins with settlements that their queues have not been told of.
    pub settled_origins: Vec<OriginIndex>,
    /// By tag.
    pub consumers: HashMap<Box<[u8]>, ConsumerId, FixedState>,
    /// For consumers started later (BAS-40).
    pub prefetch: u16,
    /// Shared by all consumers of the channel (BAS-41).
    pub shared_prefetch: Arc<SharedPrefetch>,
    pub mode: Mode,
    /// The name that an empty queue name stands for (QUE-05).
    pub last_queue: Option<Arc<str>>,
    /// The direct reply-to consumer and its reply name (BAS-80).
    pub reply: Option<(ConsumerId, String)>,
    /// Whether the channel stands in the list of those with confirms to send.
    pub is_dirty: bool,
}

impl Channel {
    pub fn new(meter: Arc<ChannelMeter>) -> Channel {
        Channel {
            meter,
            next_delivery_tag: 1,
            unacked: Ledger::default(),
            origins: Vec::new(),
            deduplicates: false,
            free_origins: Vec::new(),
            gets: HashMap::default(),
            settled_origins: Vec::new(),
            consumers: HashMap::default(),
            prefetch: 0,
            shared_prefetch: Arc::default(),
            mode: Mode::Plain,
            last_queue: None,
            reply: None,
            is_dirty: false,
        }
    }

    /// The next delivery tag (BAS-60).
    #[inline]
    pub fn take_tag(&mut self) -> u64 {
        let tag = self.next_delivery_tag;
        self.next_delivery_tag += 1;
        tag
    }

    pub fn origin_mut(&mut self, index: OriginIndex) -> Option<&mut Origin> {
        self.origins.get_mut(index as usize)?.as_mut()
    }

    /// A place for deliveries of a queue, for a consumer or for basic.get.
    pub fn add_origin(
        &mut self,
        queue: QueueRef,
        consumer: Option<ConsumerKey>,
        timeout: Option<Millis>,
    ) -> OriginIndex {
        let live = consumer.is_some();
        let settled_identified = queue.properties.arguments.deduplicates.then(Vec::new);
        self.deduplicates |= settled_identified.is_some();
        let origin = Origin {
            queue,
            consumer,
            outstanding: 0,
            settled: 0,
            settled_bytes: 0,
            settled_logged: Vec::new(),
            settled_identified,
            live,
            timeout,
        };
        let index = self.free_origins.pop().unwrap_or_else(|| {
            self.origins.push(None);
            (self.origins.len() - 1) as OriginIndex
        });
        if let Some(place) = self.origins.get_mut(index as usize) {
            *place = Some(origin);
        }
        index
    }

    /// The origin of basic.get deliveries of a queue.
    pub fn origin_of_gets(&mut self, queue: &QueueRef) -> OriginIndex {
        if let Some(index) = self.gets.get(&queue.number) {
            return *index;
        }
        let index = self.add_origin(queue.clone(), None, None);
        self.gets.insert(queue.number, index);
        index
    }

    /// A consumer delivers no more; what it delivered may still be settled.
    pub fn retire_origin(&mut self, source: &Source) {
        if let Source::Queue { origin: Some(index), .. } = source {
            if let Some(origin) = self.origin_mut(*index) {
                origin.live = false;
            }
            self.drop_if_unused(*index);
        }
    }

    /// Forgets an origin that nothing refers to any more.
    pub fn drop_if_unused(&mut self, index: OriginIndex) {
        if let Some(place) = self.origins.get_mut(index as usize) {
            let unused = |origin: &Origin| !origin.live && origin.outstanding == 0 && origin.settled == 0;
            if place.as_ref().is_some_and(unused) {
                if let Some(Origin { consumer: None, queue, .. }) = place.take() {
                    self.gets.remove(&queue.number);
                }
                self.free_origins.push(index);
            }
        }
    }

    /// How long each origin's deliveries may stay unsettled: as its consumer says, else its queue and the queue's
    /// policies, else `default` (BAS-71).
    pub fn timeouts(&self, default: Option<Millis>) -> Vec<Option<Millis>> {
        let timeout =
            |origin: &Origin| origin.timeout.or(origin.queue.rules().consumer_timeout_ms).or(default);
        self.origins.iter().map(|origin| origin.as_ref().map_or(default, timeout)).collect()
    }

    /// The timeout that a delivery exceeds, if there is one.
    pub fn exceeded(&self, timeouts: &[Option<Millis>], now: Millis) -> Option<Millis> {
        let is_over = |since: Millis, timeout: Millis| since.saturating_add(timeout) <= now;
        let first = timeouts.first().copied().flatten();
        if timeouts.iter().all(|timeout| *timeout == first) {
            // The oldest one decides.
            return first
                .filter(|timeout| self.unacked.oldest().is_some_and(|since| is_over(since, *timeout)));
        }
        self.unacked.outstanding().find_map(|(origin, since)| {
            let timeout = timeouts.get(origin as usize).copied().flatten()?;
            is_over(since, timeout).then_some(timeout)
        })
    }

    /// Notes a settlement; the queue is told at the next flush.
    #[inline]
    pub fn note_settled(&mut self, unacked: &Unacked) {
        let index = unacked.origin;
        if let Some(Some(origin)) = self.origins.get_mut(index as usize) {
            if unacked.entry.logged {
                origin.settled_logged.push(unacked.entry.sequence);
            }
            if let Some(identified) = &mut origin.settled_identified {
                identified.push(unacked.entry.sequence);
            }
            origin.outstanding = origin.outstanding.saturating_sub(1);
            if origin.settled == 0 {
                self.settled_origins.push(index);
            }
            origin.settled += 1;
            origin.settled_bytes += unacked.entry.message.body_length();
        }
    }
}
