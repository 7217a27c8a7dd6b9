//! Earlier figures of one object, for rates and charts.

use std::collections::VecDeque;

use crate::broker::Millis;

/// What was counted at some moments, the oldest first. What does not change costs one sample, however long.
#[derive(Debug, Clone)]
pub struct History<const N: usize> {
    samples: VecDeque<(Millis, [u64; N])>,
    /// How many of the newest samples are alike.
    alike: usize,
}

/// Which samples a chart wants, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spacing {
    pub age: Millis,
    pub step: Millis,
}

impl<const N: usize> Default for History<N> {
    fn default() -> Self {
        History { samples: VecDeque::new(), alike: 0 }
    }
}

impl<const N: usize> History<N> {
    /// Adds what is counted at `now`, and keeps `most` samples. True when there is more than one.
    ///
    /// An object that is seen for the first time began with nothing `interval` ago.
    pub fn record(&mut self, now: Millis, figures: [u64; N], interval: Millis, most: usize) -> bool {
        match self.samples.back() {
            // Most objects never do anything, and cost nothing.
            None if figures == [0; N] => return false,
            None => self.samples.push_back((now.saturating_sub(interval), [0; N])),
            Some((_, last)) if *last != figures => self.alike = 0,
            Some(_) => {
                self.alike += 1;
                if most <= self.alike || self.samples.len() == 1 {
                    // Nothing has changed for as long as anything is remembered.
                    self.samples = VecDeque::from([(now, figures)]);
                    return false;
                }
            }
        }
        self.samples.push_back((now, figures));
        while most < self.samples.len() {
            self.samples.pop_front();
        }
        1 < self.samples.len()
    }

    /// Forgets everything but the newest sample, so that what was counted does not look like one burst.
    pub fn forget(&mut self) {
        let newest = self.samples.pop_back();
        self.samples = newest.into_iter().collect();
        self.alike = 0;
    }

    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// The sample to compare the present with: the newest that is at least `interval` old, else the oldest.
    fn base(&self, now: Millis, interval: Millis) -> Option<&(Millis, [u64; N])> {
        let old = |(at, _): &&(Millis, [u64; N])| at.saturating_add(interval) <= now;
        self.samples.iter().rev().find(old).or_else(|| self.samples.front())
    }

    /// What the figures grew by each second lately; `sum` chooses or adds figures.
    pub fn rate(
        &self,
        now: Millis,
        current: &[u64; N],
        interval: Millis,
        sum: impl Fn(&[u64; N]) -> u64,
    ) -> f64 {
        let Some((at, base)) = self.base(now, interval) else { return 0.0 };
        let elapsed = now.saturating_sub(*at);
        if elapsed == 0 {
            return 0.0;
        }
        // What is not a count may go down.
        (sum(current) as f64 - sum(base) as f64) * 1000.0 / elapsed as f64
    }

    /// The figures at multiples of the step, the newest first: each is the last one sampled before.
    pub fn samples(
        &self,
        now: Millis,
        current: &[u64; N],
        spacing: Spacing,
        sum: impl Fn(&[u64; N]) -> u64,
    ) -> Vec<(Millis, u64)> {
        let step = spacing.step.max(1);
        let newest = now - now % step;
        let count = spacing.age / step + 1;
        let mut older = self.samples.iter().rev().peekable();
        let mut values = Vec::new();
        for back in 0..count {
            let at = newest.saturating_sub(back * step);
            while older.next_if(|(sampled, _)| at < *sampled).is_some() {}
            let figures = match older.peek() {
                Some((_, figures)) => figures,
                None => self.samples.front().map_or(current, |(_, figures)| figures),
            };
            let is_present = back == 0 && self.samples.back().is_none_or(|(last, _)| *last < at);
            values.push((at, sum(if is_present { current } else { figures })));
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(figures: &[u64; 1]) -> u64 {
        figures[0]
    }

    #[test]
    fn rates_compare_with_what_is_an_interval_old() {
        let mut history = History::<1>::default();
        assert!(!history.record(0, [0], 5000, 10));
        assert!(history.record(5000, [100], 5000, 10));
        assert_eq!(history.rate(5000, &[100], 5000, first), 20.0);
        assert_eq!(history.rate(9000, &[100], 5000, first), 100.0 / 9.0);
        assert_eq!(history.rate(10_000, &[100], 5000, first), 0.0);
        assert_eq!(history.rate(10_000, &[50], 5000, first), -10.0);
    }

    #[test]
    fn an_object_begins_with_nothing() {
        let mut history = History::<1>::default();
        history.record(5000, [100], 5000, 10);
        assert_eq!(history.rate(5000, &[100], 5000, first), 20.0);
    }

    #[test]
    fn what_does_not_change_is_one_sample() {
        let mut history = History::<1>::default();
        let active: Vec<bool> = [1, 2, 2, 2, 2, 2]
            .iter()
            .zip(1..)
            .map(|(value, at)| history.record(at, [*value], 1, 3))
            .collect();
        assert_eq!(active, [true, true, true, true, false, false]);
        assert_eq!(history.samples.len(), 1);
        // A burst after long rest is not spread over the rest.
        assert_eq!(history.rate(8, &[4], 1, first), 1000.0);
    }

    #[test]
    fn samples_are_at_multiples_of_their_step() {
        let mut history = History::<1>::default();
        for (at, value) in [(1000, 10), (2000, 20), (3000, 30)] {
            history.record(at, [value], 1000, 10);
        }
        let spacing = Spacing { age: 4000, step: 1000 };
        let samples = history.samples(3500, &[35], spacing, first);
        assert_eq!(
            samples,
            [(3000, 30), (2000, 20), (1000, 10), (0, 0), (0, 0)].map(|(at, value)| (at, value))
        );
        let samples = history.samples(4500, &[35], Spacing { age: 2000, step: 2000 }, first);
        assert_eq!(samples, [(4000, 35), (2000, 20)]);
    }
}
