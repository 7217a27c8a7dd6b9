//! The disk of the random histories: pages go out and come back late, in part, or never.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{option, prelude::*};

use super::{agreement::Pair, model::Item, *};

/// One thing that happens to a queue's pages. Indices are taken modulo what there is.
#[derive(Debug, Clone, Copy)]
pub enum DiskStep {
    PageOut {
        keep: u64,
        bytes: u64,
        messages: u32,
    },
    Written(usize),
    WriteFailed(usize),
    /// Answers a question; of the messages every `lost`th is missing.
    Read {
        index: usize,
        lost: Option<usize>,
    },
    Lose(usize),
}

pub fn disk_step() -> impl Strategy<Value = DiskStep> {
    let keep = prop_oneof![Just(0), Just(1), Just(400), Just(700_000)];
    let bytes = prop_oneof![Just(1), Just(320), Just(1_300_000)];
    prop_oneof![
        4 => (keep, bytes, 1..4u32)
            .prop_map(|(keep, bytes, messages)| DiskStep::PageOut { keep, bytes, messages }),
        4 => any::<usize>().prop_map(DiskStep::Written),
        1 => any::<usize>().prop_map(DiskStep::WriteFailed),
        4 => (any::<usize>(), option::weighted(0.2, 1..4usize))
            .prop_map(|(index, lost)| DiskStep::Read { index, lost }),
        1 => any::<usize>().prop_map(DiskStep::Lose),
    ]
}

/// What a store would hold of one queue.
#[derive(Default)]
pub struct Disk {
    writing: BTreeMap<PageId, PageOut>,
    stored: BTreeMap<PageId, Vec<Entry>>,
    asked: BTreeSet<PageId>,
    /// Pages that the queue has forgotten, by a purge.
    void: BTreeMap<PageId, Vec<Entry>>,
}

fn nth<V: Clone>(map: impl ExactSizeIterator<Item = V>, index: usize) -> Option<V> {
    let mut map = map;
    let len = map.len();
    (len != 0).then(|| map.nth(index % len)).flatten()
}

impl Disk {
    pub fn is_asked_for(&self, item: &Item) -> bool {
        let holds = |page| self.stored[page].iter().any(|entry| entry.sequence == item.sequence);
        self.asked.iter().any(holds)
    }

    pub fn emptied(&mut self, dropped: Vec<PageId>) {
        let stored = std::mem::take(&mut self.stored);
        let dropped_once: BTreeSet<PageId> = dropped.iter().copied().collect();
        assert_eq!(dropped.len(), dropped_once.len(), "dropped twice");
        assert!(dropped_once.iter().eq(stored.keys()), "dropped {dropped_once:?}, not {:?}", stored.keys());
        self.void.extend(stored);
        let writing = std::mem::take(&mut self.writing).into_iter();
        self.void.extend(writing.map(|(page, out)| (page, out.entries.to_vec())));
        self.asked.clear();
    }
}

impl Pair {
    pub fn disk_step(&mut self, step: DiskStep) {
        match step {
            DiskStep::PageOut { keep, bytes, messages } => self.page_out(keep, bytes, messages),
            DiskStep::Written(index) => self.written_out(index),
            DiskStep::WriteFailed(index) => {
                if let Some(page) = nth(self.disk.writing.keys().copied(), index) {
                    self.disk.writing.remove(&page);
                    self.bench.queue.page_out_failed(page);
                }
            }
            DiskStep::Read { index, lost } => self.read(index, lost),
            DiskStep::Lose(index) => self.lose(index),
        }
    }

    /// Questions are asked once, of what is there, and never too many at a time.
    pub fn note_fetches(&mut self) {
        for page in self.bench.effects.fetch.drain(..) {
            assert!(self.disk.stored.contains_key(&page), "{page:?} is not there");
            assert!(self.disk.asked.insert(page), "{page:?} is asked for again");
        }
        let mut of_lane = BTreeMap::<u8, u32>::new();
        for page in &self.disk.asked {
            let priority = self.disk.stored[page][0].message.priority();
            *of_lane.entry(priority.min(self.model.settings.max_priority)).or_default() += 1;
        }
        assert!(of_lane.values().all(|asked| *asked <= 2), "{of_lane:?}");
    }

    fn page_out(&mut self, keep: u64, bytes: u64, messages: u32) {
        let Some(out) = self.bench.queue.page_out(keep, bytes, messages) else { return };
        let items: Vec<&Item> = self.model.ready.iter().filter(|item| item.priority == out.lane).collect();
        // A run of what is ready, in memory, in order.
        let first = items.iter().position(|item| item.sequence == out.entries[0].sequence).unwrap();
        let run: Vec<u64> = items[first..].iter().map(|item| item.sequence).take(out.entries.len()).collect();
        assert!(run.iter().copied().eq(out.entries.iter().map(|entry| entry.sequence)), "{run:?}");
        assert!(run.iter().all(|sequence| !self.model.away.contains(sequence)));
        assert!((1..=messages as usize).contains(&run.len()));
        assert!(self.disk.writing.insert(out.page, out).is_none());
    }

    fn written_out(&mut self, index: usize) {
        if let Some(page) = nth(self.disk.void.keys().copied(), index) {
            assert!(!self.bench.queue.paged_out(page), "it was purged");
        }
        let Some(page) = nth(self.disk.writing.keys().copied(), index) else { return };
        let out = self.disk.writing.remove(&page).unwrap();
        let sequences: BTreeSet<u64> = out.entries.iter().map(|entry| entry.sequence).collect();
        let ready: BTreeSet<u64> = self.model.ready.iter().map(|item| item.sequence).collect();
        if self.bench.queue.paged_out(page) {
            assert!(sequences.is_subset(&ready), "something of it has left");
            self.model.away.extend(sequences);
            self.disk.stored.insert(page, out.entries.to_vec());
        }
    }

    fn read(&mut self, index: usize, lost: Option<usize>) {
        let (queue, now, effects) = (&mut self.bench.queue, self.bench.now, &mut self.bench.effects);
        if let Some((page, entries)) = nth(self.disk.void.iter(), index) {
            assert!(!queue.paged_in(*page, entries.clone(), now, effects), "it was purged");
            assert_eq!(queue.page_lost(*page, now, effects), 0, "it was purged");
        }
        let Some(page) = nth(self.disk.asked.iter().copied(), index) else { return };
        let entries = self.forget(page);
        let is_lost = |at: usize| lost.is_some_and(|nth| at.is_multiple_of(nth));
        let (gone, left): (Vec<_>, Vec<_>) =
            entries.into_iter().enumerate().partition(|(at, _)| is_lost(*at));
        self.gone_from_disk(gone.into_iter().map(|(_, entry)| entry));
        let left = left.into_iter().map(|(_, entry)| entry).collect();
        let now = self.bench.now;
        assert!(self.bench.queue.paged_in(page, left, now, &mut self.bench.effects), "it was awaited");
        self.model.come_back(Vec::new());
    }

    fn lose(&mut self, index: usize) {
        let Some(page) = nth(self.disk.stored.keys().copied(), index) else { return };
        let entries = self.forget(page);
        let lost = self.bench.queue.page_lost(page, self.bench.now, &mut self.bench.effects);
        assert_eq!(lost, entries.len() as u64);
        self.gone_from_disk(entries);
        self.model.come_back(Vec::new());
    }

    /// The disk answers for a page, and forgets it.
    fn forget(&mut self, page: PageId) -> Vec<Entry> {
        self.disk.asked.remove(&page);
        let entries = self.disk.stored.remove(&page).unwrap();
        entries.iter().for_each(|entry| assert!(self.model.away.remove(&entry.sequence)));
        entries
    }

    fn gone_from_disk(&mut self, entries: impl IntoIterator<Item = Entry>) {
        for entry in entries {
            self.model.ready.retain(|item| item.sequence != entry.sequence);
            self.log.living.remove(&entry.sequence);
        }
    }
}
