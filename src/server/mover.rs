//! Moves parts of long queues to files and back.
//!
//! Queues decide what goes and what they want; the log learns of a page under its queue's lock, so that nothing
//! that happens to the page later can be logged before it. Time is an argument, so that a simulation can drive
//! this, too.

use std::{
    collections::BTreeMap,
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
    engine::{LONG, Node, PageRequest, QueueRef, Restored},
    store::{Op, PageFiles, PageLocation, PageRange, PageRecord, QueueId, disk::Disk, runs},
};

/// What one page holds at most.
const PAGE: PageSize = PageSize { bytes: 4 << 20, messages: 16_384 };
/// Octets of pages that are synced together.
const ROUND_BYTES: u64 = 64 << 20;
/// Octets at the head of each queue that stay in memory, if there are not too many queues.
const KEEP_MAX: u64 = 1 << 20;
const KEEP_MIN: u64 = 64 << 10;
/// Part of the memory watermark from which on messages go to disk, in percent, and part of it below which no
/// more go.
const START_PERCENT: u64 = 40;
const STOP_PERCENT: u64 = 90;

/// What one page holds at most: octets of memory that it saves, and messages.
#[derive(Debug, Clone, Copy)]
pub struct PageSize {
    pub bytes: u64,
    pub messages: u32,
}

/// What moves pages, and where they are.
#[derive(Debug)]
pub struct Mover {
    node: Arc<Node>,
    settings: MoverSettings,
    files: PageFiles,
    pages: HashMap<(QueueId, PageId), Located, FixedState>,
    /// Queues that were long when they were last looked at.
    long: Vec<QueueRef>,
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
        Ok(Mover { node, settings, files, pages, long: Vec::new(), has_complained: false })
    }

    /// Does what was asked for, and moves messages to disk while too many are in memory.
    pub fn serve(&mut self, requests: Vec<PageRequest>, now: Millis) {
        for request in requests {
            match request {
                PageRequest::Fetch(queue, page) => self.fetch(&queue, page, now),
                PageRequest::Drop(queue, page) => self.drop_page(&queue, page),
            }
        }
        while let Ok(ranges) = self.settings.freed.try_recv() {
            ranges.into_iter().for_each(|range| self.free(range));
        }
        self.make_room(now);
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
            return;
        }
        let mut by_size: Vec<(u64, QueueRef)> = Vec::with_capacity(self.long.len());
        for queue in self.long.drain(..) {
            let resident = self.node.with_queue(&queue, now, |queue, _| queue.resident_cost());
            if resident <= LONG / 2 {
                self.node.paging.forget_long(&queue);
            } else {
                by_size.push((resident, queue));
            }
        }
        by_size.sort_by_key(|(resident, _)| std::cmp::Reverse(*resident));
        let keep = (max / 4 / (by_size.len() as u64).max(1)).clamp(KEEP_MIN, KEEP_MAX);
        let mut excess = self.settings.account.held_bytes().saturating_sub(max / 100 * STOP_PERCENT);
        for (_, queue) in &by_size {
            if excess == 0 {
                break;
            }
            excess = excess.saturating_sub(self.page_out(queue, keep, excess, PAGE, now));
        }
        self.long.extend(by_size.into_iter().map(|(_, queue)| queue));
    }

    /// Moves messages of a queue to disk; returns about how many octets of memory that saves.
    pub fn page_out(&mut self, queue: &QueueRef, keep: u64, wanted: u64, size: PageSize, now: Millis) -> u64 {
        let (mut saved, mut written) = (0, Vec::new());
        while saved < wanted.min(ROUND_BYTES) {
            let page =
                self.node.with_queue(queue, now, |queue, _| queue.page_out(keep, size.bytes, size.messages));
            let Some(page) = page else { break };
            match self.files.write(queue.number, page.page.0, &page.entries) {
                Ok(location) => {
                    saved += location.length.max(1);
                    written.push((page, location));
                }
                Err(error) => {
                    self.page_out_failed(queue, &page, &error, now);
                    break;
                }
            }
        }
        let synced = if written.iter().any(|(page, _)| page.entries.iter().any(|entry| entry.logged)) {
            self.files.sync()
        } else {
            Ok(())
        };
        for (page, location) in written {
            match &synced {
                Ok(()) => self.paged_out(queue, &page, location, now),
                Err(error) => self.page_out_failed(queue, &page, error, now),
            }
        }
        saved
    }

    /// A page is on disk: its messages leave memory, unless they are needed already.
    fn paged_out(&mut self, queue: &QueueRef, page: &PageOut, location: PageLocation, now: Millis) {
        let record = page_record(queue, page, location);
        let logged = !record.live.is_empty();
        let id = page.page;
        let journal = self.node.journal.clone();
        let is_out = self.node.with_queue(queue, now, |state, _| {
            let is_out = state.paged_out(id);
            if is_out && logged {
                journal.append(&mut vec![Op::Page(record)], false);
            }
            is_out
        });
        if is_out {
            self.pages.insert((queue.number, id), Located { location, logged, remembered: None });
        } else {
            self.free(range(queue, location));
        }
    }

    fn page_out_failed(&mut self, queue: &QueueRef, page: &PageOut, error: &io::Error, now: Millis) {
        if !std::mem::replace(&mut self.has_complained, true) {
            tracing::error!("messages cannot be moved to disk and stay in memory: {error}");
        }
        self.node.with_queue(queue, now, |queue, _| queue.page_out_failed(page.page));
    }

    /// Reads a page that a queue wants.
    fn fetch(&mut self, queue: &QueueRef, page: PageId, now: Millis) {
        let Some(located) = self.pages.get(&(queue.number, page)) else {
            self.node.with_queue(queue, now, |queue, effects| queue.page_lost(page, now, effects));
            return;
        };
        match self.files.read(queue.number, page.0, located.location, self.settings.account) {
            Ok((mut entries, unreadable)) => {
                if let Some(remembered) = &located.remembered {
                    remembered.apply(&mut entries);
                }
                if unreadable != 0 {
                    tracing::error!(
                        "{unreadable} messages of queue '{}' in vhost '{}' are damaged on disk and lost",
                        queue.name,
                        queue.vhost
                    );
                }
                let is_in = self
                    .node
                    .with_queue(queue, now, |queue, effects| queue.paged_in(page, entries, now, effects));
                if is_in {
                    self.release(queue, page);
                }
            }
            Err(error) => {
                // Its place is kept: perhaps somebody can still read it after a restart.
                let lost =
                    self.node.with_queue(queue, now, |queue, effects| queue.page_lost(page, now, effects));
                tracing::error!(
                    "a page of queue '{}' in vhost '{}' cannot be read, {lost} messages are missing: {error}",
                    queue.name,
                    queue.vhost
                );
            }
        }
    }

    /// A page's messages are in memory again.
    fn release(&mut self, queue: &QueueRef, page: PageId) {
        let Some(located) = self.pages.remove(&(queue.number, page)) else { return };
        if located.logged {
            let op = Op::PageReleased { queue: queue.number, page: page.0 };
            self.node.journal.append(&mut vec![op], false);
        } else {
            self.free(range(queue, located.location));
        }
    }

    /// A page's messages are gone. If the log knows the page it was told already, and says when its place is free.
    fn drop_page(&mut self, queue: &QueueRef, page: PageId) {
        if let Some(located) = self.pages.remove(&(queue.number, page))
            && !located.logged
        {
            self.free(range(queue, located.location));
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

fn range(queue: &QueueRef, location: PageLocation) -> PageRange {
    let PageLocation { file, offset, length } = location;
    PageRange { queue: queue.number, file, offset, length }
}

fn page_record(queue: &QueueRef, page: &PageOut, location: PageLocation) -> PageRecord {
    let logged = || page.entries.iter().filter(|entry| entry.logged);
    let PageLocation { file, offset, length } = location;
    PageRecord {
        queue: queue.number,
        page: page.page.0,
        file,
        offset,
        length,
        lane: page.lane,
        bytes: logged().map(|entry| entry.message.body_length()).sum(),
        first_deadline: logged().next().map_or(u64::MAX, |entry| entry.deadline),
        live: runs(logged().map(|entry| entry.sequence)),
        // The log knows.
        returns: Vec::new(),
    }
}
