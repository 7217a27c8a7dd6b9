//! Moves parts of long queues, and of what waits in delayed exchanges, to files and back.
//!
//! Their holders decide what goes and what they want; the log learns of a page under its holder's lock, so that
//! nothing that happens to the page later can be logged before it. Time is an argument, so that a simulation can
//! drive this, too.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::{Arc, mpsc},
};

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::{
    broker::{
        Millis,
        memory::Account,
        queue::{Entry, PageId, PageOut},
    },
    engine::{DelayRef, Holder, LONG, Node, PageRequest, Restored},
    store::{Op, PageFiles, PageLocation, PageRange, PageRecord, QueueId, disk::Disk, runs},
};

/// What one page holds at most. Smaller ones serve many long queues, since each has some of its own in memory.
const PAGE: PageSize = PageSize { bytes: 4 << 20, messages: 16_384 };
const PAGE_BYTES_MIN: u64 = 64 << 10;
/// Octets of pages that are synced together.
const ROUND_BYTES: u64 = 64 << 20;
/// Octets at the head of each queue that stay in memory, if there are not too many queues.
const KEEP_MAX: u64 = 1 << 20;
const KEEP_MIN: u64 = 64 << 10;
/// Part of the memory watermark from which on messages go to disk, in percent, and part of it below which no
/// more go.
const START_PERCENT: u64 = 30;
const STOP_PERCENT: u64 = 90;
/// Part of the watermark from which on pages come back one by one: what consumers hold must go first.
const READ_PERCENT: u64 = 50;

/// Publishers wait when so great a part of what may be in memory is in it beyond that.
const BEHIND_PART: u64 = 8;

/// What one page holds at most: octets of memory that it saves, and messages.
#[derive(Debug, Clone, Copy)]
pub struct PageSize {
    pub bytes: u64,
    pub messages: u32,
}

/// A page that is written and not yet synced.
#[derive(Debug)]
struct Written {
    holder: Holder,
    page: PageOut,
    location: PageLocation,
}

/// What moves pages, and where they are.
#[derive(Debug)]
pub struct Mover {
    node: Arc<Node>,
    settings: MoverSettings,
    files: PageFiles,
    pages: HashMap<(QueueId, PageId), Located, FixedState>,
    /// Those that were long when they were last looked at.
    long: Vec<Holder>,
    /// Pages that are wanted, while there is no room for them.
    wanted: VecDeque<(Holder, PageId)>,
    /// Pages could not be written; said once.
    has_complained: bool,
}

/// What a mover is made with.
#[derive(Debug)]
pub struct MoverSettings {
    pub account: Account,
    /// Octets of messages that may be in memory, whatever the watermark is.
    pub resident_max: u64,
    /// Gets ranges that the log needs no more.
    pub freed: mpsc::Receiver<Vec<PageRange>>,
}

/// What a restart knows of pages.
#[derive(Debug, Default)]
pub struct KnownPages {
    pages: Vec<(PageRecord, Remembered)>,
}

/// What of a page has changed since it was written.
#[derive(Debug, Clone)]
struct Remembered {
    live: Vec<(u64, u64)>,
    returns: BTreeMap<u64, u32>,
    /// Everything may have been delivered before.
    redelivered: bool,
}

/// A page on disk.
#[derive(Debug)]
struct Located {
    location: PageLocation,
    /// Whether the log knows it.
    logged: bool,
    /// Set for pages from before the last start.
    remembered: Option<Box<Remembered>>,
}

impl KnownPages {
    /// Collects the pages of all queues, before the queues are filled.
    pub fn of(restored: &Restored) -> KnownPages {
        let mut pages = Vec::new();
        for queue in restored.queues.values() {
            for page in &queue.pages {
                let remembered = Remembered {
                    live: page.live.clone(),
                    returns: queue.returns.clone(),
                    redelivered: !restored.was_clean,
                };
                pages.push((page.clone(), remembered));
            }
        }
        KnownPages { pages }
    }
}

impl Mover {
    /// Opens the page files.
    ///
    /// # Errors
    /// When they cannot be opened.
    pub fn open(
        node: Arc<Node>,
        disk: Arc<dyn Disk>,
        known: KnownPages,
        settings: MoverSettings,
    ) -> io::Result<Mover> {
        let ranges = known.pages.iter().map(|(page, _)| PageRange::of(page));
        let files = PageFiles::open(disk, ranges)?;
        let located = |(page, remembered): (PageRecord, Remembered)| {
            let location = PageLocation { file: page.file, offset: page.offset, length: page.length };
            let located = Located { location, logged: true, remembered: Some(Box::new(remembered)) };
            ((page.queue, PageId(page.page)), located)
        };
        let pages = known.pages.into_iter().map(located).collect();
        Ok(Mover {
            node,
            settings,
            files,
            pages,
            long: Vec::new(),
            wanted: VecDeque::new(),
            has_complained: false,
        })
    }

    /// Does what was asked for, and moves messages to disk while too many are in memory.
    pub fn serve(&mut self, requests: Vec<PageRequest>, now: Millis) {
        for request in requests {
            match request {
                PageRequest::Fetch(holder, page) => self.wanted.push_back((holder, page)),
                PageRequest::Drop(holder, page) => self.drop_page(&holder, page),
                PageRequest::Index(delay, page) => self.index(&delay, page, now),
                PageRequest::Look(delay, page, reader) => {
                    let entries = self.read(&Holder::Delay(delay), page).and_then(Result::ok);
                    (reader.0)(entries.unwrap_or_default());
                }
            }
        }
        self.read_wanted(now);
        while let Ok(ranges) = self.settings.freed.try_recv() {
            ranges.into_iter().for_each(|range| self.free(range));
        }
        self.make_room(now);
    }

    /// Reads the pages that are wanted; without room at least one, so that whoever waits gets on.
    fn read_wanted(&mut self, now: Millis) {
        let max = self.node.alarms.memory_limit() / 100 * READ_PERCENT;
        while let Some((holder, page)) = self.wanted.pop_front() {
            self.fetch(&holder, page, now);
            if max < self.settings.account.held_bytes() {
                break;
            }
        }
    }

    /// Octets of messages in memory from which on some go to disk.
    fn resident_max(&self) -> u64 {
        (self.node.alarms.memory_limit() / 100 * START_PERCENT).min(self.settings.resident_max)
    }

    /// Moves messages to disk while too many are in memory.
    fn make_room(&mut self, now: Millis) {
        self.long.extend(self.node.paging.take_long());
        let max = self.resident_max();
        // The last of the space is for the log, which frees some when messages are consumed.
        let is_possible = !self.long.is_empty() && !self.node.alarms.is_disk_low();
        if !is_possible || self.settings.account.held_bytes() <= max {
            self.node.paging.set_behind(false);
            return;
        }
        let mut by_size: Vec<(u64, Holder)> = Vec::with_capacity(self.long.len());
        for holder in self.long.drain(..) {
            let resident = self.node.resident_cost(&holder, now);
            if resident <= LONG / 2 {
                self.node.paging.forget_long(&holder);
            } else {
                by_size.push((resident, holder));
            }
        }
        by_size.sort_by_key(|(resident, _)| std::cmp::Reverse(*resident));
        let keep = (max / 4 / (by_size.len() as u64).max(1)).clamp(KEEP_MIN, KEEP_MAX);
        let bytes = (max / 8 / (by_size.len() as u64).max(1)).clamp(PAGE_BYTES_MIN, PAGE.bytes);
        let size = PageSize { bytes, ..PAGE };
        let mut excess = self.settings.account.held_bytes().saturating_sub(max / 100 * STOP_PERCENT);
        let (mut written, mut saved, mut progress) = (Vec::new(), 0, false);
        for (_, holder) in &by_size {
            if excess <= saved {
                break;
            }
            saved += self.write_pages(holder, keep, excess - saved, size, now, &mut written);
            progress |= saved != 0;
            if ROUND_BYTES <= saved {
                excess = excess.saturating_sub(std::mem::take(&mut saved));
                self.finish_pages(std::mem::take(&mut written), now);
            }
        }
        self.finish_pages(written, now);
        self.long.extend(by_size.into_iter().map(|(_, holder)| holder));
        // Publishers wait only for what gets on.
        let held = self.settings.account.held_bytes();
        self.node.paging.set_behind(progress && max + max / BEHIND_PART < held);
    }

    /// Moves messages of one holder to disk; returns about how many octets that takes there.
    #[cfg(test)]
    pub fn page_out(&mut self, holder: &Holder, keep: u64, wanted: u64, size: PageSize, now: Millis) -> u64 {
        let mut written = Vec::new();
        let saved = self.write_pages(holder, keep, wanted, size, now, &mut written);
        self.finish_pages(written, now);
        saved
    }

    /// Writes messages to disk, unsynced; returns about how many octets that takes there.
    fn write_pages(
        &mut self,
        holder: &Holder,
        keep: u64,
        wanted: u64,
        size: PageSize,
        now: Millis,
        written: &mut Vec<Written>,
    ) -> u64 {
        let mut saved = 0;
        while saved < wanted.min(ROUND_BYTES) {
            let page = self.node.page_out(holder, now, (keep, size.bytes, size.messages));
            let Some(page) = page else { break };
            match self.files.write(holder.number(), page.page.0, &page.entries) {
                Ok(location) => {
                    saved += location.length.max(1);
                    written.push(Written { holder: holder.clone(), page, location });
                }
                Err(error) => {
                    self.page_out_failed(holder, &page, &error, now);
                    break;
                }
            }
        }
        saved
    }

    /// Makes pages durable, if something in them must be, and lets go of their messages.
    fn finish_pages(&mut self, written: Vec<Written>, now: Millis) {
        let survives = |written: &Written| written.page.entries.iter().any(|entry| entry.logged);
        let synced = if written.iter().any(survives) { self.files.sync() } else { Ok(()) };
        for Written { holder, page, location } in written {
            match &synced {
                Ok(()) => self.paged_out(&holder, &page, location, now),
                Err(error) => self.page_out_failed(&holder, &page, error, now),
            }
        }
    }

    /// A page is on disk: its messages leave memory, unless they are needed already.
    fn paged_out(&mut self, holder: &Holder, page: &PageOut, location: PageLocation, now: Millis) {
        let record = page_record(holder.number(), page, location);
        let logged = !record.live.is_empty();
        if self.node.paged_out(holder, now, record) {
            self.pages.insert((holder.number(), page.page), Located { location, logged, remembered: None });
        } else {
            self.free(range(location));
        }
    }

    fn page_out_failed(&mut self, holder: &Holder, page: &PageOut, error: &io::Error, now: Millis) {
        if !std::mem::replace(&mut self.has_complained, true) {
            tracing::error!("messages cannot be moved to disk and stay in memory: {error}");
        }
        self.node.page_out_failed(holder, page.page, now);
    }

    /// Reads a page that is wanted.
    fn fetch(&mut self, holder: &Holder, page: PageId, now: Millis) {
        match self.read(holder, page) {
            None => drop(self.node.page_lost(holder, page, now)),
            Some(Ok(entries)) => {
                if self.node.paged_in(holder, page, entries, now) {
                    self.release(holder, page);
                }
            }
            Some(Err(error)) => {
                // Its place is kept: perhaps somebody can still read it after a restart.
                let lost = self.node.page_lost(holder, page, now);
                tracing::error!("a page of {holder} cannot be read, {lost} messages are missing: {error}");
            }
        }
    }

    /// Tells what is in a page from before the last start; it stays where it is.
    fn index(&mut self, delay: &DelayRef, page: PageId, now: Millis) {
        let holder = Holder::Delay(delay.clone());
        match self.read(&holder, page) {
            None => drop(self.node.page_lost(&holder, page, now)),
            Some(Ok(entries)) => self.node.indexed(delay, page, &entries, now),
            Some(Err(error)) => {
                let lost = self.node.page_lost(&holder, page, now);
                tracing::error!("a page of {holder} cannot be read, {lost} messages are missing: {error}");
            }
        }
    }

    /// What is in a page, if there is one.
    fn read(&self, holder: &Holder, page: PageId) -> Option<io::Result<Vec<Entry>>> {
        let located = self.pages.get(&(holder.number(), page))?;
        let read = self.files.read(holder.number(), page.0, located.location, self.settings.account);
        Some(read.map(|(mut entries, unreadable)| {
            if let Some(remembered) = &located.remembered {
                remembered.apply(&mut entries);
            }
            if unreadable != 0 {
                tracing::error!("{unreadable} messages of {holder} are damaged on disk and lost");
            }
            entries
        }))
    }

    /// A page's messages are in memory again.
    fn release(&mut self, holder: &Holder, page: PageId) {
        let queue = holder.number();
        let Some(located) = self.pages.remove(&(queue, page)) else { return };
        if located.logged {
            self.node.journal.append(&mut vec![Op::PageReleased { queue, page: page.0 }], false);
        } else {
            self.free(range(located.location));
        }
    }

    /// A page's messages are gone. If the log knows the page it was told already, and says when its place is free.
    fn drop_page(&mut self, holder: &Holder, page: PageId) {
        let queue = holder.number();
        if let Some(located) = self.pages.remove(&(queue, page))
            && !located.logged
        {
            self.free(range(located.location));
        }
    }

    fn free(&mut self, range: PageRange) {
        if let Err(error) = self.files.free(range) {
            tracing::warn!("space of pages is not given back: {error}");
        }
    }
}

impl Remembered {
    /// Makes the entries of a page what they are by now.
    fn apply(&self, entries: &mut Vec<Entry>) {
        entries.retain(|entry| {
            let after = self.live.partition_point(|(first, _)| *first <= entry.sequence);
            let run = after.checked_sub(1).and_then(|at| self.live.get(at));
            run.is_some_and(|(first, length)| entry.sequence - first < *length)
        });
        for entry in entries {
            if let Some(times) = self.returns.get(&entry.sequence) {
                entry.returns = *times;
            }
            // As for messages that were in memory: what the page says is of an earlier life.
            entry.redelivered = self.redelivered || entry.returns != 0;
        }
    }
}

fn range(location: PageLocation) -> PageRange {
    let PageLocation { file, offset, length } = location;
    PageRange { file, offset, length }
}

fn page_record(queue: QueueId, page: &PageOut, location: PageLocation) -> PageRecord {
    let logged = || page.entries.iter().filter(|entry| entry.logged);
    let PageLocation { file, offset, length } = location;
    let mut sequences: Vec<u64> = logged().map(|entry| entry.sequence).collect();
    // Messages that wait for a time are in its order.
    sequences.sort_unstable();
    PageRecord {
        queue,
        page: page.page.0,
        file,
        offset,
        length,
        lane: page.lane,
        bytes: logged().map(|entry| entry.message.body_length()).sum(),
        first_deadline: logged().next().map_or(u64::MAX, |entry| entry.deadline),
        live: runs(sequences.into_iter()),
        // The log knows.
        returns: Vec::new(),
    }
}
