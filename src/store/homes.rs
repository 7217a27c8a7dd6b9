//! Which page a sequence of a queue may live in.
//!
//! A lane's sequences are divided into parts, each of one page. A page that is written anew takes its part from
//! those that had it, so that pages which were read back and partly written once more stay apart from their
//! successors, and pages of messages that wait for a time, in whose order sequences are mixed, from each other.

use std::{collections::BTreeMap, ops::Bound};

/// Parts of lanes, by lane and first sequence. They do not overlap.
#[derive(Debug, Default)]
pub struct Homes {
    beginnings: BTreeMap<(u8, u64), Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    page: u64,
    /// Behind its last sequence.
    end: u64,
}

impl Homes {
    /// The pages, one a lane, in which a sequence can be.
    pub fn of(&self, sequence: u64) -> impl Iterator<Item = u64> {
        let parts = self.lanes().filter_map(move |lane| self.part(lane, sequence));
        parts.filter(move |(_, part)| sequence < part.end).map(|(_, part)| part.page)
    }

    /// The pages in which something from `first` up to before `end` can be.
    pub fn between(&self, first: u64, end: u64) -> Vec<u64> {
        let mut pages = Vec::new();
        for lane in self.lanes().filter(|_| first < end) {
            let before = self.part(lane, first).filter(|(begin, part)| *begin < first && first < part.end);
            let inside = self.beginnings.range((lane, first)..(lane, end)).map(|(_, part)| part.page);
            pages.extend(before.map(|(_, part)| part.page).into_iter().chain(inside));
        }
        // One that gave something away may have several parts.
        pages.sort_unstable();
        pages.dedup();
        pages
    }

    fn lanes(&self) -> impl Iterator<Item = u8> {
        let mut lane = self.beginnings.first_key_value().map(|((lane, _), _)| *lane);
        std::iter::from_fn(move || {
            let here = lane?;
            let behind = (Bound::Excluded((here, u64::MAX)), Bound::Unbounded);
            lane = self.beginnings.range(behind).next().map(|((lane, _), _)| *lane);
            Some(here)
        })
    }

    /// The last part that begins there or before.
    fn part(&self, lane: u8, sequence: u64) -> Option<(u64, Part)> {
        let part = self.beginnings.range((lane, 0)..=(lane, sequence)).next_back();
        part.map(|((_, begin), part)| (*begin, *part))
    }

    /// A page holds these runs of sequences: a first one and how many, ascending.
    pub fn add(&mut self, page: u64, lane: u8, runs: &[(u64, u64)]) {
        let mut parts = runs.iter().copied();
        let Some((mut first, length)) = parts.next() else { return };
        let mut end = first.saturating_add(length);
        for (next, length) in parts {
            // Another page between two runs, or around them, keeps its place.
            let begins = self.beginnings.range((lane, end)..(lane, next)).next().is_some();
            let reaches = self.part(lane, end).is_some_and(|(_, part)| end < part.end && part.page != page);
            if begins || reaches {
                self.take(page, lane, first, end);
                first = next;
            }
            end = next.saturating_add(length);
        }
        self.take(page, lane, first, end);
    }

    /// Gives everything from `first` to before `end` to a page.
    fn take(&mut self, page: u64, lane: u8, first: u64, end: u64) {
        for cut in [first, end] {
            if let Some((begin, part)) = self.part(lane, cut)
                && begin < cut
                && cut < part.end
            {
                self.beginnings.insert((lane, begin), Part { end: cut, ..part });
                self.beginnings.insert((lane, cut), part);
            }
        }
        let covered: Vec<u64> =
            self.beginnings.range((lane, first)..(lane, end)).map(|((_, begin), _)| *begin).collect();
        for begin in covered {
            self.beginnings.remove(&(lane, begin));
        }
        self.beginnings.insert((lane, first), Part { page, end });
    }

    /// A page is no more; `runs` are what it was added with.
    pub fn forget(&mut self, page: u64, lane: u8, runs: &[(u64, u64)]) {
        let (Some((first, _)), Some((last, length))) = (runs.first(), runs.last()) else { return };
        let range = (lane, *first)..=(lane, last.saturating_add(*length));
        let own = self.beginnings.range(range).filter(|(_, part)| part.page == page);
        let own: Vec<(u8, u64)> = own.map(|(beginning, _)| *beginning).collect();
        for beginning in own {
            self.beginnings.remove(&beginning);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::sequences::runs, *};

    fn homes(pages: &[(u64, &[(u64, u64)])]) -> Homes {
        let mut homes = Homes::default();
        for (page, runs) in pages {
            homes.add(*page, 0, runs);
        }
        homes
    }

    fn of(homes: &Homes, sequence: u64) -> Vec<u64> {
        homes.of(sequence).collect()
    }

    #[test]
    fn a_page_within_another_leaves_it_both_sides() {
        let homes = homes(&[(3, &[(100, 100)]), (5, &[(150, 20)])]);
        for (sequence, page) in [(100, 3), (149, 3), (150, 5), (169, 5), (170, 3), (199, 3)] {
            assert_eq!(of(&homes, sequence), [page], "{sequence}");
        }
        assert!(of(&homes, 99).is_empty());
    }

    #[test]
    fn a_page_over_the_end_of_one_and_the_beginning_of_the_next_leaves_both_the_rest() {
        let mut homes = homes(&[(3, &[(100, 100)]), (4, &[(200, 100)]), (5, &[(150, 100)])]);
        for (sequence, page) in [(149, 3), (150, 5), (200, 5), (249, 5), (250, 4), (299, 4)] {
            assert_eq!(of(&homes, sequence), [page], "{sequence}");
        }
        homes.forget(5, 0, &[(150, 100)]);
        homes.forget(4, 0, &[(200, 100)]);
        homes.forget(3, 0, &[(100, 100)]);
        assert!(homes.beginnings.is_empty());
    }

    #[test]
    fn the_order_of_additions_does_not_matter_to_pages_that_are_apart() {
        let homes = homes(&[(5, &[(150, 20)]), (3, &[(100, 50), (170, 30)])]);
        for (sequence, page) in [(100, 3), (149, 3), (150, 5), (169, 5), (170, 3), (199, 3)] {
            assert_eq!(of(&homes, sequence), [page], "{sequence}");
        }
    }

    #[test]
    fn lanes_are_apart() {
        let mut homes = Homes::default();
        homes.add(1, 2, &[(10, 1), (12, 1)]);
        homes.add(2, 9, &[(11, 1), (13, 1)]);
        assert_eq!(of(&homes, 12), [1, 2]);
        assert_eq!(of(&homes, 10), [1]);
        assert_eq!(homes.between(11, 12), [1, 2]);
        assert!(homes.between(14, 20).is_empty());
    }

    #[test]
    fn a_page_of_two_parts_is_named_once() {
        let homes = homes(&[(3, &[(100, 100)]), (5, &[(150, 20)])]);
        assert_eq!(homes.between(120, 180), [3, 5]);
        assert_eq!(homes.between(160, 165), [5]);
        assert!(homes.between(0, 100).is_empty());
        assert!(homes.between(120, 120).is_empty());
    }

    proptest! {
        /// Pages whose sequences are mixed, as of messages that wait for a time.
        #[test]
        fn mixed_pages_keep_what_is_theirs(owners in proptest::collection::vec(proptest::option::of(0..6u64), 0..200)) {
            let mut homes = Homes::default();
            let sequences = |page| {
                let owned = (0..).zip(&owners).filter(move |(_, owner)| **owner == Some(page));
                runs(owned.map(|(sequence, _)| sequence))
            };
            (0..6).for_each(|page| homes.add(page, 0, &sequences(page)));
            for (sequence, owner) in (0..).zip(&owners) {
                if let Some(page) = owner {
                    prop_assert_eq!(of(&homes, sequence), vec![*page]);
                }
            }
            (0..6).for_each(|page| homes.forget(page, 0, &sequences(page)));
            prop_assert!(homes.beginnings.is_empty());
        }

        /// Pages of intervals, each taking from those before it, against a map of every sequence.
        #[test]
        fn owns_what_it_took_last(pages in proptest::collection::vec((0..200u64, 1..60u64), 1..20)) {
            let (mut homes, mut owners) = (Homes::default(), BTreeMap::new());
            for (page, (first, length)) in (0..).zip(&pages) {
                homes.add(page, 0, &[(*first, *length)]);
                owners.extend((*first..first + length).map(|sequence| (sequence, page)));
            }
            for (sequence, page) in &owners {
                prop_assert_eq!(of(&homes, *sequence), vec![*page]);
            }
            for (page, (first, length)) in (0..).zip(&pages) {
                homes.forget(page, 0, &[(*first, *length)]);
            }
            prop_assert!(homes.beginnings.is_empty());
        }
    }
}
