//! Durations counted in buckets of bounded relative width: 1/64 of their value.

use std::time::Duration;

const SUB_BITS: u32 = 6;
const SUB: u64 = 1 << SUB_BITS;
const BUCKETS: usize = (64 - SUB_BITS as usize + 1) << SUB_BITS;

/// Counts of nanosecond values.
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram { counts: vec![0; BUCKETS], total: 0, max: 0 }
    }
}

impl Histogram {
    /// Adds what another one has counted.
    pub fn merge(&mut self, other: &Histogram) {
        for (count, further) in self.counts.iter_mut().zip(&other.counts) {
            *count += further;
        }
        self.total += other.total;
        self.max = self.max.max(other.max);
    }

    pub fn record(&mut self, value: Duration) {
        let nanos = u64::try_from(value.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket(nanos)] += 1;
        self.total += 1;
        self.max = self.max.max(nanos);
    }

    pub fn total(&self) -> u64 {
        self.total
    }

    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.max)
    }

    /// The value that `share` of all values do not exceed, rounded up to its bucket's end.
    pub fn quantile(&self, share: f64) -> Duration {
        let rank = ((self.total as f64 * share).ceil() as u64).clamp(1, self.total.max(1));
        let mut seen = 0;
        for (number, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_nanos(bucket_end(number).min(self.max));
            }
        }
        self.max()
    }
}

/// Values below 64 have a bucket each; above, each power of two has 64.
fn bucket(value: u64) -> usize {
    if value < SUB {
        return value as usize;
    }
    let shift = value.ilog2() - SUB_BITS;
    (((shift as usize) + 1) << SUB_BITS) + ((value >> shift) - SUB) as usize
}

/// The largest value of a bucket.
fn bucket_end(number: usize) -> u64 {
    if number < SUB as usize {
        return number as u64;
    }
    let shift = (number >> SUB_BITS) - 1;
    let base = (number as u64 % SUB + SUB) << shift;
    base + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_value_lies_in_its_bucket_and_the_bucket_is_narrow(value in any::<u64>(), shift in 0u32..64) {
            let value = value >> shift;
            let number = bucket(value);
            let end = bucket_end(number);
            prop_assert!(value <= end && end - value <= value / SUB);
            prop_assert!(number == 0 || bucket_end(number - 1) < value);
        }
    }

    #[test]
    fn quantiles_of_a_ramp() {
        let (mut histogram, mut other) = (Histogram::default(), Histogram::default());
        for micros in 1..=500 {
            histogram.record(Duration::from_micros(micros));
            other.record(Duration::from_micros(micros + 500));
        }
        histogram.merge(&other);
        let near = |share: f64, micros: u64| {
            let found = histogram.quantile(share).as_nanos() as f64 / 1000.0;
            let expected = micros as f64;
            assert!((expected..=expected * 1.02).contains(&found), "{share}: {found}");
        };
        near(0.5, 500);
        near(0.99, 990);
        assert_eq!((histogram.quantile(1.0), histogram.total()), (Duration::from_millis(1), 1000));
    }
}
