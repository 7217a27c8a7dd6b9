//! Random exchange: each message to one destination, whichever (EXC-84).

use super::binding::{Binding, Destination};
use super::multiset::Multiset;

/// The destinations, each counted once per binding.
#[derive(Clone, Debug, Default)]
pub(super) struct Random {
    destinations: Multiset<Destination>,
}

impl Random {
    pub(super) fn insert(&mut self, binding: &Binding) {
        self.destinations.insert(binding.destination);
    }

    pub(super) fn remove(&mut self, binding: &Binding) {
        self.destinations.remove(binding.destination);
    }

    pub(super) fn route(&self, dice: &mut Dice, found: &mut Vec<Destination>) {
        let place = dice.below(self.destinations.len());
        found.extend(place.and_then(|place| self.destinations.at(place)));
    }
}

/// Numbers without a pattern, always the same from one seed: the generator SplitMix64.
///
/// It is part of whoever routes, not of the exchange, so that those who route at the same time need neither a lock
/// nor a shared cache line for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn seeded(seed: u64) -> Self {
        let mut dice = Self(seed);
        // Neighbouring seeds must not give neighbouring sequences.
        Self(dice.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `count`, all as likely up to the tiniest bias; none below zero.
    fn below(&mut self, count: usize) -> Option<usize> {
        let scaled = (u128::from(self.next()) * count as u128) >> u64::BITS;
        (0 < count).then_some(scaled as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_comes_up_about_as_often() {
        let mut dice = Dice::default();
        let mut counts = [0; 7];
        for _ in 0..7_000 {
            counts[dice.below(7).expect("there are places")] += 1;
        }
        assert!(counts.iter().all(|count| (850..1_150).contains(count)), "{counts:?}");
        assert_eq!(dice.below(0), None);
    }

    #[test]
    fn neighbouring_seeds_go_their_own_ways() {
        let throws = |seed| {
            let mut dice = Dice::seeded(seed);
            (0..100).map(|_| dice.below(1000)).collect::<Vec<_>>()
        };
        let (one, other) = (throws(1), throws(2));
        let same = one.iter().filter(|throw| other.contains(throw)).count();
        assert!(same < 40, "{same} of 100 in common");
        assert_eq!(one, throws(1));
    }
}
