//! The messages of a queue that wait for a consumer, in the order in which they will leave.

use super::{
    Entry,
    lane::Lane,
    page::{ENTRY_OVERHEAD, Page, PageId, PageLimits, PageOut, PageState, PageSummary},
};
use crate::broker::Millis;

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
    /// What of both is not in memory.
    away_count: u64,
    away_bytes: u64,
    next_page: u64,
    /// In a quorum queue: the key of the next message that comes back. They come first whatever their priority,
    /// in the order in which they came back (QQ-06).
    next_return: Option<u64>,
    /// The lane whose next pages somebody needs, or will need soon.
    thirsty: Option<usize>,
}

/// The priorities of quorum queues, and that of messages without one (QQ-07).
const QUORUM_PRIORITY_MAX: u8 = 31;
const QUORUM_PRIORITY_DEFAULT: u8 = 4;
/// Greater than any sequence number, so that what came back before a restart precedes what does after.
const FIRST_RETURN: u64 = 1 << 63;

impl Ready {
    /// `max_priority` is x-max-priority; 0 for a queue without priorities.
    pub fn new(max_priority: u8) -> Ready {
        let lanes = (0..=max_priority).map(|_| Lane::default()).collect();
        Ready {
            lanes,
            filled: [0; WORDS],
            count: 0,
            bytes: 0,
            away_count: 0,
            away_bytes: 0,
            next_page: 0,
            next_return: None,
            thirsty: None,
        }
    }

    /// For a quorum queue: 32 priorities, and a lane above them for what came back (QQ-06, QQ-07).
    pub fn quorum() -> Ready {
        Ready { next_return: Some(FIRST_RETURN), ..Ready::new(QUORUM_PRIORITY_MAX + 1) }
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

    /// Octets of memory that the messages cost which are not on disk.
    pub fn resident_cost(&self) -> u64 {
        self.bytes - self.away_bytes + (self.count - self.away_count) * ENTRY_OVERHEAD
    }

    /// How many messages are on disk only, and the octets of their bodies.
    pub fn away(&self) -> (u64, u64) {
        (self.away_count, self.away_bytes)
    }

    /// The next to leave, if it is in memory.
    pub fn peek(&self) -> Option<&Entry> {
        self.lanes.get(self.highest()?)?.peek()
    }

    /// Clones of the messages from some place in the order of leaving on; true when it ended before something
    /// that is not in memory.
    pub fn look(&self, mut offset: usize, count: usize) -> (Vec<Entry>, bool) {
        let mut found = Vec::new();
        for lane in self.lanes.iter().rev() {
            lane.look(&mut offset, count, &mut found);
            if lane.has_more_behind() {
                return (found, true);
            }
            if count <= found.len() {
                break;
            }
        }
        (found, false)
    }

    /// The lane of a message: its priority, at most the queue's highest (PRI-01).
    #[inline]
    fn lane_of(&self, entry: &Entry) -> usize {
        if self.next_return.is_some() {
            let priority = entry.message.given_priority().unwrap_or(QUORUM_PRIORITY_DEFAULT);
            return usize::from(priority.min(QUORUM_PRIORITY_MAX));
        }
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
            lane.push(entry);
        }
    }

    /// Puts a message back where it was (BAS-63).
    pub fn put_back(&mut self, entry: Entry) {
        match self.next_return {
            None => self.put_back_at(self.lane_of(&entry), entry.sequence, entry),
            Some(next) => {
                self.next_return = Some(next + 1);
                self.put_back_at(self.lanes.len() - 1, next, entry);
            }
        }
    }

    fn put_back_at(&mut self, lane: usize, key: u64, entry: Entry) {
        self.account(lane, &entry);
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.put_back(key, entry);
        }
    }

    #[inline]
    fn account(&mut self, lane: usize, entry: &Entry) {
        self.count += 1;
        self.bytes += entry.message.body_length();
        self.mark(lane, true);
    }

    /// When the next to leave expires; `None` also while it is being fetched.
    #[inline]
    pub fn first_deadline(&self) -> Option<Millis> {
        self.lanes.get(self.highest()?)?.first_deadline()
    }

    /// Whether the next to leave is in memory; when it is not, its page is wanted.
    #[inline]
    pub fn reach(&mut self) -> bool {
        let Some(index) = self.highest() else { return false };
        let reached = self.lanes.get_mut(index).is_some_and(Lane::reach);
        if !reached {
            self.thirsty = Some(index);
        }
        reached
    }

    /// Takes the next to leave; `None` when there is nothing, or its page is away and therefore wanted.
    #[inline]
    pub fn pop(&mut self) -> Option<Entry> {
        let index = self.highest()?;
        let lane = self.lanes.get_mut(index)?;
        let entry = lane.pop();
        if lane.is_low() {
            self.thirsty = Some(index);
        }
        let entry = entry?;
        let emptied = lane.is_empty();
        if emptied {
            self.mark(index, false);
        }
        self.count -= 1;
        self.bytes -= entry.message.body_length();
        Some(entry)
    }

    /// Names the pages that should be fetched now; they count as asked for.
    #[inline]
    pub fn take_wanted(&mut self, wanted: &mut impl Extend<PageId>) {
        if let Some(lane) = self.thirsty.take()
            && let Some(lane) = self.lanes.get_mut(lane)
        {
            lane.want(wanted);
        }
    }

    /// Takes the coldest messages for a page, of the lowest priority that has enough of them.
    pub fn page_out(&mut self, keep: u64, limits: PageLimits) -> Option<PageOut> {
        let page = PageId(self.next_page);
        let mut lanes = self.lanes.iter_mut().zip(0..);
        let (entries, lane) =
            lanes.find_map(|(lane, index)| Some((lane.page_out(page, keep, limits)?, index)))?;
        self.next_page += 1;
        Some(PageOut { page, lane, entries })
    }

    /// The lane that holds a page, and the page.
    fn find_page(&mut self, id: PageId) -> Option<(usize, &mut Page)> {
        let mut lanes = self.lanes.iter_mut().enumerate();
        lanes.find_map(|(index, lane)| Some((index, lane.page_mut(id)?)))
    }

    /// A page is on disk: its messages leave memory. False when they were needed meanwhile.
    pub fn paged_out(&mut self, id: PageId) -> bool {
        let Some((_, page)) = self.find_page(id) else { return false };
        if !matches!(page.state, PageState::Writing(_)) {
            return false;
        }
        page.state = PageState::OnDisk;
        let (count, bytes) = (page.count, page.bytes);
        self.away_count += u64::from(count);
        self.away_bytes += bytes;
        true
    }

    /// A page could not be written: its messages stay.
    pub fn page_out_failed(&mut self, id: PageId) {
        if let Some((lane, page)) = self.find_page(id)
            && matches!(page.state, PageState::Writing(_))
            && let Some(lane) = self.lanes.get_mut(lane)
        {
            lane.keep_page(id);
        }
    }

    /// What is left of a page that was asked for. False when it is not awaited any more.
    pub fn paged_in(&mut self, id: PageId, entries: Vec<Entry>) -> bool {
        let Some((lane, page)) = self.find_page(id) else { return false };
        if !page.is_away() {
            return false;
        }
        let (count, bytes) = (page.count, page.bytes);
        self.forget_away(count, bytes);
        self.count += entries.len() as u64;
        self.bytes += entries.iter().map(|entry| entry.message.body_length()).sum::<u64>();
        self.with_lane(lane, |lane| lane.page_in(id, entries));
        true
    }

    /// The first and the last sequence in a page.
    pub fn sequences_of(&mut self, id: PageId) -> Option<(u64, u64)> {
        self.find_page(id).map(|(_, page)| (page.first_sequence, page.last_sequence))
    }

    /// A page cannot be read: its messages are no more; says how many.
    pub fn page_lost(&mut self, id: PageId) -> u64 {
        let Some((lane, page)) = self.find_page(id) else { return 0 };
        if !page.is_away() {
            return 0;
        }
        let (count, bytes) = (page.count, page.bytes);
        self.forget_away(count, bytes);
        self.with_lane(lane, |lane| lane.lose_page(id));
        u64::from(count)
    }

    fn forget_away(&mut self, count: u32, bytes: u64) {
        self.away_count -= u64::from(count);
        self.count -= u64::from(count);
        self.away_bytes -= bytes;
        self.bytes -= bytes;
    }

    fn with_lane(&mut self, index: usize, operation: impl FnOnce(&mut Lane)) {
        if let Some(lane) = self.lanes.get_mut(index) {
            operation(lane);
            let filled = !lane.is_empty();
            self.mark(index, filled);
        }
    }

    /// Adds a page that is on disk, behind all others of its lane; empty ones are ignored.
    pub fn restore_page(&mut self, page: &PageSummary) {
        debug_assert!(page.count != 0, "a page holds something");
        if page.count == 0 {
            return;
        }
        self.next_page = self.next_page.max(page.id.0 + 1);
        self.count += u64::from(page.count);
        self.away_count += u64::from(page.count);
        self.bytes += page.bytes;
        self.away_bytes += page.bytes;
        let lane = usize::from(page.lane).min(self.lanes.len() - 1);
        self.with_lane(lane, |lane| lane.restore_page(Page::on_disk(page)));
    }

    /// Adds a message that was there before, in ascending order, after all pages.
    pub fn restore(&mut self, entry: Entry) {
        if self.next_return.is_some() && entry.returns != 0 {
            return self.put_back_at(self.lanes.len() - 1, entry.sequence, entry);
        }
        let lane = self.lane_of(&entry);
        self.account(lane, &entry);
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.restore(entry);
        }
    }

    /// Everything that is in memory, in no particular order.
    pub fn resident(&self) -> impl Iterator<Item = &Entry> {
        self.lanes.iter().flat_map(Lane::resident)
    }

    /// The pages that are on disk, including those being fetched.
    pub fn pages_away(&self) -> impl Iterator<Item = PageId> {
        let pages = self.lanes.iter().flat_map(Lane::pages);
        pages.filter(|page| page.is_away()).map(|page| page.id)
    }

    /// Takes everything out. The caller drops it, once no lock is held: that takes time in a long queue.
    pub fn take_all(&mut self) -> Ready {
        let highest = u8::try_from(self.lanes.len() - 1).unwrap_or(u8::MAX);
        // Answers to questions from before must not be taken for answers to later ones.
        let (next_page, next_return) = (self.next_page, self.next_return);
        let next = Ready { next_page, next_return, ..Ready::new(highest) };
        std::mem::replace(self, next)
    }

    /// Gives back memory that a past backlog needed.
    pub fn shrink(&mut self) {
        self.lanes.iter_mut().for_each(Lane::shrink);
    }
}
