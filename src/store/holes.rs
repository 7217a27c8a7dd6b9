//! What is free in a file of pages, and when it is worth giving back to the disk.
//!
//! Each range given back is a transaction of the file system and waits for the log's; so neighbours that are
//! freed one after the other go together.

use std::collections::BTreeMap;

/// Octets from which on free neighbours are given back. At most so much of the disk is lost next to each page
/// that somebody needs.
const WORTH: u64 = 256 << 10;

/// The free ranges of a file.
#[derive(Debug, Default)]
pub struct Holes(BTreeMap<u64, Hole>);

#[derive(Debug, Clone, Copy)]
struct Hole {
    end: u64,
    /// Octets of it that still occupy the disk.
    kept: u64,
}

impl Holes {
    /// What is between these ranges and before them, none of it given back as far as anybody knows.
    pub fn between(mut used: Vec<(u64, u64)>) -> Holes {
        used.sort_unstable();
        let (mut holes, mut at) = (BTreeMap::new(), 0);
        for (offset, length) in used {
            if at < offset {
                holes.insert(at, Hole { end: offset, kept: offset - at });
            }
            at = at.max(offset.saturating_add(length));
        }
        Holes(holes)
    }

    /// All of a file of this length is free and has been given back.
    pub fn gone(length: u64) -> Holes {
        Holes([(0, Hole { end: length, kept: 0 })].into())
    }

    /// A range has become free; returns offset and length of what is to be given back now.
    pub fn add(&mut self, offset: u64, length: u64) -> Option<(u64, u64)> {
        let mut start = offset;
        let mut hole = Hole { end: offset.saturating_add(length), kept: length };
        if let Some((&before, &left)) = self.0.range(..offset).next_back()
            && left.end == offset
        {
            self.0.remove(&before);
            start = before;
            hole.kept += left.kept;
        }
        if let Some(right) = self.0.remove(&hole.end) {
            hole = Hole { end: right.end, kept: hole.kept + right.kept };
        }
        let is_worth = WORTH <= hole.kept;
        if is_worth {
            hole.kept = 0;
        }
        self.0.insert(start, hole);
        is_worth.then_some((start, hole.end - start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: u64 = WORTH / 4;

    #[test]
    fn neighbours_go_together_once_they_are_worth_it() {
        let mut holes = Holes::default();
        for at in [5, 7, 0, 6] {
            assert_eq!(holes.add(at * SMALL, SMALL), None, "{at}");
        }
        assert_eq!(holes.add(8 * SMALL, SMALL), Some((5 * SMALL, 4 * SMALL)));
        // What is gone counts no more, but belongs to the range.
        for at in [9, 10, 4] {
            assert_eq!(holes.add(at * SMALL, SMALL), None, "{at}");
        }
        assert_eq!(holes.add(11 * SMALL, SMALL), Some((4 * SMALL, 8 * SMALL)));
        assert_eq!(holes.add(20 * WORTH, WORTH), Some((20 * WORTH, WORTH)));
    }

    #[test]
    fn what_is_gone_counts_no_more() {
        let mut holes = Holes::gone(10 * WORTH);
        assert_eq!(holes.add(10 * WORTH, SMALL), None);
        assert_eq!(holes.add(10 * WORTH + SMALL, 3 * SMALL), Some((0, 11 * WORTH)));
    }

    #[test]
    fn what_lies_between_used_ranges_is_free() {
        let mut holes = Holes::between(vec![(10 * SMALL, SMALL), (3 * SMALL, 2 * SMALL)]);
        assert_eq!(holes.add(3 * SMALL, 2 * SMALL), Some((0, 10 * SMALL)));
        assert_eq!(holes.add(10 * SMALL, SMALL), None);
    }
}
