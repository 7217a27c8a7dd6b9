//! Chunks that were read back from files, for the consumers that are at them or about to be.

use std::sync::Arc;

use crate::broker::queue::Entry;

/// Chunks that a stream keeps in memory at least and at most; in between two for each consumer.
const KEPT_MIN: usize = 4;
const KEPT_MAX: usize = 64;
/// Chunks that may be asked for at once.
const WANTED_MAX: usize = KEPT_MAX;

/// A chunk in memory. What of it was damaged is missing.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub first: u64,
    pub end: u64,
    pub entries: Arc<Vec<Entry>>,
}

/// The chunks in memory, the one used last at the end.
#[derive(Debug, Default)]
pub struct Cache {
    loaded: Vec<Loaded>,
    /// First offsets of chunks that were asked for.
    wanted: Vec<u64>,
}

impl Cache {
    /// The chunk with an offset.
    pub fn find(&mut self, offset: u64) -> Option<Loaded> {
        let at = self.loaded.iter().rposition(|chunk| chunk.first <= offset && offset < chunk.end)?;
        let found = self.loaded.remove(at);
        self.loaded.push(found.clone());
        Some(found)
    }

    /// True when a chunk must be asked for: it is not here, and nobody has.
    pub fn want(&mut self, first: u64) -> bool {
        let is_known = self.wanted.contains(&first) || self.loaded.iter().any(|chunk| chunk.first == first);
        if is_known || WANTED_MAX <= self.wanted.len() {
            return false;
        }
        self.wanted.push(first);
        true
    }

    /// A chunk that was asked for has come; false when nobody asked.
    pub fn put(&mut self, chunk: Option<Loaded>, first: u64, consumers: usize) -> bool {
        let Some(at) = self.wanted.iter().position(|wanted| *wanted == first) else { return false };
        self.wanted.swap_remove(at);
        if let Some(chunk) = chunk {
            self.loaded.push(chunk);
            let kept = (2 * consumers).clamp(KEPT_MIN, KEPT_MAX);
            let excess = self.loaded.len().saturating_sub(kept);
            self.loaded.drain(..excess);
        }
        true
    }

    /// Forgets chunks that nobody is at or before.
    pub fn keep(&mut self, is_needed: impl Fn(&Loaded) -> bool) {
        self.loaded.retain(is_needed);
    }

    pub fn clear(&mut self) {
        self.loaded = Vec::new();
    }
}
