//! The numbers met so far on one walk, in the order they were met.

/// Up to this many are found by scanning, so that most messages touch one cache line.
const SCANNED_MAX: usize = 16;
/// A bitmap of more words than this is not kept for the next message.
const KEPT_WORDS_MAX: usize = 4096;

/// A set of small numbers that remembers their order, reusable without allocation.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    order: Vec<u32>,
    // One bit a number: those of `order` from the moment it is full for scanning, else none.
    bits: Vec<u64>,
}

impl Seen {
    pub(super) fn clear(&mut self) {
        if KEPT_WORDS_MAX < self.bits.len() {
            self.bits = Vec::new();
        } else if SCANNED_MAX <= self.order.len() {
            for number in &self.order {
                if let Some(word) = self.bits.get_mut(word(*number)) {
                    *word = 0;
                }
            }
        }
        self.order.clear();
    }

    /// Adds a number; false if it was there.
    pub(super) fn insert(&mut self, number: u32) -> bool {
        let is_new = if self.order.len() < SCANNED_MAX {
            !self.order.contains(&number)
        } else {
            if self.order.len() == SCANNED_MAX {
                self.mark_all();
            }
            self.mark(number)
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

    /// All of them, in the order they were met.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        self.order.iter().copied()
    }

    fn mark_all(&mut self) {
        for place in 0..self.order.len() {
            self.mark(self.order[place]);
        }
    }

    /// Sets a number's bit; false if it was set.
    fn mark(&mut self, number: u32) -> bool {
        let (word, bit) = (word(number), 1 << (number % u64::BITS));
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        let is_new = self.bits[word] & bit == 0;
        self.bits[word] |= bit;
        is_new
    }
}

fn word(number: u32) -> usize {
    (number / u64::BITS) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn numbers_are_new_once(walks in prop::collection::vec(prop::collection::vec(0u32..200, 0..60), 1..5)) {
            let mut seen = Seen::default();
            for walk in walks {
                seen.clear();
                let mut model = BTreeSet::new();
                let mut order = Vec::new();
                for number in walk {
                    let is_new = model.insert(number);
                    prop_assert_eq!(seen.insert(number), is_new);
                    if is_new {
                        order.push(number);
                    }
                }
                let met: Vec<u32> = (0..).map_while(|place| seen.at(place)).collect();
                prop_assert_eq!(met, order);
            }
        }
    }

    #[test]
    fn a_large_bitmap_is_not_kept() {
        let mut seen = Seen::default();
        for number in 0..100 {
            assert!(seen.insert(number * 10_000));
        }
        seen.clear();
        assert!(seen.bits.is_empty());
        assert!(seen.insert(0));
    }
}
