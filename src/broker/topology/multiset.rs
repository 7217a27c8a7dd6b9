//! A counted set that is a short list while small and hashed when large.
//!
//! Exchanges keep their destinations in it: most routing keys have one, a fanout exchange may have 100,000, and
//! binding and unbinding must stay cheap for both.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use smallvec::SmallVec;
use std::hash::Hash;

/// Up to this many distinct values are found by scanning.
const SCANNED_MAX: usize = 16;

/// Distinct values with the number of times each was inserted.
#[derive(Clone, Debug)]
pub(super) struct Multiset<T: Copy + Eq + Hash> {
    entries: SmallVec<[Entry<T>; 1]>,
    // Where each value stands in `entries`; kept only beyond `SCANNED_MAX` values.
    places: Option<Box<HashMap<T, usize, FixedState>>>,
}

#[derive(Clone, Copy, Debug)]
struct Entry<T> {
    value: T,
    count: u32,
}

impl<T: Copy + Eq + Hash> Default for Multiset<T> {
    fn default() -> Self {
        Self { entries: SmallVec::new(), places: None }
    }
}

impl<T: Copy + Eq + Hash> Multiset<T> {
    pub(super) fn insert(&mut self, value: T) {
        if let Some(place) = self.place(value) {
            self.entries[place].count += 1;
            return;
        }
        let place = self.entries.len();
        self.entries.push(Entry { value, count: 1 });
        if let Some(places) = &mut self.places {
            places.insert(value, place);
        } else if SCANNED_MAX < self.entries.len() {
            let places = self.entries.iter().enumerate().map(|(place, entry)| (entry.value, place));
            self.places = Some(Box::new(places.collect()));
        }
    }

    /// Takes back one insertion of `value`.
    pub(super) fn remove(&mut self, value: T) {
        let place = self.place(value).expect("removed as often as inserted");
        self.entries[place].count -= 1;
        if 0 < self.entries[place].count {
            return;
        }
        self.entries.swap_remove(place);
        let Some(places) = &mut self.places else { return };
        places.remove(&value);
        if let Some(moved) = self.entries.get(place) {
            places.insert(moved.value, place);
        }
        if self.entries.len() <= SCANNED_MAX / 2 {
            self.places = None;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The distinct value at this place, below [`Multiset::len`]; places change with every removal.
    pub(super) fn at(&self, place: usize) -> Option<T> {
        self.entries.get(place).map(|entry| entry.value)
    }

    /// The distinct values.
    pub(super) fn iter(&self) -> impl Iterator<Item = T> {
        self.entries.iter().map(|entry| entry.value)
    }

    fn place(&self, value: T) -> Option<usize> {
        match &self.places {
            Some(places) => places.get(&value).copied(),
            None => self.entries.iter().position(|entry| entry.value == value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn counts_as_a_map_does(operations in prop::collection::vec((any::<bool>(), 0u8..40), 0..300)) {
            let mut set = Multiset::default();
            let mut model: BTreeMap<u8, u32> = BTreeMap::new();
            for (insert, value) in operations {
                if insert {
                    set.insert(value);
                    *model.entry(value).or_default() += 1;
                } else if let Some(count) = model.get_mut(&value) {
                    set.remove(value);
                    *count -= 1;
                    model.retain(|_, count| 0 < *count);
                }
                let mut values: Vec<u8> = set.iter().collect();
                values.sort_unstable();
                prop_assert_eq!(values, model.keys().copied().collect::<Vec<_>>());
                prop_assert_eq!((set.len(), set.is_empty()), (model.len(), model.is_empty()));
            }
        }
    }
}
