//! Which published messages a broker has confirmed, singly or up to a tag, in any order.

use std::collections::BTreeSet;

/// The confirmed tags of one channel.
#[derive(Debug, Default)]
pub struct Confirms {
    /// Every tag up to here is confirmed.
    prefix: u64,
    /// Confirmed tags above the prefix's successor. Invariant: 'prefix + 1' is not among them.
    singles: BTreeSet<u64>,
}

impl Confirms {
    /// How many messages are confirmed.
    pub fn count(&self) -> u64 {
        self.prefix + self.singles.len() as u64
    }

    /// Takes one basic.ack.
    pub fn ack(&mut self, tag: u64, multiple: bool) {
        if tag <= self.prefix {
            return;
        }
        if multiple {
            self.singles = self.singles.split_off(&(tag + 1));
            self.prefix = tag;
        } else if tag > self.prefix + 1 {
            self.singles.insert(tag);
            return;
        } else {
            self.prefix = tag;
        }
        while self.singles.first() == Some(&(self.prefix + 1)) {
            self.singles.pop_first();
            self.prefix += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn singles_before_a_multiple_are_not_counted_twice() {
        let mut confirms = Confirms::default();
        confirms.ack(5, false);
        confirms.ack(3, false);
        assert_eq!(confirms.count(), 2);
        confirms.ack(4, true);
        assert_eq!(confirms.count(), 5);
        confirms.ack(10, true);
        assert_eq!(confirms.count(), 10);
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_set(acks in prop::collection::vec((1u64..40, any::<bool>()), 0..60)) {
            let (mut confirms, mut set) = (Confirms::default(), BTreeSet::new());
            for (tag, multiple) in acks {
                confirms.ack(tag, multiple);
                set.extend(if multiple { 1..=tag } else { tag..=tag });
                prop_assert_eq!(confirms.count(), set.len() as u64);
            }
        }
    }
}
