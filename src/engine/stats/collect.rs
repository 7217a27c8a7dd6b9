//! Sums over queues, channels and those that are gone, when somebody asks.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::{ConnectionMeter, Figure, Figures, History};
use crate::{
    broker::{
        Millis,
        queue::{Counts, QueueCounters},
        queue_type::QueueType,
    },
    engine::{Node, OpenConnection, QueueRef, Vhost},
};

/// Counters of queues, for each type of queue.
#[derive(Debug, Clone, Copy, Default)]
pub struct ByQueueType([QueueCounters; QueueType::ALL.len()]);

impl ByQueueType {
    pub fn get(&self, queue_type: QueueType) -> QueueCounters {
        self.0.get(queue_type as usize).copied().unwrap_or_default()
    }

    pub fn add(&mut self, queue_type: QueueType, counters: &QueueCounters) {
        if let Some(sum) = self.0.get_mut(queue_type as usize) {
            sum.add(counters);
        }
    }

    fn add_all(&mut self, other: &ByQueueType) {
        for (sum, counters) in self.0.iter_mut().zip(&other.0) {
            sum.add(counters);
        }
    }
}

/// Queues of some vhosts up to which sums over them are made whenever somebody asks. Above, they are those of the
/// last look at everything: adding up 100,000 queues takes longer than whoever asks for an overview wants to wait,
/// and holds up whoever uses them.
const EXACT_MAX: usize = 2_000;

/// What the queues of a vhost come to, those that are gone included.
#[derive(Debug, Clone, Copy, Default)]
pub struct QueueSums {
    counts: Counts,
    consumers: u64,
    memory: u64,
    by_type: ByQueueType,
}

impl QueueSums {
    /// `see` is told the figures of each queue.
    fn of(vhost: &Vhost, now: Millis, mut see: impl FnMut(&QueueRef, Figures)) -> QueueSums {
        let mut sums = QueueSums { by_type: vhost.stats.ended.queues(), ..QueueSums::default() };
        for queue in vhost.queues() {
            let (counts, counters, memory) = queue.sums(now);
            sums.counts.ready += counts.ready;
            sums.counts.ready_bytes += counts.ready_bytes;
            sums.counts.unacknowledged += counts.unacknowledged;
            sums.counts.unacknowledged_bytes += counts.unacknowledged_bytes;
            sums.consumers += u64::from(counts.consumers);
            sums.memory += memory;
            sums.by_type.add(queue.properties.arguments.queue_type, &counters);
            see(&queue, Figures::of_queue(&counts, &counters));
        }
        sums
    }
}

/// What there is in some vhosts, and what happened there.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sums {
    pub queues: u64,
    pub exchanges: u64,
    /// Of all queues.
    pub counts: Counts,
    pub consumers: u64,
    pub memory: u64,
    pub channels: u64,
    pub to_confirm: u64,
    pub by_type: ByQueueType,
    pub figures: Figures,
    /// Octets from and to clients that are connected now.
    pub received_octets: u64,
    pub sent_octets: u64,
}

/// A vhost with its sums.
pub type VhostSums = (Arc<Vhost>, Sums);

impl Sums {
    pub fn add(&mut self, other: &Sums) {
        self.queues += other.queues;
        self.exchanges += other.exchanges;
        self.counts.ready += other.counts.ready;
        self.counts.ready_bytes += other.counts.ready_bytes;
        self.counts.unacknowledged += other.counts.unacknowledged;
        self.counts.unacknowledged_bytes += other.counts.unacknowledged_bytes;
        self.consumers += other.consumers;
        self.memory += other.memory;
        self.channels += other.channels;
        self.to_confirm += other.to_confirm;
        self.by_type.add_all(&other.by_type);
        self.figures.add(&other.figures);
        self.received_octets += other.received_octets;
        self.sent_octets += other.sent_octets;
    }

    fn add_connection(&mut self, meter: &ConnectionMeter) {
        self.received_octets += meter.received_octets.get();
        self.sent_octets += meter.sent_octets.get();
        for (_, channel) in meter.channels() {
            self.channels += 1;
            self.to_confirm += channel.to_confirm.get();
            self.figures.add(&channel.figures());
        }
    }
}

type ByVhost = HashMap<Arc<str>, Vec<Arc<OpenConnection>>, RandomState>;

impl Node {
    /// The sums of some vhosts, each for itself. With very many queues in them, what is summed over queues is a
    /// few seconds old.
    pub fn sums_of(&self, vhosts: Vec<Arc<Vhost>>, now: Millis) -> Vec<VhostSums> {
        let queues: usize = vhosts.iter().map(|vhost| vhost.queue_count()).sum();
        let recent = |vhost: &Vhost| {
            let recent = if EXACT_MAX < queues { *vhost.stats.recent.lock() } else { None };
            recent.unwrap_or_else(|| QueueSums::of(vhost, now, |_, _| ()))
        };
        self.sums_with(vhosts, recent)
    }

    /// The sums of some vhosts together.
    pub fn sums(&self, vhosts: Vec<Arc<Vhost>>, now: Millis) -> Sums {
        let mut sums = Sums::default();
        self.sums_of(vhosts, now).iter().for_each(|(_, of)| sums.add(of));
        sums
    }

    /// Adds up everything there is, and remembers it for those who do not want to wait.
    pub(super) fn sums_seeing(
        &self,
        vhosts: Vec<Arc<Vhost>>,
        now: Millis,
        see: &mut dyn FnMut(&QueueRef, Figures),
    ) -> Vec<VhostSums> {
        self.sums_with(vhosts, |vhost| {
            let sums = QueueSums::of(vhost, now, &mut *see);
            *vhost.stats.recent.lock() = Some(sums);
            sums
        })
    }

    fn sums_with(
        &self,
        vhosts: Vec<Arc<Vhost>>,
        mut of_queues: impl FnMut(&Vhost) -> QueueSums,
    ) -> Vec<VhostSums> {
        let mut connections = ByVhost::default();
        for connection in self.connections() {
            connections.entry(connection.info.vhost.clone()).or_default().push(connection);
        }
        let sum = |vhost: Arc<Vhost>| {
            let QueueSums { counts, consumers, memory, by_type } = of_queues(&vhost);
            let (queues, exchanges) = (vhost.queue_count() as u64, vhost.exchange_count() as u64);
            let mut sums = Sums { queues, exchanges, counts, consumers, memory, by_type, ..Sums::default() };
            let ended = &vhost.stats.ended.channels;
            sums.figures.add(&ended.figures());
            sums.to_confirm += ended.to_confirm.get();
            for connection in connections.get(&vhost.name).into_iter().flatten() {
                sums.add_connection(&connection.meter);
            }
            // Channels know nothing of disks and of what waits, the sum over queues does.
            let disk = QueueType::ALL.map(|queue_type| sums.by_type.get(queue_type));
            sums.figures.set(Figure::DiskReads, disk.iter().map(|counters| counters.disk_reads).sum());
            sums.figures.set(Figure::DiskWrites, disk.iter().map(|counters| counters.disk_writes).sum());
            sums.figures.set(Figure::Ready, sums.counts.ready);
            sums.figures.set(Figure::Unacknowledged, sums.counts.unacknowledged);
            (vhost, sums)
        };
        vhosts.into_iter().map(sum).collect()
    }

    /// What went into and out of the exchanges of a vhost, by name; those without traffic are not in it.
    pub fn exchange_figures(&self, vhost: &Vhost) -> HashMap<Arc<str>, [u64; 2], RandomState> {
        let mut figures: HashMap<Arc<str>, [u64; 2], RandomState> = {
            let ended = vhost.stats.ended.exchanges.lock();
            ended.iter().map(|(name, record)| (name.clone(), record.ended.figures())).collect()
        };
        let connections = self.connections();
        for connection in connections.iter().filter(|connection| connection.info.vhost == vhost.name) {
            for (name, meter) in connection.meter.exchanges() {
                let [taken, given] = meter.figures();
                let sum = figures.entry(name).or_default();
                *sum = [sum[0] + taken, sum[1] + given];
            }
        }
        figures.retain(|_, sums| *sums != [0, 0]);
        figures
    }

    /// The history of an exchange, as far as there is one.
    pub fn exchange_history(&self, vhost: &Vhost, name: &str) -> History<2> {
        let exchanges = vhost.stats.ended.exchanges.lock();
        exchanges.get(name).map(|record| record.history.clone()).unwrap_or_default()
    }
}
