//! Sets of pages as ranges: which pages of a file have space on the disk.

use std::{collections::BTreeMap, ops::Range};

/// Ranges of page numbers, start to end. Invariant: none is empty, and no two touch.
#[derive(Debug, Clone, Default)]
pub struct Extents(BTreeMap<u64, u64>);

impl Extents {
    /// How many pages are in the set.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|(start, end)| end - start).sum()
    }

    /// How many pages of a range are in the set.
    pub fn count_in(&self, range: &Range<u64>) -> u64 {
        let part = |(start, end): (&u64, &u64)| end.min(&range.end).saturating_sub(*start.max(&range.start));
        self.0.range(..range.end).rev().map_while(|pair| Some(part(pair)).filter(|pages| *pages > 0)).sum()
    }

    /// Adds a range.
    pub fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() || self.count_in(&range) == range.end - range.start {
            return;
        }
        let (mut start, mut end) = (range.start, range.end);
        let touching: Vec<(u64, u64)> =
            self.0.range(..=end).rev().map_while(|(at, to)| (*to >= start).then_some((*at, *to))).collect();
        for (at, to) in touching {
            self.0.remove(&at);
            start = start.min(at);
            end = end.max(to);
        }
        self.0.insert(start, end);
    }

    /// Takes a range out.
    pub fn remove(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let cut: Vec<(u64, u64)> = self
            .0
            .range(..range.end)
            .rev()
            .map_while(|(at, to)| (*to > range.start).then_some((*at, *to)))
            .collect();
        for (at, to) in cut {
            self.0.remove(&at);
            if at < range.start {
                self.0.insert(at, range.start);
            }
            if range.end < to {
                self.0.insert(range.end, to);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_agree_with_a_plain_set(steps in prop::collection::vec((any::<bool>(), 0u64..40, 0u64..12), 0..60)) {
            let (mut extents, mut plain) = (Extents::default(), BTreeSet::new());
            for (adds, start, length) in steps {
                let range = start..start + length;
                prop_assert_eq!(extents.count_in(&range), plain.range(range.clone()).count() as u64);
                if adds {
                    extents.insert(range.clone());
                    plain.extend(range);
                } else {
                    extents.remove(range.clone());
                    plain.retain(|page| !range.contains(page));
                }
                prop_assert_eq!(extents.count(), plain.len() as u64);
                let bounds: Vec<_> = extents.0.iter().collect();
                prop_assert!(bounds.iter().all(|(start, end)| start < end));
                prop_assert!(bounds.windows(2).all(|pair| pair[0].1 < pair[1].0), "touching: {:?}", bounds);
            }
        }
    }
}
