//! What of the log is still needed: for each queue the sequences that live in it, and its pages.
//!
//! The writer owns it. Nothing here does I/O; a batch is applied first and written after, so that messages
//! that are settled within their own batch are never written.

use std::collections::BTreeMap;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::{
    definition::{Definition, QueueId},
    homes::Homes,
    record::{PageRecord, Place, Places},
    sequences::Sequences,
};
use crate::broker::queue::returns;

/// All queues.
#[derive(Debug, Default)]
pub struct Index {
    queues: HashMap<QueueId, QueueIndex, FixedState>,
    /// By vhost: the oldest segment with definitions that are still needed.
    definitions: BTreeMap<String, u64>,
    /// Queues with messages in the batch that is being applied.
    touched: Vec<QueueId>,
    live_bytes: u64,
}

/// What the log holds of one queue.
#[derive(Debug, Default)]
struct QueueIndex {
    /// Live messages in the log itself.
    live: Sequences,
    /// Those of the batch that is being applied.
    fresh: Sequences,
    /// Octets of the records of `live`, about.
    bytes: u64,
    /// Settlements and returns that came before their messages: connections hand in their own at different
    /// times.
    early: HashMap<u64, Early, FixedState>,
    /// Live messages that were given back, and how often.
    returns: BTreeMap<u64, u32>,
    pages: BTreeMap<u64, PageIndex>,
    homes: Homes,
}

#[derive(Debug, Clone, Copy)]
enum Early {
    Settled,
    Returned(u32),
}

/// A page that holds live messages, or that its queue has not let go of yet.
#[derive(Debug)]
struct PageIndex {
    record: PageRecord,
    live: Sequences,
    /// Messages in it that had not arrived when it was written, or not been given to the page: they live in
    /// the log itself if they live, and are thrown away with the page if that is.
    elsewhere: Vec<u64>,
    /// The segment with its newest record.
    segment: u64,
    /// Its queue does not need the file any more: everything was taken into memory or dropped.
    released: bool,
}

/// The place of a page in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRange {
    pub file: u64,
    pub offset: u64,
    pub length: u64,
}

impl PageRange {
    /// Where a page lies.
    pub fn of(record: &PageRecord) -> PageRange {
        let PageRecord { file, offset, length, .. } = *record;
        PageRange { file, offset, length }
    }
}

/// What became of a settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settled {
    /// Its message is in the log: the settlement must be, too.
    Record,
    /// Nothing needs to be written.
    Nothing,
}

impl QueueIndex {
    fn settle(&mut self, sequence: u64, freed: &mut Vec<PageRange>, live_bytes: &mut u64) -> Settled {
        if !self.returns.is_empty() {
            self.returns.remove(&sequence);
        }
        if self.fresh.remove(sequence) {
            return Settled::Nothing;
        }
        let count = self.live.len();
        if self.live.remove(sequence) {
            let share = self.bytes / count.max(1);
            self.bytes -= share;
            *live_bytes = live_bytes.saturating_sub(share);
            return Settled::Record;
        }
        if let Some(page) = self.page_of(sequence) {
            self.settle_in_page(page, sequence, freed);
            return Settled::Record;
        }
        self.early.insert(sequence, Early::Settled);
        Settled::Nothing
    }

    /// The page in which a sequence lives.
    fn page_of(&self, sequence: u64) -> Option<u64> {
        let mut homes = self.homes.of(sequence);
        homes.find(|page| self.pages.get(page).is_some_and(|page| page.live.contains(sequence)))
    }

    fn settle_in_page(&mut self, number: u64, sequence: u64, freed: &mut Vec<PageRange>) {
        if let Some(page) = self.pages.get_mut(&number) {
            page.live.remove(sequence);
        }
        self.drop_page_if_done(number, freed);
    }

    fn drop_page_if_done(&mut self, number: u64, freed: &mut Vec<PageRange>) {
        let done = self.pages.get(&number).is_some_and(|page| page.released && page.live.is_empty());
        if done && let Some(page) = self.pages.remove(&number) {
            self.homes.forget(number, page.record.lane, &page.record.live);
            freed.push(PageRange::of(&page.record));
        }
    }

    /// Takes a page in; what lived in the log lives in the page from now on. `None` when nothing lives in it;
    /// its queue has it nevertheless.
    fn add_page(
        &mut self,
        record: &PageRecord,
        segment: u64,
        recovering: bool,
        freed: &mut Vec<PageRange>,
    ) -> Option<PageRecord> {
        let (mut live, mut elsewhere) = (Sequences::default(), Vec::new());
        let before = self.live.len();
        for (first, length) in &record.live {
            for sequence in *first..first.saturating_add(*length) {
                let was_here = self.live.remove(sequence) | self.fresh.remove(sequence);
                // Messages that were read back may be paged out once more.
                let was_paged = !was_here
                    && self.page_of(sequence).is_some_and(|page| {
                        self.settle_in_page(page, sequence, freed);
                        true
                    });
                if was_here || was_paged || recovering {
                    live.insert(sequence);
                } else {
                    elsewhere.push(sequence);
                }
            }
        }
        let moved = before - self.live.len();
        self.bytes -= (self.bytes / before.max(1)).saturating_mul(moved).min(self.bytes);
        let record =
            PageRecord { live: live.runs(), returns: returned_in(&self.returns, &live), ..record.clone() };
        if let Some(known) = self.pages.get(&record.page) {
            self.homes.forget(record.page, known.record.lane, &known.record.live);
        }
        self.homes.add(record.page, record.lane, &record.live);
        let page = PageIndex { record: record.clone(), live, elsewhere, segment, released: false };
        self.pages.insert(record.page, page);
        (!record.live.is_empty()).then_some(record)
    }
}

impl Index {
    /// Octets of live message records in the log, about.
    pub fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    /// A message arrives with the current batch: keeps the places that need a record, if it gets one.
    pub fn arrive(&mut self, places: &mut Places) {
        let (queues, touched) = (&mut self.queues, &mut self.touched);
        places.retain(|place| {
            let Some(queue) = queues.get_mut(&place.queue) else { return false };
            if !queue.early.is_empty()
                && let Some(early) = queue.early.remove(&place.sequence)
            {
                match early {
                    Early::Settled => return false,
                    Early::Returned(times) => place.returns = returns::add(place.returns, times),
                }
            }
            if place.returns != 0 {
                queue.returns.insert(place.sequence, place.returns);
            }
            if queue.fresh.is_empty() {
                touched.push(place.queue);
            }
            queue.fresh.insert(place.sequence);
            true
        });
    }

    /// Whether a message of the current batch must still be written for this place.
    pub fn is_fresh(&self, place: &Place) -> bool {
        self.queues.get(&place.queue).is_some_and(|queue| queue.fresh.contains(place.sequence))
    }

    /// A message of the current batch was written for this queue.
    pub fn wrote(&mut self, queue: QueueId, octets: u64) {
        if let Some(queue) = self.queues.get_mut(&queue) {
            queue.bytes += octets;
            self.live_bytes += octets;
        }
    }

    /// The current batch is complete: what is left of it lives in the log.
    pub fn end_batch(&mut self) {
        for queue in self.touched.drain(..) {
            if let Some(queue) = self.queues.get_mut(&queue) {
                queue.live.absorb(&mut queue.fresh);
            }
        }
    }

    /// Messages are done with: keeps the sequences whose settlement needs a record.
    pub fn settle(&mut self, queue: QueueId, sequences: &mut Vec<u64>, freed: &mut Vec<PageRange>) {
        let Some(index) = self.queues.get_mut(&queue) else { return sequences.clear() };
        let live_bytes = &mut self.live_bytes;
        sequences.retain(|sequence| index.settle(*sequence, freed, live_bytes) == Settled::Record);
    }

    /// Deliveries came back: keeps the sequences that need a record. Those of the current batch do not:
    /// their message's own record will say it.
    pub fn give_back(&mut self, queue: QueueId, sequences: &mut Vec<u64>, how: u32) {
        let Some(index) = self.queues.get_mut(&queue) else { return sequences.clear() };
        sequences.retain(|sequence| {
            let fresh = index.fresh.contains(*sequence);
            if fresh || index.live.contains(*sequence) || index.page_of(*sequence).is_some() {
                let times = index.returns.entry(*sequence).or_default();
                *times = returns::add(*times, how);
                return !fresh;
            }
            if let Early::Returned(times) = index.early.entry(*sequence).or_insert(Early::Returned(0)) {
                *times = returns::add(*times, how);
            }
            false
        });
    }

    /// How often a live message was given back.
    pub fn returns(&self, place: &Place) -> u32 {
        let queue = self.queues.get(&place.queue);
        queue.and_then(|queue| queue.returns.get(&place.sequence)).copied().unwrap_or(0)
    }

    /// Whether the message of a record of the log is still needed for this place.
    pub fn is_live(&self, place: &Place) -> bool {
        self.queues.get(&place.queue).is_some_and(|queue| queue.live.contains(place.sequence))
    }

    /// A definition is written to this segment.
    pub fn define(&mut self, definition: &Definition, segment: u64, freed: &mut Vec<PageRange>) {
        match definition {
            Definition::DeclareQueue { queue, .. } => {
                for id in queue.ids() {
                    self.queues.entry(id).or_default();
                }
            }
            Definition::DeclareExchange { exchange, .. } => {
                for id in exchange.kept() {
                    self.queues.entry(id).or_default();
                }
            }
            Definition::DeleteQueue { id, .. } | Definition::DeleteKept { id, .. } => {
                self.delete_queue(*id, freed);
            }
            _ => {}
        }
        match definition {
            Definition::Reset { vhost } => {
                self.definitions.insert(vhost.clone(), segment);
            }
            other => {
                if !self.definitions.contains_key(other.vhost()) {
                    self.definitions.insert(other.vhost().to_owned(), segment);
                }
            }
        }
    }

    fn delete_queue(&mut self, queue: QueueId, freed: &mut Vec<PageRange>) {
        if let Some(queue) = self.queues.remove(&queue) {
            self.live_bytes = self.live_bytes.saturating_sub(queue.bytes);
            freed.extend(queue.pages.values().map(|page| PageRange::of(&page.record)));
        }
    }

    /// Queues that are known; a restart forgets those that were never deleted but are not defined.
    pub fn retain_queues(&mut self, keep: impl Fn(QueueId) -> bool) {
        self.queues.retain(|queue, _| keep(*queue));
    }

    /// Vhosts whose definitions must be written again before this segment may go.
    pub fn definitions_before(&self, segment: u64) -> Vec<String> {
        let old = self.definitions.iter().filter(|(_, oldest)| **oldest < segment);
        old.map(|(vhost, _)| vhost.clone()).collect()
    }

    /// A page was written; the record to write, unless nothing lives in it.
    pub fn add_page(
        &mut self,
        record: &PageRecord,
        segment: u64,
        freed: &mut Vec<PageRange>,
    ) -> Option<PageRecord> {
        let Some(queue) = self.queues.get_mut(&record.queue) else {
            freed.push(PageRange::of(record));
            return None;
        };
        let before = queue.bytes;
        let kept = queue.add_page(record, segment, false, freed);
        self.live_bytes = self.live_bytes.saturating_sub(before - queue.bytes);
        kept
    }

    /// Its queue has taken a page's messages into memory, or dropped them.
    pub fn release_page(&mut self, queue: QueueId, page: u64, freed: &mut Vec<PageRange>) {
        if let Some(queue) = self.queues.get_mut(&queue) {
            if let Some(page) = queue.pages.get_mut(&page) {
                page.released = true;
            }
            queue.drop_page_if_done(page, freed);
        }
    }

    /// Its queue has thrown away what a page holds: the runs that were still needed.
    pub fn drop_page(&mut self, queue: QueueId, page: u64, freed: &mut Vec<PageRange>) -> Vec<(u64, u64)> {
        let Some(queue) = self.queues.get_mut(&queue) else { return Vec::new() };
        let Some(index) = queue.pages.get_mut(&page) else { return Vec::new() };
        let mut live = std::mem::take(&mut index.live);
        let elsewhere = std::mem::take(&mut index.elsewhere);
        index.released = true;
        if !queue.returns.is_empty() {
            for sequence in live.iter() {
                queue.returns.remove(&sequence);
            }
        }
        for sequence in elsewhere {
            if queue.settle(sequence, freed, &mut self.live_bytes) == Settled::Record {
                live.insert(sequence);
            }
        }
        queue.drop_page_if_done(page, freed);
        live.runs()
    }

    /// The record of a page as it is now, if its newest one is in this segment or an older one; it is taken to
    /// be written to `into`.
    pub fn renew_page(&mut self, queue: QueueId, page: u64, segment: u64, into: u64) -> Option<PageRecord> {
        let queue = self.queues.get_mut(&queue)?;
        let page = queue.pages.get_mut(&page)?;
        if segment < page.segment {
            return None;
        }
        page.segment = into;
        let returns = returned_in(&queue.returns, &page.live);
        Some(PageRecord { live: page.live.runs(), returns, ..page.record.clone() })
    }

    /// Recovery: what lives from `first` up to `end`, in the log and in pages. A run in a record may be of any
    /// length, so this takes time for what is there and not for the run.
    pub fn living(&self, queue: QueueId, first: u64, end: u64) -> Vec<u64> {
        let Some(index) = self.queues.get(&queue).filter(|_| first < end) else { return Vec::new() };
        let mut living: Vec<u64> = index.live.range(first, end).collect();
        let pages = index.homes.between(first, end).into_iter().filter_map(|page| index.pages.get(&page));
        living.extend(pages.flat_map(|page| page.live.range(first, end)));
        living
    }

    /// Recovery: a message that the log holds.
    pub fn recover_message(&mut self, place: &Place, octets: u64) {
        let queue = self.queues.entry(place.queue).or_default();
        if queue.live.insert(place.sequence) {
            queue.bytes += octets;
            self.live_bytes += octets;
        }
        if place.returns != 0 {
            queue.returns.insert(place.sequence, place.returns);
        }
    }

    /// Recovery: a page as its newest record says.
    pub fn recover_page(&mut self, record: &PageRecord, segment: u64) {
        let queue = self.queues.entry(record.queue).or_default();
        for (first, length) in &record.live {
            let range = *first..first.saturating_add(*length);
            queue.returns.extract_if(range, |_, _| true).for_each(drop);
        }
        queue.returns.extend(record.returns.iter().copied());
        queue.add_page(record, segment, true, &mut Vec::new());
    }

    /// Recovery is complete: settlements that found no message were of messages long gone, and pages in which
    /// nothing lives are of no use to anybody.
    pub fn end_recovery(&mut self) {
        for queue in self.queues.values_mut() {
            queue.early.clear();
            let homes = &mut queue.homes;
            queue.pages.retain(|number, page| {
                let lives = !page.live.is_empty();
                if !lives {
                    homes.forget(*number, page.record.lane, &page.record.live);
                }
                lives
            });
        }
        // What went to pages, or with queues that are not defined, was not subtracted.
        self.live_bytes = self.queues.values().map(|queue| queue.bytes).sum();
    }

    /// All pages, for recovery.
    pub fn pages(&self) -> impl Iterator<Item = (&PageRecord, &Sequences)> {
        self.queues.values().flat_map(|queue| queue.pages.values().map(|page| (&page.record, &page.live)))
    }
}

/// How often messages in a page were given back. Takes time for what is in the page, not for all that was given
/// back.
fn returned_in(returns: &BTreeMap<u64, u32>, live: &Sequences) -> Vec<(u64, u32)> {
    if returns.is_empty() {
        return Vec::new();
    }
    let runs = live.runs().into_iter();
    let inside = runs.flat_map(|(first, length)| returns.range(first..first.saturating_add(length)));
    inside.map(|(sequence, times)| (*sequence, *times)).collect()
}

#[cfg(test)]
mod tests;
