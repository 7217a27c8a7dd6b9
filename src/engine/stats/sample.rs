//! Looking at everything every few seconds, for rates and charts.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use parking_lot::Mutex;

use super::{ConnectionMeter, Figure, Figures, History, MessageSizes, Sums, Tally};
use crate::{
    broker::Millis,
    engine::{Node, QueueRef},
};

/// How many figures the history of a queue has.
pub const QUEUE_FIGURES: usize = Figure::COUNT;
/// Time between two looks, unless the configuration says otherwise.
const INTERVAL: Millis = 5_000;
/// Samples of the node: an hour at the usual interval.
const NODE_SAMPLES: usize = 721;
/// Samples of an object, as long as few have traffic: ten minutes.
const MANY_SAMPLES: usize = 121;
/// One minute, when there are more.
const SOME_SAMPLES: usize = 13;
/// What rates need.
const FEW_SAMPLES: usize = 3;

/// What comes and goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Event {
    ConnectionCreated,
    ConnectionClosed,
    ChannelCreated,
    ChannelClosed,
    QueueDeclared,
    QueueCreated,
    QueueDeleted,
}

/// How often each of them happened.
pub type Churn = [u64; 7];

/// The statistics of the node itself.
#[derive(Debug)]
pub struct NodeStats {
    /// In milliseconds.
    interval: AtomicU64,
    events: [AtomicU64; 7],
    pub history: Mutex<History<{ Figure::COUNT }>>,
    pub churn_history: Mutex<History<7>>,
    /// Sizes of what was published by connections that are gone.
    sizes: MessageSizes,
    /// The same of their traffic.
    traffic: [Tally; 4],
    /// Logins by AMQP and by HTTP: attempted, failed.
    pub amqp_logins: [Tally; 2],
    pub http_logins: [Tally; 2],
    /// Objects with traffic at the last look.
    active: AtomicUsize,
}

impl Default for NodeStats {
    fn default() -> NodeStats {
        NodeStats {
            interval: AtomicU64::new(INTERVAL),
            events: Default::default(),
            history: Mutex::default(),
            churn_history: Mutex::default(),
            sizes: MessageSizes::default(),
            traffic: Default::default(),
            amqp_logins: Default::default(),
            http_logins: Default::default(),
            active: AtomicUsize::new(0),
        }
    }
}

impl NodeStats {
    pub fn interval(&self) -> Millis {
        self.interval.load(Relaxed)
    }

    pub fn set_interval(&self, interval: Millis) {
        self.interval.store(interval.max(1), Relaxed);
    }

    pub fn note(&self, event: Event) {
        if let Some(count) = self.events.get(event as usize) {
            count.fetch_add(1, Relaxed);
        }
    }

    pub fn churn(&self) -> Churn {
        std::array::from_fn(|at| self.events.get(at).map_or(0, |count| count.load(Relaxed)))
    }

    /// Takes over what a connection counted that ends.
    pub fn take_over(&self, meter: &ConnectionMeter) {
        self.sizes.add(&meter.sizes);
        self.traffic.iter().zip(meter.traffic()).for_each(|(sum, more)| sum.add_shared(more));
    }

    /// Octets received and sent, reads and writes of connections that are gone.
    pub fn ended_traffic(&self) -> [u64; 4] {
        std::array::from_fn(|at| self.traffic.get(at).map_or(0, Tally::get))
    }

    /// How many samples an object may keep: memory for statistics must not grow with the number of objects.
    fn samples(&self) -> usize {
        match self.active.load(Relaxed) {
            ..=1_000 => MANY_SAMPLES,
            1_001..=10_000 => SOME_SAMPLES,
            _ => FEW_SAMPLES,
        }
    }
}

impl Node {
    /// Sizes of everything that was published: each class, and the octets of all.
    pub fn message_sizes(&self) -> MessageSizes {
        let sum = MessageSizes::default();
        sum.add(&self.stats.sizes);
        self.connections().iter().for_each(|connection| sum.add(&connection.meter.sizes));
        sum
    }

    /// Forgets what was sampled of everything.
    pub fn forget_samples(&self) {
        for vhost in self.vhosts() {
            vhost.stats.history.lock().forget();
            vhost.stats.ended.exchanges.lock().values_mut().for_each(|record| record.history.forget());
            vhost.queues().iter().for_each(|queue| queue.history.lock().forget());
        }
        for connection in self.connections() {
            connection.meter.history.lock().forget();
            connection.meter.channels().iter().for_each(|(_, channel)| channel.history.lock().forget());
        }
        self.stats.history.lock().forget();
        self.stats.churn_history.lock().forget();
    }

    /// Remembers what everything counts at this moment; to be called once an interval.
    pub fn sample(&self, now: Millis) {
        let (interval, most) = (self.stats.interval(), self.stats.samples());
        let mut active = 0;
        let mut see = |queue: &QueueRef, figures: Figures| {
            active += usize::from(queue.history.lock().record(now, figures.0, interval, most));
        };
        let vhosts = self.sums_seeing(self.vhosts(), now, &mut see);
        let mut all = Sums::default();
        for (vhost, sums) in &vhosts {
            vhost.stats.history.lock().record(now, sums.figures.0, interval, most);
            all.add(sums);
            let figures = self.exchange_figures(vhost);
            // The lock of the topology comes before that of the records.
            let known: Vec<_> = figures.into_iter().filter(|(name, _)| vhost.has_exchange(name)).collect();
            let mut records = vhost.stats.ended.exchanges.lock();
            for (name, figures) in known {
                active += usize::from(
                    records.entry(name).or_default().history.record(now, figures, interval, most),
                );
            }
        }
        for connection in self.connections() {
            let meter = &connection.meter;
            active += usize::from(meter.history.lock().record(now, meter.traffic(), interval, most));
            for (_, channel) in meter.channels() {
                let figures = channel.figures().0;
                active += usize::from(channel.history.lock().record(now, figures, interval, most));
            }
        }
        self.stats.history.lock().record(now, all.figures.0, interval, NODE_SAMPLES);
        self.stats.churn_history.lock().record(now, self.stats.churn(), interval, NODE_SAMPLES);
        self.stats.active.store(active, Relaxed);
    }
}
