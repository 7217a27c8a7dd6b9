//! A set of sequence numbers, mostly neighbours: a bit each, in blocks that vanish when they are empty.

use std::collections::BTreeMap;

/// Words of 64 bits in a block.
const WORDS: usize = 8;
const BITS: u64 = WORDS as u64 * 64;

/// The sequence numbers of a queue that are still needed.
#[derive(Debug, Default, Clone)]
pub struct Sequences {
    blocks: BTreeMap<u64, [u64; WORDS]>,
    count: u64,
}

/// The numbers in a block.
fn members<'b>((number, block): (&'b u64, &'b [u64; WORDS])) -> impl Iterator<Item = u64> + use<'b> {
    block.iter().enumerate().flat_map(move |(at, word)| {
        let first = number * BITS + at as u64 * 64;
        (0..64).filter(move |bit| word >> bit & 1 != 0).map(move |bit| first + bit)
    })
}

#[inline]
fn place(sequence: u64) -> (u64, usize, u64) {
    let bit = sequence % BITS;
    (sequence / BITS, (bit / 64) as usize, 1 << (bit % 64))
}

impl Sequences {
    pub fn len(&self) -> u64 {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// False when it was there.
    #[inline]
    pub fn insert(&mut self, sequence: u64) -> bool {
        let (block, word, bit) = place(sequence);
        let block = self.blocks.entry(block).or_default();
        let Some(word) = block.get_mut(word) else { return false };
        let new = *word & bit == 0;
        *word |= bit;
        self.count += u64::from(new);
        new
    }

    /// False when it was not there.
    #[inline]
    pub fn remove(&mut self, sequence: u64) -> bool {
        let (number, word, bit) = place(sequence);
        let Some(block) = self.blocks.get_mut(&number) else { return false };
        let Some(word) = block.get_mut(word) else { return false };
        if *word & bit == 0 {
            return false;
        }
        *word &= !bit;
        self.count -= 1;
        if *block == [0; WORDS] {
            self.blocks.remove(&number);
        }
        true
    }

    #[inline]
    pub fn contains(&self, sequence: u64) -> bool {
        let (block, word, bit) = place(sequence);
        self.blocks.get(&block).and_then(|block| block.get(word)).is_some_and(|word| word & bit != 0)
    }

    /// In ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        self.blocks.iter().flat_map(members)
    }

    /// Those from `first` up to `end`, in ascending order; takes time for what is there, not for the range.
    pub fn range(&self, first: u64, end: u64) -> impl Iterator<Item = u64> {
        let blocks =
            if first < end { self.blocks.range(first / BITS..=(end - 1) / BITS) } else { Default::default() };
        blocks.flat_map(members).filter(move |sequence| first <= *sequence && *sequence < end)
    }

    /// Moves everything out of `other` into this one.
    pub fn absorb(&mut self, other: &mut Sequences) {
        for (number, words) in std::mem::take(&mut other.blocks) {
            let block = self.blocks.entry(number).or_default();
            for (word, added) in block.iter_mut().zip(words) {
                self.count += u64::from((added & !*word).count_ones());
                *word |= added;
            }
        }
        other.count = 0;
    }

    /// Runs of neighbours: the first and how many.
    pub fn runs(&self) -> Vec<(u64, u64)> {
        runs(self.iter())
    }
}

/// Joins ascending numbers to runs: the first and how many.
pub fn runs(sequences: impl Iterator<Item = u64>) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for sequence in sequences {
        match runs.last_mut() {
            Some((first, length)) if first.wrapping_add(*length) == sequence => *length += 1,
            _ => runs.push((sequence, 1)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_a_set(steps in proptest::collection::vec((any::<bool>(), 0..2000u64), 0..300), more in proptest::collection::vec(0..2000u64, 0..50), part in (0..2000u64, 0..2100u64)) {
            let (mut set, mut model) = (Sequences::default(), BTreeSet::new());
            for (insert, sequence) in steps {
                if insert {
                    prop_assert_eq!(set.insert(sequence), model.insert(sequence));
                } else {
                    prop_assert_eq!(set.remove(sequence), model.remove(&sequence));
                }
            }
            let mut other = Sequences::default();
            for sequence in more {
                other.insert(sequence);
                model.insert(sequence);
            }
            set.absorb(&mut other);
            prop_assert!(other.is_empty());
            prop_assert_eq!(set.len(), model.len() as u64);
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), model.iter().copied().collect::<Vec<_>>());
            let expanded: Vec<u64> = set.runs().into_iter().flat_map(|(first, length)| first..first + length).collect();
            prop_assert_eq!(expanded, model.iter().copied().collect::<Vec<_>>());
            let (first, end) = part;
            let inside: Vec<u64> = model.into_iter().filter(|sequence| (first..end).contains(sequence)).collect();
            prop_assert_eq!(set.range(first, end).collect::<Vec<_>>(), inside);
        }
    }
}
