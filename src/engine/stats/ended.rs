//! What was counted in a vhost by queues, channels and connections that are gone: sums never go back.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use parking_lot::Mutex;

use super::{ByQueueType, ChannelMeter, ConnectionMeter, ExchangeMeter, Figure, History, collect::QueueSums};
use crate::broker::{queue::QueueCounters, queue_type::QueueType};

/// An exchange's part of them, and its history.
#[derive(Debug, Default)]
pub struct ExchangeRecord {
    pub ended: ExchangeMeter,
    pub history: History<2>,
}

/// What a vhost remembers of those that are gone.
#[derive(Debug, Default)]
pub struct Ended {
    /// Channels that are closed, and what was published and got without one.
    pub channels: ChannelMeter,
    queues: Mutex<ByQueueType>,
    /// By name; only of exchanges that there are, so that nobody can fill it.
    pub(super) exchanges: Mutex<HashMap<Arc<str>, ExchangeRecord, RandomState>>,
}

/// The statistics of a vhost.
#[derive(Debug, Default)]
pub struct VhostStats {
    pub ended: Ended,
    pub history: Mutex<History<{ Figure::COUNT }>>,
    /// What its queues came to at the last look at everything.
    pub(super) recent: Mutex<Option<QueueSums>>,
}

impl Ended {
    /// A queue is deleted.
    pub fn add_queue(&self, queue_type: QueueType, counters: &QueueCounters) {
        self.queues.lock().add(queue_type, counters);
    }

    pub fn queues(&self) -> ByQueueType {
        *self.queues.lock()
    }

    /// Counts what nobody's connection counts.
    pub fn add_exchange(&self, name: &str, taken: u64, given: u64) {
        let mut exchanges = self.exchanges.lock();
        let record = exchanges.entry(name.into()).or_default();
        record.ended.taken.add(taken);
        record.ended.given.add(given);
    }

    /// Takes over from a connection that ends, or that publishes to many exchanges, what it counted of those
    /// that `exists` knows.
    pub fn add_exchanges(&self, meter: &ConnectionMeter, exists: impl Fn(&str) -> bool) {
        for (name, meter) in meter.take_exchanges() {
            let [taken, given] = meter.figures();
            if taken != 0 && exists(&name) {
                self.add_exchange(&name, taken, given);
            }
        }
    }

    pub fn add_channel(&self, meter: &ChannelMeter) {
        self.channels.add(meter);
    }

    /// Deleted exchanges are forgotten.
    pub fn forget_exchanges<'a>(&self, names: impl Iterator<Item = &'a str>) {
        let mut exchanges = self.exchanges.lock();
        names.for_each(|name| drop(exchanges.remove(name)));
    }
}
