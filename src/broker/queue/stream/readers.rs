//! The consumers of a stream: each at its own place, with its own credit.

use super::{filter::Filter, names::Outstanding, settings::StreamRead};
use crate::broker::{
    Millis,
    queue::{Entry, Outlet, WINDOW_BYTES, WINDOW_MESSAGES, Wakes},
};

/// A consumer.
#[derive(Debug)]
pub struct Reader<O> {
    pub outlet: O,
    /// The next offset it looks at.
    pub next: u64,
    /// Older messages are passed over.
    pub from_time: Option<Millis>,
    pub filter: Option<Filter>,
    pub name: Option<Vec<u8>>,
    /// Whether it takes turns with others of its name, and whether it is its turn.
    pub single_active: bool,
    pub is_active: bool,
    /// What it has not settled yet; only kept for a name.
    pub outstanding: Outstanding,
    prefetch: u32,
    unacknowledged: u32,
    /// Delivered but not yet written to the socket; the connection reports in batches.
    under_way_messages: u32,
    under_way_bytes: u64,
    batch: Vec<Entry>,
}

impl<O: Outlet> Reader<O> {
    pub fn new(outlet: O, read: StreamRead) -> Reader<O> {
        Reader {
            outlet,
            next: 0,
            from_time: None,
            filter: Filter::new(read.filters, read.match_unfiltered),
            name: read.name,
            single_active: read.single_active,
            is_active: true,
            outstanding: Outstanding::default(),
            prefetch: u32::from(read.prefetch),
            unacknowledged: 0,
            under_way_messages: 0,
            under_way_bytes: 0,
            batch: Vec::new(),
        }
    }

    #[inline]
    pub fn has_room(&self) -> bool {
        self.is_active
            && self.unacknowledged < self.prefetch
            && self.under_way_messages < WINDOW_MESSAGES
            && self.under_way_bytes < WINDOW_BYTES
    }

    /// Looks at messages from its place on, in order, until it has no room; says how many it looked at.
    pub fn look_at<'a>(&mut self, entries: impl Iterator<Item = &'a Entry>) -> usize {
        let mut looked_at = 0;
        for entry in entries {
            if !self.has_room() {
                break;
            }
            looked_at += 1;
            self.next = entry.sequence + 1;
            if self.wants(entry) {
                self.give(entry);
            }
        }
        looked_at
    }

    #[inline]
    fn wants(&mut self, entry: &Entry) -> bool {
        if let Some(time) = self.from_time {
            if entry.deadline < time {
                return false;
            }
            self.from_time = None;
        }
        self.filter.as_ref().is_none_or(|filter| filter.wants(&entry.message))
    }

    #[inline]
    fn give(&mut self, entry: &Entry) {
        self.unacknowledged += 1;
        self.under_way_messages += 1;
        self.under_way_bytes += entry.message.body_length();
        let logged = self.name.is_some();
        if logged {
            self.outstanding.push(entry.sequence);
        }
        // What is logged is told when it is settled, which here only names need.
        self.batch.push(Entry { message: entry.message.clone(), logged, ..*entry });
    }

    /// Hands over what it was given.
    pub fn flush(&mut self, wakes: &mut Wakes) {
        if !self.batch.is_empty() {
            self.outlet.deliver(&mut self.batch, wakes);
        }
    }

    pub fn settled(&mut self, deliveries: u32) {
        self.unacknowledged = self.unacknowledged.saturating_sub(deliveries);
    }

    pub fn written(&mut self, messages: u32, bytes: u64) {
        self.under_way_messages = self.under_way_messages.saturating_sub(messages);
        self.under_way_bytes = self.under_way_bytes.saturating_sub(bytes);
    }

    /// Everything before this offset is settled or was passed over.
    pub fn position(&self) -> u64 {
        self.outstanding.position(self.next)
    }

    pub fn unacknowledged(&self) -> u32 {
        self.unacknowledged
    }
}
