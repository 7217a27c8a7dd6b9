//! The ready messages of one priority; a part in the middle may be on disk.
//!
//! They leave in the order `returned`, `head`, `pages`, `tail`. What was never paged out has only the first two.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use super::{
    Entry,
    page::{Page, PageId, PageLimits, PageState, Run, cost},
};
use crate::broker::Millis;

/// A head that costs less memory than this, in octets, has the pages behind it fetched.
const LOW_WATER: u64 = 1 << 20;
/// Pages of a lane that are asked for at once, so that a drain runs ahead of its consumers.
const FETCHES_MAX: usize = 2;

/// Ready messages of one priority.
#[derive(Debug, Default)]
pub struct Lane {
    /// Requeued messages by sequence number; in the lane for them of a quorum queue, by time of return. Invariant: all are older than anything else here, because
    /// messages leave a lane from the front only.
    returned: BTreeMap<u64, Entry>,
    head: VecDeque<Entry>,
    /// What follows the head once something was paged out. Invariant: it holds a page, or it has a tail and the
    /// head is not empty.
    behind: Option<Box<Behind>>,
}

#[derive(Debug, Default)]
struct Behind {
    pages: VecDeque<Page>,
    tail: VecDeque<Entry>,
    /// After a restart: messages in memory whose places are within or between pages, in order. They join the
    /// page before them when that comes to the head.
    strays: Vec<Entry>,
    /// Memory cost of the head.
    head_cost: u64,
}

impl Lane {
    pub fn is_empty(&self) -> bool {
        self.head.is_empty() && self.behind.is_none() && self.returned.is_empty()
    }

    #[inline]
    pub fn push(&mut self, entry: Entry) {
        match &mut self.behind {
            None => self.head.push_back(entry),
            Some(behind) => behind.tail.push_back(entry),
        }
    }

    pub fn put_back(&mut self, key: u64, entry: Entry) {
        self.returned.insert(key, entry);
    }

    /// When the next to leave expires; `None` also while it is being fetched, as nothing can be done then.
    #[inline]
    pub fn first_deadline(&self) -> Option<Millis> {
        if let Some((_, entry)) = self.returned.first_key_value() {
            return Some(entry.deadline);
        }
        match self.head.front() {
            Some(entry) => Some(entry.deadline),
            None => self.first_deadline_behind(),
        }
    }

    /// Adds clones from place `offset` on, up to `count` in all; `offset` is less what was skipped.
    pub fn look(&self, offset: &mut usize, count: usize, found: &mut Vec<Entry>) {
        for (length, entries) in [
            (self.returned.len(), &mut self.returned.values() as &mut dyn Iterator<Item = &Entry>),
            (self.head.len(), &mut self.head.iter()),
        ] {
            let skipped = (*offset).min(length);
            *offset -= skipped;
            found.extend(entries.skip(skipped).take(count.saturating_sub(found.len())).cloned());
        }
    }

    /// Whether anything follows its head.
    pub fn has_more_behind(&self) -> bool {
        self.behind.is_some()
    }

    /// The next to leave, if it is at the head; one behind it is on its way there.
    pub fn peek(&self) -> Option<&Entry> {
        self.returned.first_key_value().map(|(_, entry)| entry).or_else(|| self.head.front())
    }

    #[cold]
    fn first_deadline_behind(&self) -> Option<Millis> {
        let page = self.behind.as_ref()?.pages.front()?;
        (!matches!(page.state, PageState::Fetching)).then_some(page.first_deadline)
    }

    /// Whether the next to leave is in memory; true makes sure that [`Lane::pop`] finds it.
    #[inline]
    pub fn reach(&mut self) -> bool {
        !self.head.is_empty() || !self.returned.is_empty() || self.reach_behind()
    }

    /// A page that is still being written is used from memory; it is forgotten as a page.
    #[cold]
    fn reach_behind(&mut self) -> bool {
        let Some(behind) = &mut self.behind else { return false };
        if behind.pages.front().is_none_or(Page::is_away) {
            return false;
        }
        if let Some(page) = behind.pages.pop_front() {
            self.append(page);
            self.close_up();
        }
        !self.head.is_empty()
    }

    #[inline]
    pub fn pop(&mut self) -> Option<Entry> {
        if !self.returned.is_empty() {
            return self.returned.pop_first().map(|(_, entry)| entry);
        }
        if self.head.is_empty() && !self.reach_behind() {
            return None;
        }
        let entry = self.head.pop_front()?;
        if let Some(behind) = &mut self.behind {
            behind.head_cost -= cost(&entry);
            if self.head.is_empty() {
                self.close_up();
            }
        }
        Some(entry)
    }

    /// Moves the messages of what was the first page to the head, and the strays that belong there.
    fn append(&mut self, page: Page) {
        let (PageState::Writing(entries) | PageState::Held(entries)) = page.state else { return };
        self.append_entries(Arc::unwrap_or_clone(entries));
    }

    fn append_entries(&mut self, mut entries: Vec<Entry>) {
        let Some(behind) = &mut self.behind else { return };
        let until = behind.pages.front().map_or(u64::MAX, |next| next.first_sequence);
        let due = behind.strays.partition_point(|stray| stray.sequence < until);
        if due != 0 {
            entries.extend(behind.strays.drain(..due));
            entries.sort_by_key(|entry| entry.sequence);
        }
        behind.head_cost += entries.iter().map(cost).sum::<u64>();
        if self.head.is_empty() {
            self.head = entries.into();
        } else {
            self.head.extend(entries);
        }
    }

    /// Pages that are in memory and have come to the head are part of it; without pages a tail becomes the head.
    fn close_up(&mut self) {
        while let Some(behind) = &mut self.behind
            && behind.pages.front().is_some_and(|page| matches!(page.state, PageState::Held(_)))
            && let Some(page) = behind.pages.pop_front()
        {
            self.append(page);
        }
        let Some(behind) = &mut self.behind else { return };
        if !behind.pages.is_empty() {
            return;
        }
        debug_assert!(behind.strays.is_empty(), "strays go with the last page at the latest");
        if self.head.is_empty() {
            self.head = std::mem::take(&mut behind.tail);
        }
        if behind.tail.is_empty() {
            self.behind = None;
        }
    }

    /// Whether pages should be on their way to the head.
    #[inline]
    pub fn is_low(&self) -> bool {
        self.behind.as_ref().is_some_and(|behind| behind.head_cost < LOW_WATER)
    }

    /// Names the pages that should be fetched now; they count as asked for.
    pub fn want(&mut self, wanted: &mut impl Extend<PageId>) {
        let Some(behind) = &mut self.behind else { return };
        let (mut ahead, mut outstanding) = (behind.head_cost, 0);
        for page in &mut behind.pages {
            if LOW_WATER <= ahead || outstanding == FETCHES_MAX {
                return;
            }
            match &page.state {
                PageState::Writing(_) => return,
                PageState::Held(entries) => ahead += entries.iter().map(cost).sum::<u64>(),
                PageState::Fetching => outstanding += 1,
                PageState::OnDisk => {
                    page.state = PageState::Fetching;
                    outstanding += 1;
                    wanted.extend([page.id]);
                }
            }
        }
    }

    /// Takes a run next to the pages that are there, or behind the first `keep` octets of the head, and leaves
    /// page `id` in its place.
    pub fn page_out(&mut self, id: PageId, keep: u64, limits: PageLimits) -> Option<Arc<Vec<Entry>>> {
        let run = match &self.behind {
            None => Run::find(self.head.iter(), keep, limits)?,
            Some(behind) if behind.pages.is_empty() => {
                Run::find(behind.tail.iter(), keep.saturating_sub(behind.head_cost), limits)?
            }
            Some(behind) => Run::find(behind.tail.iter(), 0, limits)?,
        };
        // What is long stays where it is: only the kept and the taken are moved.
        let behind = self.behind.get_or_insert_with(|| {
            let tail = std::mem::take(&mut self.head);
            Box::new(Behind { tail, ..Behind::default() })
        });
        self.head.extend(behind.tail.drain(..run.kept));
        behind.head_cost += run.kept_cost;
        let entries = Arc::new(behind.tail.drain(..run.taken).collect::<Vec<Entry>>());
        behind.pages.push_back(Page::writing(id, entries.clone()));
        Some(entries)
    }

    /// Adds a page that was on disk already, behind all others.
    pub fn restore_page(&mut self, page: Page) {
        self.behind.get_or_insert_default().pages.push_back(page);
    }

    /// Adds a message that was there already, behind all others but pages.
    pub fn restore(&mut self, entry: Entry) {
        let Some(behind) = &mut self.behind else { return self.head.push_back(entry) };
        let first = behind.pages.front().map_or(u64::MAX, |page| page.first_sequence);
        let last = behind.pages.back().map_or(0, |page| page.last_sequence);
        if entry.sequence < first {
            behind.head_cost += cost(&entry);
            self.head.push_back(entry);
        } else if entry.sequence < last {
            behind.strays.push(entry);
        } else {
            behind.tail.push_back(entry);
        }
    }

    pub fn page_mut(&mut self, id: PageId) -> Option<&mut Page> {
        let pages = &mut self.behind.as_mut()?.pages;
        let index = pages.binary_search_by_key(&id, |page| page.id).ok()?;
        pages.get_mut(index)
    }

    /// The messages of a fetched page, or fewer. False when nobody waits for them.
    pub fn page_in(&mut self, id: PageId, entries: Vec<Entry>) {
        if let Some(page) = self.page_mut(id) {
            page.state = PageState::Held(Arc::new(entries));
        }
        self.close_up();
    }

    /// Forgets a page that cannot be read.
    pub fn lose_page(&mut self, id: PageId) {
        let Some(behind) = &mut self.behind else { return };
        let Ok(index) = behind.pages.binary_search_by_key(&id, |page| page.id) else { return };
        behind.pages.remove(index);
        if index == 0 {
            self.append_entries(Vec::new());
        }
        self.close_up();
    }

    /// A page was not written: next to the tail it is part of that again, otherwise it stays in its place, in
    /// memory.
    pub fn keep_page(&mut self, id: PageId) {
        let Some(behind) = &mut self.behind else { return };
        let is_last = behind.pages.back().is_some_and(|last| last.id == id);
        if is_last && behind.strays.is_empty() {
            let page = behind.pages.pop_back();
            for entry in page.iter().flat_map(|page| page.resident().iter().rev()) {
                behind.tail.push_front(entry.clone());
            }
        } else if let Some(page) = self.page_mut(id)
            && let PageState::Writing(entries) = &page.state
        {
            page.state = PageState::Held(entries.clone());
        }
        self.close_up();
    }

    pub fn pages(&self) -> impl Iterator<Item = &Page> {
        self.behind.iter().flat_map(|behind| &behind.pages)
    }

    /// Everything that is in memory, in no particular order.
    pub fn resident(&self) -> impl Iterator<Item = &Entry> {
        let behind = self.behind.iter().flat_map(|behind| behind.strays.iter().chain(&behind.tail));
        let paged = self.pages().flat_map(Page::resident);
        self.returned.values().chain(&self.head).chain(paged).chain(behind)
    }

    /// Gives back memory that a past backlog needed.
    pub fn shrink(&mut self) {
        shrink(&mut self.head);
        if let Some(behind) = &mut self.behind {
            shrink(&mut behind.tail);
        }
    }
}

fn shrink(entries: &mut VecDeque<Entry>) {
    if entries.capacity() > 1024 && entries.len() < entries.capacity() / 4 {
        entries.shrink_to(entries.len() * 2);
    }
}
