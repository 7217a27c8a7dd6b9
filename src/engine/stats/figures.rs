//! What is counted of messages: names for operators, and sums.

use crate::broker::queue::{Counts, QueueCounters};

/// One of the things that are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Figure {
    Publish,
    Confirm,
    ReturnUnroutable,
    DropUnroutable,
    Deliver,
    DeliverNoAck,
    Get,
    GetNoAck,
    GetEmpty,
    Redeliver,
    Ack,
    DiskReads,
    DiskWrites,
    /// These are not counts but states.
    Ready,
    Unacknowledged,
    /// Milliseconds in which a queue's consumers had room.
    WithRoom,
}

impl Figure {
    /// How many there are.
    pub const COUNT: usize = 16;
}

/// Each figure of one object, or of many together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures(pub [u64; Figure::COUNT]);

impl Figures {
    pub fn get(&self, figure: Figure) -> u64 {
        self.0.get(figure as usize).copied().unwrap_or_default()
    }

    pub fn set(&mut self, figure: Figure, value: u64) {
        if let Some(place) = self.0.get_mut(figure as usize) {
            *place = value;
        }
    }

    pub fn add(&mut self, other: &Figures) {
        for (sum, value) in self.0.iter_mut().zip(other.0) {
            *sum = sum.wrapping_add(value);
        }
    }

    /// Those of a queue.
    pub fn of_queue(counts: &Counts, counters: &QueueCounters) -> Figures {
        let mut figures = Figures::default();
        for (figure, value) in [
            (Figure::Publish, counters.published),
            (Figure::Deliver, counters.delivered),
            (Figure::DeliverNoAck, counters.delivered_no_ack),
            (Figure::Get, counters.got),
            (Figure::GetNoAck, counters.got_no_ack),
            (Figure::GetEmpty, counters.got_nothing),
            (Figure::Redeliver, counters.redelivered),
            (Figure::Ack, counters.acknowledged),
            (Figure::DiskReads, counters.disk_reads),
            (Figure::DiskWrites, counters.disk_writes),
            (Figure::Ready, counts.ready),
            (Figure::Unacknowledged, counts.unacknowledged),
            (Figure::WithRoom, counters.with_room),
        ] {
            figures.set(figure, value);
        }
        figures
    }
}
