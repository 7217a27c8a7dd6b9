//! The part of a long queue that is on disk: out, in, and what a restart finds there.
//!
//! The queue only decides; its caller reads and writes, without the queue's lock. A page that is being
//! written stays in memory until that is done, and is used from there if consumers are faster.

use std::task::Waker;

use super::{
    Effects, Entry, Millis, Outlet, Queue,
    page::{PageId, PageLimits, PageOut, PageSummary},
};

impl<O: Outlet> Queue<O> {
    /// Octets of memory that the ready messages cost which are not on disk.
    pub fn resident_cost(&self) -> u64 {
        self.ready.resident_cost()
    }

    /// Takes a run of messages that are needed last, to be written to disk: at most so many octets of memory
    /// cost and messages, of the lowest priority first. The first `keep_bytes` of a lane that has no pages yet
    /// stay; a lane with pages continues behind them. `None` when there is too little to be worth it.
    ///
    /// To be answered by [`Queue::paged_out`] or [`Queue::page_out_failed`].
    pub fn page_out(&mut self, keep_bytes: u64, max_bytes: u64, max_messages: u32) -> Option<PageOut> {
        self.ready.page_out(keep_bytes, PageLimits { bytes: max_bytes, messages: max_messages })
    }

    /// A page is on disk and its messages leave memory. False when they were needed, or purged, meanwhile: then
    /// the place on disk is free again.
    pub fn paged_out(&mut self, page: PageId) -> bool {
        let (before, _) = self.ready.away();
        let is_out = self.ready.paged_out(page);
        self.counting.counters.disk_writes += self.ready.away().0 - before;
        is_out
    }

    /// A page could not be written; its messages stay in memory and in their places.
    pub fn page_out_failed(&mut self, page: PageId) {
        self.ready.page_out_failed(page);
    }

    /// A page that was asked for, in order; those of its messages that were settled before a restart are
    /// missing. False when nobody waits for it any more.
    pub fn paged_in(
        &mut self,
        page: PageId,
        entries: Vec<Entry>,
        now: Millis,
        effects: &mut Effects,
    ) -> bool {
        let read = entries.len() as u64;
        let awaited = self.ready.paged_in(page, entries);
        if awaited {
            self.counting.counters.disk_reads += read;
            self.page_answered(now, effects);
        }
        awaited
    }

    /// A page cannot be read; says how many messages are lost with it.
    pub fn page_lost(&mut self, page: PageId, now: Millis, effects: &mut Effects) -> u64 {
        let range = self.ready.sequences_of(page);
        let lost = self.ready.page_lost(page);
        if lost != 0 {
            if let Some((first, last)) = range {
                self.forget_lost(first, last, effects);
            }
            self.page_answered(now, effects);
        }
        lost
    }

    fn page_answered(&mut self, now: Millis, effects: &mut Effects) {
        effects.wakes.extend(self.page_waiters.drain(..));
        self.settle_returned(now, effects);
    }

    /// Wakes `waker` when the next page has come, or will never come.
    pub fn wait_for_page(&mut self, waker: &Waker) {
        if !self.page_waiters.iter().any(|known| known.will_wake(waker)) {
            self.page_waiters.push(waker.clone());
        }
    }

    /// Tells a new queue which pages of it are on disk, in ascending order within each lane; before
    /// [`Queue::restore`].
    pub fn restore_pages(&mut self, pages: impl IntoIterator<Item = PageSummary>) {
        for page in pages {
            self.ready.restore_page(&page);
            self.next_sequence = self.next_sequence.max(page.last_sequence + 1);
        }
    }

    /// Fills a new queue with what it held when the broker stopped, in ascending order; its limits apply from
    /// the next operation on.
    ///
    /// Messages whose places are within or between pages leave in order, too: they wait in memory for the page
    /// before them.
    pub fn restore(&mut self, entries: Vec<Entry>, next_sequence: u64) {
        debug_assert!(entries.is_sorted_by_key(|entry| entry.sequence), "entries come in order");
        let behind_last = entries.last().map_or(0, |last| last.sequence + 1);
        for entry in entries {
            self.ready.restore(entry);
        }
        self.next_sequence = self.next_sequence.max(next_sequence).max(behind_last);
    }
}
