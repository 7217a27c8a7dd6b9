//! What connections, their channels and the exchanges they publish to are counted by: each written by one task.

use std::sync::Arc;

use parking_lot::Mutex;

use super::{Figure, Figures, History, Tally};
use crate::amqp::ChannelId;

/// Upper bounds of the classes that sizes of bodies are counted in, in octets.
pub const SIZES: [u64; 8] = [100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 50_000_000, 100_000_000];

/// Sizes of published bodies, by class; the last class has no bound.
#[derive(Debug, Default)]
pub struct MessageSizes {
    pub classes: [Tally; SIZES.len() + 1],
    pub octets: Tally,
}

impl MessageSizes {
    #[inline]
    pub fn note(&self, octets: u64) {
        // Small ones are the many, and found at once.
        let class = SIZES.iter().position(|bound| octets <= *bound).unwrap_or(SIZES.len());
        if let Some(class) = self.classes.get(class) {
            class.add(1);
        }
        self.octets.add(octets);
    }

    pub(super) fn add(&self, other: &MessageSizes) {
        for (class, more) in self.classes.iter().zip(&other.classes) {
            class.add_shared(more.get());
        }
        self.octets.add_shared(other.octets.get());
    }
}

/// What a channel counts.
#[derive(Debug, Default)]
pub struct ChannelMeter {
    pub published: Tally,
    /// Those of them that a confirm was asked for.
    pub to_confirm: Tally,
    pub confirmed: Tally,
    pub returned: Tally,
    pub dropped: Tally,
    pub delivered: Tally,
    pub delivered_no_ack: Tally,
    pub got: Tally,
    pub got_no_ack: Tally,
    pub got_nothing: Tally,
    pub redelivered: Tally,
    pub acknowledged: Tally,
    pub history: Mutex<History<{ Figure::COUNT }>>,
}

impl ChannelMeter {
    pub fn figures(&self) -> Figures {
        let mut figures = Figures::default();
        for (figure, tally) in self.tallies() {
            figures.set(figure, tally.get());
        }
        figures
    }

    fn tallies(&self) -> [(Figure, &Tally); 11] {
        [
            (Figure::Publish, &self.published),
            (Figure::Confirm, &self.confirmed),
            (Figure::ReturnUnroutable, &self.returned),
            (Figure::DropUnroutable, &self.dropped),
            (Figure::Deliver, &self.delivered),
            (Figure::DeliverNoAck, &self.delivered_no_ack),
            (Figure::Get, &self.got),
            (Figure::GetNoAck, &self.got_no_ack),
            (Figure::GetEmpty, &self.got_nothing),
            (Figure::Redeliver, &self.redelivered),
            (Figure::Ack, &self.acknowledged),
        ]
    }

    /// Takes over what a channel counted that is closed now.
    pub(super) fn add(&self, other: &ChannelMeter) {
        for ((_, sum), (_, more)) in self.tallies().iter().zip(other.tallies()) {
            sum.add_shared(more.get());
        }
        self.to_confirm.add_shared(other.to_confirm.get());
    }
}

/// What is counted of one exchange by one connection.
#[derive(Debug, Default)]
pub struct ExchangeMeter {
    /// Publishes to it.
    pub taken: Tally,
    /// Copies that reached queues.
    pub given: Tally,
}

impl ExchangeMeter {
    pub fn figures(&self) -> [u64; 2] {
        [self.taken.get(), self.given.get()]
    }
}

/// What a connection counts, and where its channels do.
#[derive(Debug, Default)]
pub struct ConnectionMeter {
    pub received_octets: Tally,
    pub sent_octets: Tally,
    pub reads: Tally,
    pub writes: Tally,
    pub sizes: MessageSizes,
    pub history: Mutex<History<4>>,
    channels: Mutex<Vec<(ChannelId, Arc<ChannelMeter>)>>,
    exchanges: Mutex<Vec<(Arc<str>, Arc<ExchangeMeter>)>>,
}

impl ConnectionMeter {
    pub fn traffic(&self) -> [u64; 4] {
        [self.received_octets.get(), self.sent_octets.get(), self.reads.get(), self.writes.get()]
    }

    /// The meter of a channel that opens.
    pub fn open_channel(&self, number: ChannelId) -> Arc<ChannelMeter> {
        let meter = Arc::<ChannelMeter>::default();
        self.channels.lock().push((number, meter.clone()));
        meter
    }

    pub fn close_channel(&self, number: ChannelId) {
        self.channels.lock().retain(|(known, _)| *known != number);
    }

    pub fn channels(&self) -> Vec<(ChannelId, Arc<ChannelMeter>)> {
        self.channels.lock().clone()
    }

    pub fn channel_count(&self) -> usize {
        self.channels.lock().len()
    }

    pub fn channel(&self, number: ChannelId) -> Option<Arc<ChannelMeter>> {
        let channels = self.channels.lock();
        channels.iter().find(|(known, _)| *known == number).map(|(_, meter)| meter.clone())
    }

    /// The meter of an exchange that the connection publishes to for the first time.
    pub fn add_exchange(&self, name: &str) -> Arc<ExchangeMeter> {
        let meter = Arc::<ExchangeMeter>::default();
        self.exchanges.lock().push((name.into(), meter.clone()));
        meter
    }

    pub fn exchanges(&self) -> Vec<(Arc<str>, Arc<ExchangeMeter>)> {
        self.exchanges.lock().clone()
    }

    /// The same, once: nobody counts with them any more.
    pub(super) fn take_exchanges(&self) -> Vec<(Arc<str>, Arc<ExchangeMeter>)> {
        std::mem::take(&mut *self.exchanges.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_fall_into_the_class_that_bounds_them() {
        let sizes = MessageSizes::default();
        [0, 100, 101, 1_000_000_000].iter().for_each(|octets| sizes.note(*octets));
        let classes: Vec<u64> = sizes.classes.iter().map(Tally::get).collect();
        assert_eq!(classes, [2, 1, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(sizes.octets.get(), 1_000_000_201);
    }
}
