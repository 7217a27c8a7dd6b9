//! Which published messages a broker has confirmed, singly or up to a tag, in any order, and how long that took.

use std::{collections::VecDeque, time::Instant};

use crate::bench::{figures::histogram::Histogram, traffic::progress::Progress};

/// The published messages of one channel.
#[derive(Debug, Default)]
pub struct Confirms {
    /// Every tag up to here is confirmed.
    prefix: u64,
    /// When the messages above were sent; `None` for those confirmed by now. Invariant: the first is not.
    sent: VecDeque<Option<Instant>>,
    /// How many of them are confirmed.
    gaps: u64,
    ages: Histogram,
}

impl Confirms {
    /// How many messages are not confirmed.
    pub fn open(&self) -> u64 {
        self.sent.len() as u64 - self.gaps
    }

    /// So many further messages have the ages that begin at `times`.
    pub fn sent(&mut self, times: &mut dyn Iterator<Item = Instant>) {
        self.sent.extend(times.map(Some));
    }

    /// Takes one basic.ack that arrived at `now`; what was sent while the run measures counts.
    pub fn ack(&mut self, tag: u64, multiple: bool, now: Instant, progress: &Progress) {
        let Some(last) = tag.checked_sub(self.prefix + 1) else { return };
        let last = usize::try_from(last).unwrap_or(usize::MAX);
        let first = if multiple { 0 } else { last };
        let end = last.saturating_add(1).min(self.sent.len());
        for slot in self.sent.range_mut(first.min(end)..end) {
            let Some(sent) = slot.take() else { continue };
            self.gaps += 1;
            if progress.is_measured(sent) {
                self.ages.record(now.saturating_duration_since(sent));
            }
        }
        while let Some(None) = self.sent.front() {
            self.sent.pop_front();
            self.prefix += 1;
            self.gaps -= 1;
        }
    }

    /// The time each measured message took to be confirmed.
    pub fn into_ages(self) -> Histogram {
        self.ages
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, iter, time::Duration};

    use proptest::prelude::*;

    use super::*;

    fn progress() -> Progress {
        Progress::new(1, 0, 1, u64::MAX)
    }

    #[test]
    fn singles_before_a_multiple_are_not_counted_twice() {
        let (mut confirms, progress, now) = (Confirms::default(), progress(), Instant::now());
        confirms.sent(&mut iter::repeat_n(now, 10));
        confirms.ack(5, false, now, &progress);
        confirms.ack(3, false, now, &progress);
        assert_eq!(confirms.open(), 8);
        confirms.ack(4, true, now, &progress);
        assert_eq!(confirms.open(), 5);
        confirms.ack(10, true, now, &progress);
        assert_eq!(confirms.open(), 0);
    }

    #[test]
    fn only_what_was_sent_while_measuring_has_an_age() {
        let (mut confirms, progress, start) = (Confirms::default(), progress(), Instant::now());
        let at = |millis| start + Duration::from_millis(millis);
        progress.begin_window(at(10));
        progress.end_window(at(20));
        confirms.sent(&mut [at(9), at(10), at(19), at(20)].into_iter());
        confirms.ack(4, true, at(30), &progress);
        let ages = confirms.into_ages();
        assert_eq!((ages.total(), ages.max()), (2, Duration::from_millis(20)));
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_set(acks in prop::collection::vec((1u64..40, any::<bool>()), 0..60)) {
            let (mut confirms, mut set) = (Confirms::default(), BTreeSet::new());
            let (progress, now) = (progress(), Instant::now());
            progress.begin_window(now);
            confirms.sent(&mut iter::repeat_n(now, 40));
            for (tag, multiple) in acks {
                confirms.ack(tag, multiple, now, &progress);
                set.extend(if multiple { 1..=tag } else { tag..=tag });
                prop_assert_eq!(confirms.open(), 40 - set.len() as u64);
            }
            prop_assert_eq!(confirms.into_ages().total(), set.len() as u64);
        }
    }
}
