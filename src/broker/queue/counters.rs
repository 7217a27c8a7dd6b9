//! What a queue counts of itself: plain numbers under its lock.

use super::{Death, Message};
use crate::broker::Millis;

/// Counts since the queue was made; none ever goes back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueCounters {
    /// Messages that arrived, whatever became of them.
    pub published: u64,
    /// Deliveries that are to be acknowledged.
    pub delivered: u64,
    /// Deliveries that are not.
    pub delivered_no_ack: u64,
    /// The same for basic.get.
    pub got: u64,
    pub got_no_ack: u64,
    /// How often basic.get found nothing.
    pub got_nothing: u64,
    /// Those of the deliveries that were not the first of their message.
    pub redelivered: u64,
    pub acknowledged: u64,
    pub died_rejected: u64,
    pub died_expired: u64,
    pub died_of_length: u64,
    pub died_of_delivery_limit: u64,
    /// Messages read from pages, and those written to the log or to pages.
    pub disk_reads: u64,
    pub disk_writes: u64,
    /// Milliseconds during which a consumer could have taken a message.
    pub with_room: Millis,
}

impl QueueCounters {
    pub fn add(&mut self, other: &QueueCounters) {
        self.published += other.published;
        self.delivered += other.delivered;
        self.delivered_no_ack += other.delivered_no_ack;
        self.got += other.got;
        self.got_no_ack += other.got_no_ack;
        self.got_nothing += other.got_nothing;
        self.redelivered += other.redelivered;
        self.acknowledged += other.acknowledged;
        self.died_rejected += other.died_rejected;
        self.died_expired += other.died_expired;
        self.died_of_length += other.died_of_length;
        self.died_of_delivery_limit += other.died_of_delivery_limit;
        self.disk_reads += other.disk_reads;
        self.disk_writes += other.disk_writes;
        self.with_room += other.with_room;
    }

    #[inline]
    pub(super) fn died(&mut self, death: Death) {
        let counter = match death {
            Death::Rejected => &mut self.died_rejected,
            Death::Expired => &mut self.died_expired,
            Death::MaxLength => &mut self.died_of_length,
            Death::DeliveryLimit => &mut self.died_of_delivery_limit,
        };
        *counter += 1;
    }
}

/// A queue's counters with what they are counted from.
#[derive(Debug, Default)]
pub struct Counting {
    pub counters: QueueCounters,
    /// Octets of bodies that wait for a settlement.
    pub unacknowledged_bytes: u64,
    /// The last operation with a message.
    pub active: Millis,
    /// Since when a consumer has room; `None` while none has.
    room_since: Option<Millis>,
}

impl Counting {
    pub fn new(now: Millis) -> Counting {
        Counting { active: now, ..Counting::default() }
    }

    /// Told after each dispatch whether any consumer has room.
    #[inline]
    pub fn note_room(&mut self, has_room: bool, now: Millis) {
        match self.room_since {
            None if has_room => self.room_since = Some(now),
            Some(since) if !has_room => {
                self.counters.with_room += now.saturating_sub(since);
                self.room_since = None;
            }
            _ => {}
        }
    }

    /// The counters at this moment.
    pub fn at(&self, now: Millis) -> QueueCounters {
        let running = self.room_since.map_or(0, |since| now.saturating_sub(since));
        QueueCounters { with_room: self.counters.with_room + running, ..self.counters }
    }

    /// Whether a message can be given to a consumer at this moment.
    pub fn has_room(&self) -> bool {
        self.room_since.is_some()
    }

    /// A message is held by a consumer until it settles it.
    #[inline]
    pub fn hold(&mut self, message: &Message) {
        self.unacknowledged_bytes += message.body_length();
    }

    #[inline]
    pub fn release(&mut self, bytes: u64) {
        self.unacknowledged_bytes = self.unacknowledged_bytes.saturating_sub(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_with_room_runs_while_there_is_room() {
        let mut counting = Counting::default();
        counting.note_room(false, 5);
        counting.note_room(true, 10);
        counting.note_room(true, 15);
        assert_eq!((counting.at(20).with_room, counting.has_room()), (10, true));
        counting.note_room(false, 30);
        assert_eq!((counting.at(100).with_room, counting.has_room()), (20, false));
        counting.note_room(true, 100);
        assert_eq!(counting.at(101).with_room, 21);
    }
}
