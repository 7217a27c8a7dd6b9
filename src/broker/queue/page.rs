//! Runs of ready messages that are on disk, or on the way there or back.

use std::sync::Arc;

use super::Entry;
use crate::broker::Millis;

/// Octets of memory that a ready message costs beside its body: its entry, its names and properties, and what
/// allocating them takes.
pub const ENTRY_OVERHEAD: u64 = 150;
/// A page that saves less memory is not worth its place on disk, unless it is as large as the caller allows.
const WORTH_WRITING: u64 = 64 << 10;

/// Octets of memory that a ready message costs.
#[inline]
pub fn cost(entry: &Entry) -> u64 {
    entry.message.body_length() + ENTRY_OVERHEAD
}

/// Names a page of one queue. Never reused there; ascending in the order in which the messages leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageId(pub u64);

/// Messages to write to disk. They stay in memory until [`Queue::paged_out`](super::Queue::paged_out); whoever
/// writes them drops this after the queue's lock is gone, because it may be the last to hold them.
#[derive(Debug, Clone)]
pub struct PageOut {
    pub page: PageId,
    /// Their priority, at most the queue's highest.
    pub lane: u8,
    pub entries: Arc<Vec<Entry>>,
}

/// What a queue must know of a page that is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSummary {
    pub id: PageId,
    pub lane: u8,
    pub first_sequence: u64,
    pub last_sequence: u64,
    /// Messages; not zero.
    pub count: u32,
    /// Octets of their bodies.
    pub bytes: u64,
    /// When the first of them expires.
    pub first_deadline: Millis,
}

/// Where the messages of a page are.
#[derive(Debug)]
pub enum PageState {
    /// In memory, while they are written.
    Writing(Arc<Vec<Entry>>),
    OnDisk,
    /// Asked for.
    Fetching,
    /// In memory again, behind a page that is not.
    Held(Arc<Vec<Entry>>),
}

/// A page in its place. Small: there may be millions.
#[derive(Debug)]
pub struct Page {
    pub id: PageId,
    pub first_sequence: u64,
    pub last_sequence: u64,
    pub bytes: u64,
    pub first_deadline: Millis,
    pub state: PageState,
    pub count: u32,
}

impl Page {
    /// A page of these entries, of which there is at least one, on its way to the disk.
    pub fn writing(id: PageId, entries: Arc<Vec<Entry>>) -> Page {
        let (first, last) = (entries.first(), entries.last());
        Page {
            id,
            first_sequence: first.map_or(0, |entry| entry.sequence),
            last_sequence: last.map_or(0, |entry| entry.sequence),
            bytes: entries.iter().map(|entry| entry.message.body_length()).sum(),
            first_deadline: first.map_or(Millis::MAX, |entry| entry.deadline),
            count: u32::try_from(entries.len()).unwrap_or(u32::MAX),
            state: PageState::Writing(entries),
        }
    }

    pub fn on_disk(summary: &PageSummary) -> Page {
        let PageSummary { id, first_sequence, last_sequence, count, bytes, first_deadline, .. } = *summary;
        Page { id, first_sequence, last_sequence, bytes, first_deadline, count, state: PageState::OnDisk }
    }

    /// Whether its messages are not in memory.
    pub fn is_away(&self) -> bool {
        matches!(self.state, PageState::OnDisk | PageState::Fetching)
    }

    /// Its messages, while they are in memory.
    pub fn resident(&self) -> &[Entry] {
        match &self.state {
            PageState::Writing(entries) | PageState::Held(entries) => entries,
            PageState::OnDisk | PageState::Fetching => &[],
        }
    }
}

/// How large a page may become.
#[derive(Debug, Clone, Copy)]
pub struct PageLimits {
    /// Octets of memory cost.
    pub bytes: u64,
    pub messages: u32,
}

/// A run that is worth a page: what is skipped before it, and its length.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    pub kept: usize,
    pub kept_cost: u64,
    pub taken: usize,
}

impl Run {
    /// Finds a run behind the first `keep` octets of cost, if it is worth a page.
    pub fn find<'a>(
        mut entries: impl Iterator<Item = &'a Entry>,
        keep: u64,
        limits: PageLimits,
    ) -> Option<Run> {
        let mut run = Run { kept: 0, kept_cost: 0, taken: 0 };
        while run.kept_cost < keep {
            run.kept_cost += cost(entries.next()?);
            run.kept += 1;
        }
        let mut taken_cost = 0;
        let mut is_full = false;
        for entry in entries {
            is_full = limits.messages as usize <= run.taken
                || run.taken != 0 && limits.bytes < taken_cost + cost(entry);
            if is_full {
                break;
            }
            run.taken += 1;
            taken_cost += cost(entry);
        }
        is_full |= limits.messages as usize <= run.taken || limits.bytes <= taken_cost;
        (run.taken != 0 && (is_full || WORTH_WRITING <= taken_cost)).then_some(run)
    }
}
