//! The numbers met so far on one walk, in the order they were met.

use foldhash::fast::FixedState;
use hashbrown::HashSet;

/// Up to this many are found by scanning, which beats hashing.
const SCANNED_MAX: usize = 16;
/// A hash set larger than this is not kept for the next message.
const KEPT_MAX: usize = 16 * 1024;

/// A set of small numbers that remembers their order, reusable without allocation.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    order: Vec<u32>,
    // Holds all of `order`, but only once that is longer than `SCANNED_MAX`.
    hashed: HashSet<u32, FixedState>,
}

impl Seen {
    pub(super) fn clear(&mut self) {
        if KEPT_MAX < self.order.len() {
            *self = Self::default();
        }
        self.order.clear();
        self.hashed.clear();
    }

    /// Adds a number; false if it was there.
    pub(super) fn insert(&mut self, number: u32) -> bool {
        let is_new = if self.order.len() <= SCANNED_MAX {
            !self.order.contains(&number)
        } else {
            if self.hashed.is_empty() {
                self.hashed.extend(self.order.iter().copied());
            }
            self.hashed.insert(number)
        };
        if is_new {
            self.order.push(number);
        }
        is_new
    }

    /// The number met at this place.
    pub(super) fn at(&self, place: usize) -> Option<u32> {
        self.order.get(place).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_new_once_below_and_above_the_scanning_limit() {
        let mut seen = Seen::default();
        for _ in 0..2 {
            for number in 0..100 {
                assert!(seen.insert(number * 7));
                assert!(!seen.insert(number * 7));
                assert!(!seen.insert(0));
            }
            assert_eq!((seen.at(0), seen.at(99), seen.at(100)), (Some(0), Some(693), None));
            seen.clear();
        }
    }
}
