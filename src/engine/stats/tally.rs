//! A counter that one task writes and all may read.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A plain number for its only writer, an atomic one for everybody else: it is loaded and stored, never locked,
/// so that counting costs what an addition costs. Two writers would lose counts.
#[derive(Debug, Default)]
pub struct Tally(AtomicU64);

impl Tally {
    #[inline]
    pub fn add(&self, count: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(count), Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Adds where there may be several writers: what happens once in a while.
    pub fn add_shared(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }
}
