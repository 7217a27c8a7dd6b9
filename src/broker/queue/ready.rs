//! The messages of a queue that wait for a consumer, in the order in which they will leave.

use std::collections::{BTreeMap, VecDeque};

use super::Entry;

/// Words of the map of non-empty lanes: 256 priorities.
const WORDS: usize = 4;

/// Ready messages: one lane a priority, highest first, first in first out within a lane.
#[derive(Debug)]
pub struct Ready {
    lanes: Vec<Lane>,
    /// Bit n is set while lane n holds something, so that 256 empty lanes cost nothing.
    filled: [u64; WORDS],
    count: u64,
    bytes: u64,
}

#[derive(Debug, Default)]
struct Lane {
    /// Requeued messages by sequence number. Invariant: all are older than anything in `fresh`, because
    /// messages leave a lane from the front only.
    returned: BTreeMap<u64, Entry>,
    fresh: VecDeque<Entry>,
}

impl Lane {
    fn front(&self) -> Option<&Entry> {
        match self.returned.first_key_value() {
            Some((_, entry)) => Some(entry),
            None => self.fresh.front(),
        }
    }

    #[inline]
    fn pop(&mut self) -> Option<Entry> {
        if self.returned.is_empty() {
            return self.fresh.pop_front();
        }
        self.returned.pop_first().map(|(_, entry)| entry)
    }

    fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.returned.is_empty()
    }
}

impl Ready {
    /// `max_priority` is x-max-priority; 0 for a queue without priorities.
    pub fn new(max_priority: u8) -> Ready {
        let lanes = (0..=max_priority).map(|_| Lane::default()).collect();
        Ready { lanes, filled: [0; WORDS], count: 0, bytes: 0 }
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// Octets of the bodies.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The lane of a message: its priority, at most the queue's highest (PRI-01).
    #[inline]
    fn lane_of(&self, entry: &Entry) -> usize {
        if self.lanes.len() == 1 {
            return 0;
        }
        usize::from(entry.message.priority()).min(self.lanes.len() - 1)
    }

    #[inline]
    fn highest(&self) -> Option<usize> {
        if self.count == 0 {
            return None;
        }
        if self.lanes.len() == 1 {
            return Some(0);
        }
        let word = (0..WORDS).rev().find(|&word| self.filled.get(word).is_some_and(|bits| *bits != 0))?;
        let bits = self.filled.get(word).copied()?;
        Some(word * 64 + 63 - bits.leading_zeros() as usize)
    }

    #[inline]
    fn mark(&mut self, lane: usize, filled: bool) {
        if let Some(word) = self.filled.get_mut(lane / 64) {
            let bit = 1 << (lane % 64);
            *word = if filled { *word | bit } else { *word & !bit };
        }
    }

    /// Adds a message that has never been here; its sequence number is the highest yet.
    #[inline]
    pub fn push(&mut self, entry: Entry) {
        let lane = self.lane_of(&entry);
        self.account(lane, &entry);
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.fresh.push_back(entry);
        }
    }

    /// Puts a message back where it was (BAS-63).
    pub fn put_back(&mut self, entry: Entry) {
        let lane = self.lane_of(&entry);
        self.account(lane, &entry);
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.returned.insert(entry.sequence, entry);
        }
    }

    #[inline]
    fn account(&mut self, lane: usize, entry: &Entry) {
        self.count += 1;
        self.bytes += entry.message.body_length();
        self.mark(lane, true);
    }

    /// The next to leave.
    pub fn front(&self) -> Option<&Entry> {
        self.lanes.get(self.highest()?)?.front()
    }

    #[inline]
    pub fn pop(&mut self) -> Option<Entry> {
        let index = self.highest()?;
        let lane = self.lanes.get_mut(index)?;
        let entry = lane.pop()?;
        let emptied = lane.is_empty();
        if emptied {
            self.mark(index, false);
        }
        self.count -= 1;
        self.bytes -= entry.message.body_length();
        Some(entry)
    }

    /// Everything, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.lanes.iter().flat_map(|lane| lane.returned.values().chain(&lane.fresh))
    }

    /// Takes everything out. The caller drops it, once no lock is held: that takes time in a long queue.
    pub fn take_all(&mut self) -> Ready {
        let highest = u8::try_from(self.lanes.len() - 1).unwrap_or(u8::MAX);
        std::mem::replace(self, Ready::new(highest))
    }

    /// Gives back memory that a past backlog needed.
    pub fn shrink(&mut self) {
        for lane in &mut self.lanes {
            if lane.fresh.capacity() > 1024 && lane.fresh.len() < lane.fresh.capacity() / 4 {
                lane.fresh.shrink_to(lane.fresh.len() * 2);
            }
        }
    }
}
