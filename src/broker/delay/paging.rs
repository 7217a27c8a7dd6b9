//! Waiting messages on disk: what is due last goes there, and comes back before its time.
//!
//! The caller reads and writes, without any lock of the delay's. A page that is being written stays in memory
//! until that is done. After a restart pages are read once, to learn what is due when.

use std::sync::Arc;

use super::{Delay, Due, Waiting, cost};
use crate::broker::{
    Millis,
    queue::{Effects, Entry, PageId, PageOut, PageSummary},
};

/// How long before their time messages are fetched, in milliseconds.
pub const LEAD: Millis = 1000;
/// Octets of memory cost in front of the first message away for which fetching that may wait.
const AHEAD: u64 = 256 << 10;
/// Octets that stay in memory whatever the caller asks to be kept.
const KEEP_MIN: u64 = 2 * AHEAD;
/// Octets of a page at most. Smaller than those of queues: only a part of one may be needed soon.
const PAGE_BYTES: u64 = 1 << 20;
/// A page that saves less memory is not worth its place on disk.
const WORTH_WRITING: u64 = 64 << 10;
/// What knowing of a message on disk costs in memory, in octets.
const AWAY_COST: i64 = 64;

/// A message that is on disk.
#[derive(Debug)]
pub struct Away {
    pub page: PageId,
    /// Octets of its body; as many as fit.
    pub length: u32,
}

/// Messages that are on disk, or on the way there or back.
#[derive(Debug)]
pub struct Page {
    state: State,
    /// How many of its messages still wait.
    left: u64,
}

#[derive(Debug)]
enum State {
    Writing(Arc<Vec<Entry>>),
    OnDisk,
    /// Asked for.
    Fetching,
    /// From before a restart: nobody knows yet what is in it.
    Unread {
        bytes: u64,
    },
}

impl Delay {
    /// Octets of memory that the messages cost which are not on disk.
    pub fn resident_cost(&self) -> u64 {
        self.here_bytes + self.here.len() as u64 * super::OVERHEAD
    }

    /// Pages of which nobody knows what is in them.
    pub(super) fn unread(&self) -> Waiting {
        let mut unread = Waiting::default();
        for page in self.pages.values() {
            if let State::Unread { bytes } = page.state {
                unread.messages += page.left;
                unread.bytes += bytes;
            }
        }
        unread
    }

    /// Takes messages that are due last, to be written to disk. `None` when there is too little to be worth it.
    ///
    /// To be answered by [`Delay::paged_out`] or [`Delay::page_out_failed`].
    pub fn page_out(&mut self, keep: u64, bytes: u64, messages: u32) -> Option<PageOut> {
        let written = self.pages.values().map(|page| match &page.state {
            State::Writing(entries) => entries.iter().map(|entry| cost(&entry.message)).sum(),
            _ => 0,
        });
        let spare = self.resident_cost().checked_sub(written.sum::<u64>() + keep.max(KEEP_MIN))?;
        let most = spare.min(bytes).min(PAGE_BYTES);
        if most < WORTH_WRITING {
            return None;
        }
        let id = PageId(self.next_page);
        let mut taken: Vec<(Due, _)> = Vec::new();
        let mut taken_cost = 0;
        for (due, here) in self.here.iter_mut().rev().filter(|(_, here)| here.page.is_none()) {
            if most <= taken_cost || messages as usize <= taken.len() {
                break;
            }
            taken_cost += cost(&here.message);
            here.page = Some(id);
            taken.push((*due, here.message.clone()));
        }
        if taken.is_empty() {
            return None;
        }
        self.next_page += 1;
        let entries: Vec<Entry> =
            taken.into_iter().rev().map(|(due, message)| self.entry(due, message)).collect();
        let entries = Arc::new(entries);
        self.pages.insert(id, Page { state: State::Writing(entries.clone()), left: 0 });
        Some(PageOut { page: id, lane: 0, entries })
    }

    /// A page is on disk: those of its messages that still wait leave memory, and are returned by their numbers.
    /// When there are none, its place is free again.
    pub fn paged_out(&mut self, id: PageId) -> Vec<u64> {
        let mut moved = Vec::new();
        let Some(page) = self.pages.get_mut(&id) else { return moved };
        let State::Writing(entries) = std::mem::replace(&mut page.state, State::OnDisk) else { return moved };
        for Entry { deadline, sequence, .. } in entries.iter() {
            let due = (*deadline, *sequence);
            if self.here.get(&due).is_some_and(|here| here.page == Some(id))
                && let Some(here) = self.here.remove(&due)
            {
                let length = here.message.body_length();
                self.here_bytes -= length;
                self.put_away(due, id, length);
                moved.push(*sequence);
            }
        }
        match self.pages.get_mut(&id) {
            Some(page) if !moved.is_empty() => page.left = moved.len() as u64,
            _ => drop(self.pages.remove(&id)),
        }
        moved.sort_unstable();
        moved
    }

    /// A page could not be written; its messages stay in memory.
    pub fn page_out_failed(&mut self, id: PageId) {
        if let Some(Page { state: State::Writing(entries), .. }) = self.pages.remove(&id) {
            for entry in entries.iter() {
                if let Some(here) = self.here.get_mut(&(entry.deadline, entry.sequence)) {
                    here.page = None;
                }
            }
        }
    }

    /// The messages of a page that was asked for. False when it is not awaited any more.
    pub fn paged_in(&mut self, id: PageId, entries: Vec<Entry>, now: Millis, effects: &mut Effects) -> bool {
        if !self.pages.get(&id).is_some_and(|page| matches!(page.state, State::Fetching)) {
            return false;
        }
        let mut left = self.pages.remove(&id).map_or(0, |page| page.left);
        for Entry { message, sequence, deadline, .. } in entries {
            let due = (deadline, sequence);
            if self.away.get(&due).is_some_and(|away| away.page == id) {
                self.take_away(due);
                self.put(due, message);
                left = left.saturating_sub(1);
            }
        }
        if left != 0 {
            self.forget_page(id);
        }
        self.look_ahead(now, effects);
        true
    }

    /// A page cannot be read; says how many messages are lost with it.
    pub fn page_lost(&mut self, id: PageId, now: Millis, effects: &mut Effects) -> u64 {
        let Some(page) = self.pages.remove(&id) else { return 0 };
        self.forget_page(id);
        self.look_ahead(now, effects);
        page.left
    }

    /// What of a page cannot be read does not wait any more.
    fn forget_page(&mut self, id: PageId) {
        let lost: Vec<Due> =
            self.away.iter().filter(|(_, away)| away.page == id).map(|(due, _)| *due).collect();
        for due in lost {
            self.take_away(due);
        }
    }

    /// Tells a new one which pages there are; each is to be read and told to [`Delay::indexed`].
    pub fn restore_pages(&mut self, pages: impl IntoIterator<Item = PageSummary>) {
        for PageSummary { id, last_sequence, count, bytes, .. } in pages {
            self.next_page = self.next_page.max(id.0 + 1);
            self.next_sequence = self.next_sequence.max(last_sequence + 1);
            self.pages.insert(id, Page { state: State::Unread { bytes }, left: count.into() });
        }
    }

    /// A page that is to be read, to learn what is in it.
    pub fn unread_page(&self) -> Option<PageId> {
        let unread = |(_, page): &(&PageId, &Page)| matches!(page.state, State::Unread { .. });
        self.pages.iter().find(unread).map(|(id, _)| *id)
    }

    /// What is in a page from before a restart. It stays where it is.
    pub fn indexed(&mut self, id: PageId, entries: &[Entry], now: Millis, effects: &mut Effects) {
        match self.pages.get_mut(&id) {
            Some(page) if matches!(page.state, State::Unread { .. }) => {
                *page = Page { state: State::OnDisk, left: entries.len() as u64 };
            }
            _ => return,
        }
        for Entry { message, sequence, deadline, .. } in entries {
            self.put_away((*deadline, *sequence), id, message.body_length());
        }
        if entries.is_empty() {
            self.pages.remove(&id);
            effects.dropped_pages.push(id);
        }
        self.look_ahead(now, effects);
    }

    /// Asks for the page with the first message away if its time comes soon and little is in front of it.
    pub(super) fn look_ahead(&mut self, now: Millis, effects: &mut Effects) {
        self.deferred = None;
        let Some((due, id)) = self.first_fetch() else { return };
        if now.saturating_add(LEAD) < due.0 {
            return;
        }
        let mut ahead = 0;
        let mut in_front = self.here.range(..due).map(|(_, here)| cost(&here.message));
        if in_front.any(|cost| {
            ahead += cost;
            AHEAD <= ahead
        }) {
            self.deferred = Some(due);
            return;
        }
        if let Some(page) = self.pages.get_mut(&id) {
            page.state = State::Fetching;
            effects.fetch.push(id);
        }
    }

    /// The first message away and its page, unless that is being fetched already.
    pub(super) fn first_fetch(&self) -> Option<(Due, PageId)> {
        let (due, away) = self.away.first_key_value()?;
        let page = self.pages.get(&away.page)?;
        matches!(page.state, State::OnDisk).then_some((*due, away.page))
    }

    fn put_away(&mut self, due: Due, page: PageId, length: u64) {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        self.away_bytes += u64::from(length);
        self.account.charge(AWAY_COST);
        self.away.insert(due, Away { page, length });
    }

    fn take_away(&mut self, due: Due) -> Option<Away> {
        let away = self.away.remove(&due)?;
        self.away_bytes -= u64::from(away.length);
        self.account.charge(-AWAY_COST);
        Some(away)
    }

    /// A message on disk is cancelled; false when there is no such.
    pub(super) fn cancel_away(&mut self, due: Due, effects: &mut Effects) -> bool {
        let Some(Away { page: id, .. }) = self.take_away(due) else { return false };
        if let Some(page) = self.pages.get_mut(&id) {
            page.left = page.left.saturating_sub(1);
            // One that is being fetched is given up when it comes.
            if page.left == 0 && matches!(page.state, State::OnDisk) {
                self.pages.remove(&id);
                effects.dropped_pages.push(id);
            }
        }
        true
    }

    /// Gives up every page. What is on the way comes in vain.
    pub(super) fn drop_pages(&mut self, effects: &mut Effects) {
        let on_disk = self.pages.iter().filter(|(_, page)| !matches!(page.state, State::Writing(_)));
        effects.dropped_pages.extend(on_disk.map(|(id, _)| *id));
        self.pages.clear();
        self.forget_away();
    }

    pub(super) fn forget_away(&mut self) {
        let count = std::mem::take(&mut self.away).len();
        self.away_bytes = 0;
        self.account.charge(-(count as i64 * AWAY_COST));
    }
}
