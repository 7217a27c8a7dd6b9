//! The deliveries of one channel that wait for a settlement, in order of their tags.

use std::collections::VecDeque;

use crate::broker::{Millis, queue::Entry};

/// Index into a channel's origins: which queue and consumer a delivery came from.
pub type OriginIndex = u32;

/// Settled places are swept once there are more than this and they outnumber the rest.
const SWEEP_MIN: usize = 64;

/// A delivery that waits for a settlement.
#[derive(Debug)]
pub struct Unacked {
    pub tag: u64,
    pub origin: OriginIndex,
    pub entry: Entry,
    /// When it was delivered.
    pub since: Millis,
}

#[derive(Debug)]
struct Place {
    tag: u64,
    origin: OriginIndex,
    /// `None` once settled out of order.
    entry: Option<Entry>,
    since: Millis,
}

/// The ledger of a channel. Invariant: ascending by tag; the first place is not settled.
#[derive(Debug, Default)]
pub struct Ledger {
    places: VecDeque<Place>,
    settled: usize,
}

impl Ledger {
    /// Deliveries that wait.
    pub fn len(&self) -> usize {
        self.places.len() - self.settled
    }

    /// When the oldest outstanding delivery was made.
    pub fn oldest(&self) -> Option<Millis> {
        self.places.front().map(|place| place.since)
    }

    /// What waits, in order: where it came from, and since when.
    pub fn outstanding(&self) -> impl Iterator<Item = (OriginIndex, Millis)> {
        let waiting = self.places.iter().filter(|place| place.entry.is_some());
        waiting.map(|place| (place.origin, place.since))
    }

    /// Adds a delivery; its tag is the highest yet.
    #[inline]
    pub fn push(&mut self, unacked: Unacked) {
        let Unacked { tag, origin, entry, since } = unacked;
        self.places.push_back(Place { tag, origin, entry: Some(entry), since });
    }

    /// Settles one delivery; `None` when the tag is not outstanding (CH-63).
    #[inline]
    pub fn take(&mut self, tag: u64) -> Option<Unacked> {
        let first = self.places.front()?;
        if first.tag == tag {
            let taken = self.pop_front();
            self.trim();
            return taken;
        }
        let index = self.position(tag)?;
        let place = self.places.get_mut(index)?;
        let entry = place.entry.take()?;
        let taken = Unacked { tag, origin: place.origin, entry, since: place.since };
        self.settled += 1;
        self.sweep();
        Some(taken)
    }

    fn position(&self, tag: u64) -> Option<usize> {
        self.places.binary_search_by_key(&tag, |place| place.tag).ok()
    }

    fn is_outstanding(&self, tag: u64) -> bool {
        let place = self.position(tag).and_then(|index| self.places.get(index));
        place.is_some_and(|place| place.entry.is_some())
    }

    /// Settles everything up to `tag`, in order; `None` when `tag` itself is not outstanding (BAS-61).
    /// Tag zero means all, and then nothing outstanding is no error (CH-64).
    pub fn take_up_to(&mut self, tag: u64) -> Option<Vec<Unacked>> {
        if tag != 0 && !self.is_outstanding(tag) {
            return None;
        }
        let mut taken = Vec::new();
        while self.places.front().is_some_and(|place| tag == 0 || place.tag <= tag) {
            taken.extend(self.pop_front());
        }
        self.trim();
        Some(taken)
    }

    /// Puts settlements of a rolled back transaction back (TX-05).
    pub fn put_back(&mut self, mut returned: Vec<Unacked>) {
        // From the highest down, so that a whole head of the ledger goes back to the front.
        returned.sort_unstable_by_key(|unacked| std::cmp::Reverse(unacked.tag));
        let mut swept = Vec::new();
        for Unacked { tag, origin, entry, since } in returned {
            let place = Place { tag, origin, entry: Some(entry), since };
            match self.places.binary_search_by_key(&tag, |place| place.tag) {
                Ok(index) => {
                    self.settled -= 1;
                    if let Some(settled) = self.places.get_mut(index) {
                        *settled = place;
                    }
                }
                Err(0) => self.places.push_front(place),
                Err(_) => swept.push(place),
            }
        }
        if !swept.is_empty() {
            self.merge(swept);
        }
    }

    /// Puts places back whose slots are gone, in one pass; they come in descending order.
    fn merge(&mut self, swept: Vec<Place>) {
        let mut places = VecDeque::with_capacity(self.places.len() + swept.len());
        let mut kept = std::mem::take(&mut self.places).into_iter().peekable();
        for place in swept.into_iter().rev() {
            places.extend(std::iter::from_fn(|| kept.next_if(|kept| kept.tag < place.tag)));
            places.push_back(place);
        }
        places.extend(kept);
        self.places = places;
    }

    fn pop_front(&mut self) -> Option<Unacked> {
        let Place { tag, origin, entry, since } = self.places.pop_front()?;
        match entry {
            Some(entry) => Some(Unacked { tag, origin, entry, since }),
            None => {
                self.settled -= 1;
                None
            }
        }
    }

    /// Drops settled places from the front, so that the first one is outstanding.
    #[inline]
    fn trim(&mut self) {
        while self.settled != 0 && self.places.front().is_some_and(|place| place.entry.is_none()) {
            self.places.pop_front();
            self.settled -= 1;
        }
        if self.places.is_empty() && self.places.capacity() > 1024 {
            self.places = VecDeque::new();
        }
    }

    /// Keeps one forgotten delivery from making those settled after it cost memory.
    fn sweep(&mut self) {
        if SWEEP_MIN < self.settled && self.places.len() < self.settled * 2 {
            self.places.retain(|place| place.entry.is_some());
            self.settled = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::broker::{Message, Parts};

    fn unacked(tag: u64) -> Unacked {
        let parts = Parts {
            exchange: b"",
            routing_key: b"",
            properties: &[0, 0],
            persistent: false,
            priority: 0,
            expiration: None,
            account: crate::broker::memory::Account::UNCOUNTED,
        };
        let message = Message::new(&parts, b"", &mut Vec::new());
        let entry = Entry {
            message,
            sequence: tag,
            deadline: u64::MAX,
            returns: 0,
            redelivered: false,
            logged: false,
        };
        Unacked { tag, origin: 0, entry, since: 0 }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Push(u64),
        Take(u64),
        TakeUpTo(u64),
        PutBack(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (1u64..4).prop_map(Step::Push),
            3 => (0u64..200).prop_map(Step::Take),
            1 => (0u64..200).prop_map(Step::TakeUpTo),
            1 => (0u64..200).prop_map(Step::PutBack),
        ]
    }

    proptest! {
        #[test]
        fn the_ledger_agrees_with_a_plain_map(steps in proptest::collection::vec(step(), 0..300)) {
            let (mut ledger, mut model) = (Ledger::default(), BTreeMap::new());
            let mut next = 0;
            for step in steps {
                match step {
                    Step::Push(gap) => {
                        next += gap;
                        ledger.push(unacked(next));
                        model.insert(next, ());
                    }
                    Step::Take(tag) => {
                        let taken = ledger.take(tag).map(|unacked| unacked.tag);
                        prop_assert_eq!(taken, model.remove(&tag).map(|()| tag));
                    }
                    Step::TakeUpTo(tag) => {
                        let taken = ledger.take_up_to(tag)
                            .map(|all| all.iter().map(|unacked| unacked.tag).collect::<Vec<_>>());
                        let expected = (tag == 0 || model.contains_key(&tag)).then(|| {
                            let tags: Vec<u64> =
                                model.keys().copied().filter(|&t| tag == 0 || t <= tag).collect();
                            tags.iter().for_each(|tag| { model.remove(tag); });
                            tags
                        });
                        prop_assert_eq!(taken, expected);
                    }
                    Step::PutBack(tag) => {
                        if let Some(taken) = ledger.take(tag) {
                            ledger.put_back(vec![taken]);
                        }
                    }
                }
                prop_assert_eq!(ledger.len(), model.len());
            }
        }
    }
}
