//! One file of the model: what programs see, what is durable, and the changes between the two.
//!
//! At a power loss a file system has written back any part of the changed pages, and any number of its own
//! changes, such as lengths and freed pages, which it keeps in order. So each sector shows one of the states
//! it has had since the last sync, whatever its neighbours show, and never one that it never had.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
};

use super::{
    extents::Extents,
    pages::{self, PAGE, Page, Pages},
    random::Fate,
};

const SECTOR: usize = 512;
/// A kernel does not keep changes for ever either: beyond this they are durable without a sync.
const WRITE_BACK: usize = 64 << 20;

/// A file as somebody sees it. Invariant: behind the length there are only zeros.
#[derive(Debug, Clone, Default)]
struct Content {
    pages: Pages,
    length: u64,
    allocated: Extents,
}

/// What a change did to the pages.
#[derive(Debug, Clone)]
enum Effect {
    Nothing,
    Written { offset: u64, octets: Arc<[u8]> },
    Freed(Range<u64>),
}

#[derive(Debug, Clone)]
struct Change {
    effect: Effect,
    /// The length of the file after it.
    length: u64,
}

/// One file, whatever its names.
#[derive(Debug, Clone, Default)]
pub struct Inode {
    live: Content,
    durable: Content,
    /// What happened since the last sync, in order.
    changes: Vec<Change>,
    /// Octets in `changes`.
    unsynced: usize,
    /// Open handles.
    pub handles: usize,
}

impl Inode {
    /// The length that programs see.
    pub fn length(&self) -> u64 {
        self.live.length
    }

    /// How many pages the file takes on the disk.
    pub fn pages(&self) -> u64 {
        self.live.allocated.count()
    }

    /// How many pages the file would take in addition if all of a range were written.
    pub fn pages_missing(&self, range: &Range<u64>) -> u64 {
        (range.end - range.start) - self.live.allocated.count_in(range)
    }

    /// Reads up to the end of the file.
    pub fn read(&self, octets: &mut [u8], offset: u64) -> usize {
        let rest = usize::try_from(self.live.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let end = octets.len().min(rest);
        self.live.pages.read(&mut octets[..end], offset);
        end
    }

    /// Writes, with the space checked before.
    pub fn write(&mut self, octets: &[u8], offset: u64) {
        let end = offset + octets.len() as u64;
        self.live.pages.write(octets, offset);
        self.live.allocated.insert(pages::touched(offset, octets.len() as u64));
        self.live.length = self.live.length.max(end);
        self.record(Effect::Written { offset, octets: octets.into() });
    }

    /// Takes space, checked before, and extends the file.
    pub fn allocate(&mut self, offset: u64, length: u64) {
        self.live.allocated.insert(pages::touched(offset, length));
        self.live.length = self.live.length.max(offset + length);
        self.record(Effect::Nothing);
    }

    /// Frees the whole pages of a range and fills its edges with zeros.
    pub fn discard(&mut self, offset: u64, length: u64) {
        let end = offset.saturating_add(length).min(self.live.length);
        let (first, last) = (offset.div_ceil(PAGE), end / PAGE);
        if last < first {
            // Inside one page.
            self.zero(offset..end);
            return;
        }
        self.zero(offset..end.min(first * PAGE));
        self.zero(offset.max(last * PAGE)..end);
        if first < last {
            self.free(first..last);
        }
    }

    /// Cuts the file or extends it with zeros that take no space.
    pub fn set_length(&mut self, length: u64) {
        if length < self.live.length {
            let whole = length.div_ceil(PAGE);
            self.zero(length..self.live.length.min(whole * PAGE));
            self.live.length = length;
            self.free(whole..u64::MAX);
        } else {
            self.live.length = length;
            self.record(Effect::Nothing);
        }
    }

    /// Zeros inside one page; a page that is not there is zeros already.
    fn zero(&mut self, range: Range<u64>) {
        if range.start < range.end && self.live.pages.get(range.start / PAGE).is_some() {
            let zeros = vec![0; (range.end - range.start) as usize];
            self.live.pages.write(&zeros, range.start);
            self.record(Effect::Written { offset: range.start, octets: zeros.into() });
        }
    }

    fn free(&mut self, numbers: Range<u64>) {
        self.live.pages.remove(numbers.clone());
        self.live.allocated.remove(numbers.clone());
        self.record(Effect::Freed(numbers));
    }

    fn record(&mut self, effect: Effect) {
        if let Effect::Written { octets, .. } = &effect {
            self.unsynced += octets.len();
        }
        self.changes.push(Change { effect, length: self.live.length });
        if self.unsynced > WRITE_BACK {
            self.sync();
        }
    }

    /// Makes durable what programs see.
    pub fn sync(&mut self) {
        for change in self.changes.drain(..) {
            let numbers = match change.effect {
                Effect::Nothing => continue,
                Effect::Written { offset, octets } => pages::touched(offset, octets.len() as u64),
                Effect::Freed(numbers) => numbers,
            };
            self.durable.pages.copy_from(&self.live.pages, numbers);
        }
        self.durable.length = self.live.length;
        self.durable.allocated = self.live.allocated.clone();
        self.unsynced = 0;
    }

    /// Drops the changes from what will ever be durable, while programs go on seeing them.
    pub fn lose_unsynced(&mut self) {
        self.changes.clear();
        self.unsynced = 0;
    }

    /// Whether something would be lost at a power loss.
    pub fn is_dirty(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Decay of the medium: turns one bit over, behind the back of everybody.
    pub fn flip(&mut self, offset: u64, bit: u8) {
        for content in [&mut self.live, &mut self.durable] {
            if offset < content.length {
                let mut octet = [0];
                content.pages.read(&mut octet, offset);
                content.pages.write(&[octet[0] ^ (1 << (bit % 8))], offset);
            }
        }
    }

    /// The file as the next process finds it.
    pub fn without_handles(&self) -> Inode {
        Inode { handles: 0, ..self.clone() }
    }

    /// The file after a power loss.
    pub fn crash(&self, fate: &mut Fate) -> Inode {
        let committed = fate.survivors_of(self.changes.len());
        let settled = committed == self.changes.len();
        let mut found = Content {
            pages: Pages::default(),
            length: committed.checked_sub(1).map_or(self.durable.length, |last| self.changes[last].length),
            allocated: if settled { self.live.allocated.clone() } else { self.durable.allocated.clone() },
        };
        let writes = self.writes();
        let numbers: BTreeSet<u64> = self.durable.pages.numbers().chain(writes.keys().copied()).collect();
        for number in numbers {
            let none = Vec::new();
            let writes = writes.get(&number).unwrap_or(&none);
            if let Some(page) = self.crash_page(number, writes, committed, fate) {
                found.pages.insert(number, page);
                found.allocated.insert(number..number + 1);
            }
        }
        found.pages.cut(found.length);
        Inode { live: found.clone(), durable: found, ..Inode::default() }
    }

    /// Which changes wrote to each page.
    fn writes(&self) -> BTreeMap<u64, Vec<usize>> {
        let mut writes: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (at, change) in self.changes.iter().enumerate() {
            if let Effect::Written { offset, octets } = &change.effect {
                for number in pages::touched(*offset, octets.len() as u64) {
                    writes.entry(number).or_default().push(at);
                }
            }
        }
        writes
    }

    /// One page after a power loss, with the first `committed` changes of lengths and free pages in force.
    fn crash_page(&self, number: u64, writes: &[usize], committed: usize, fate: &mut Fate) -> Option<Page> {
        let frees = |change: &Change| matches!(&change.effect, Effect::Freed(gone) if gone.contains(&number));
        // A page that was freed lost its octets; what was written after a lost freeing went elsewhere.
        let freed = self.changes[..committed].iter().rposition(frees);
        let end = self.changes[committed..].iter().position(frees).map(|at| committed + at);
        let base = if freed.is_some() { None } else { self.durable.pages.get(number) };
        let in_force = |at: &usize| freed.is_none_or(|freed| *at > freed) && end.is_none_or(|end| *at < end);
        let writes: Vec<usize> = writes.iter().copied().filter(in_force).collect();
        if writes.is_empty() {
            return base.cloned();
        }
        let whole = (!fate.tears()).then(|| fate.survivors_of(writes.len()));
        let mut page = base.cloned().unwrap_or_else(pages::blank);
        let octets: &mut [u8; PAGE as usize] = Arc::make_mut(&mut page);
        for sector in page_sectors() {
            let survivors = whole.unwrap_or_else(|| fate.survivors_of(writes.len()));
            for at in &writes[..survivors] {
                self.rewrite(*at, number, &sector, octets);
            }
        }
        Some(page)
    }

    /// Repeats a change inside one sector of a page.
    fn rewrite(&self, change: usize, number: u64, sector: &Range<usize>, page: &mut [u8]) {
        let Effect::Written { offset, octets } = &self.changes[change].effect else { return };
        let (within, part) = pages::part_in(number, octets, *offset);
        let (start, end) = (within.max(sector.start), (within + part.len()).min(sector.end));
        if start < end {
            page[start..end].copy_from_slice(&part[start - within..end - within]);
        }
    }
}

fn page_sectors() -> impl Iterator<Item = Range<usize>> {
    (0..PAGE as usize).step_by(SECTOR).map(|start| start..start + SECTOR)
}
