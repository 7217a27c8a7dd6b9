//! The octets of a file as sparse pages; a page that is not there reads as zeros.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

/// What a page cache and a file system handle as one.
pub const PAGE: u64 = 4096;
const OCTETS: usize = PAGE as usize;

/// One page. Shared between what is live, what is durable and copies of the disk until it is written to.
pub type Page = Arc<[u8; OCTETS]>;

/// The pages of a file by number.
#[derive(Debug, Clone, Default)]
pub struct Pages(BTreeMap<u64, Page>);

/// The numbers of the pages that a range of octets touches.
pub fn touched(offset: u64, length: u64) -> Range<u64> {
    if length == 0 { 0..0 } else { offset / PAGE..(offset + length).div_ceil(PAGE) }
}

/// A range of octets cut at page ends: page, where in the page, where in the range.
fn pieces(offset: u64, length: usize) -> impl Iterator<Item = (u64, Range<usize>, Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let within = (at % PAGE) as usize;
        let step = (OCTETS - within).min(length - done);
        let piece = (at / PAGE, within..within + step, done..done + step);
        done += step;
        (step > 0).then_some(piece)
    })
}

/// The part of a write that falls into one page: where in the page, and what.
pub fn part_in(page: u64, octets: &[u8], offset: u64) -> (usize, &[u8]) {
    let start = page * PAGE;
    if offset < start {
        let rest = &octets[(start - offset) as usize..];
        (0, &rest[..rest.len().min(OCTETS)])
    } else {
        let within = (offset - start) as usize;
        (within, &octets[..octets.len().min(OCTETS - within)])
    }
}

/// A page of zeros.
pub fn blank() -> Page {
    Arc::new([0; OCTETS])
}

impl Pages {
    /// Fills the whole buffer.
    pub fn read(&self, octets: &mut [u8], offset: u64) {
        for (number, within, at) in pieces(offset, octets.len()) {
            match self.0.get(&number) {
                Some(page) => octets[at].copy_from_slice(&page[within]),
                None => octets[at].fill(0),
            }
        }
    }

    /// Writes the whole buffer.
    pub fn write(&mut self, octets: &[u8], offset: u64) {
        for (number, within, at) in pieces(offset, octets.len()) {
            let page = self.0.entry(number).or_insert_with(blank);
            Arc::make_mut(page)[within].copy_from_slice(&octets[at]);
        }
    }

    /// Frees whole pages.
    pub fn remove(&mut self, numbers: Range<u64>) {
        let gone: Vec<u64> = self.0.range(numbers).map(|(number, _)| *number).collect();
        gone.iter().for_each(|number| drop(self.0.remove(number)));
    }

    /// Makes a range equal to the same range of another file.
    pub fn copy_from(&mut self, other: &Pages, numbers: Range<u64>) {
        self.remove(numbers.clone());
        self.0.extend(other.0.range(numbers).map(|(number, page)| (*number, page.clone())));
    }

    /// Zeros behind a length, as a file system leaves them.
    pub fn cut(&mut self, length: u64) {
        let last = length / PAGE;
        self.remove(length.div_ceil(PAGE)..u64::MAX);
        if let Some(page) = self.0.get_mut(&last) {
            Arc::make_mut(page)[(length % PAGE) as usize..].fill(0);
        }
    }

    /// One page.
    pub fn get(&self, number: u64) -> Option<&Page> {
        self.0.get(&number)
    }

    /// Puts one page in place.
    pub fn insert(&mut self, number: u64, page: Page) {
        self.0.insert(number, page);
    }

    /// The numbers of the pages that hold octets.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.0.keys().copied()
    }
}
