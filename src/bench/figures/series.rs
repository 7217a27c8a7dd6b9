//! A run over time: how far it was, and the broker's memory, at even distances.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::bench::{
    figures::{live::Live, usage::ProcessUsage},
    options::Options,
    traffic::progress::Progress,
};

/// How often is looked; the highest memory is that of all looks.
const INTERVAL: Duration = Duration::from_millis(50);
/// More samples than this are thinned out.
const SAMPLES_MAX: usize = 200;

/// One look.
#[derive(Debug, Clone, Serialize)]
pub struct Sample {
    pub seconds: f64,
    pub published: u64,
    pub consumed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resident_bytes: Option<u64>,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Series {
    pub samples: Vec<Sample>,
    pub highest_bytes: u64,
    /// Of so many looks one is kept.
    every: usize,
    looks: usize,
}

impl Series {
    fn add(&mut self, sample: Sample) {
        self.highest_bytes = self.highest_bytes.max(sample.resident_bytes.unwrap_or_default());
        if self.samples.len() == SAMPLES_MAX {
            let mut number = 0;
            self.samples.retain(|_| {
                number += 1;
                number % 2 == 1
            });
            self.every *= 2;
        }
        self.every = self.every.max(1);
        if self.looks.is_multiple_of(self.every) {
            self.samples.push(sample);
        }
        self.looks += 1;
    }
}

/// Looks until consumers are stopped, and shows on a terminal how far the run is.
pub fn watch(options: &Options, progress: &Progress) -> Series {
    let (mut series, start) = (Series::default(), Instant::now());
    let mut live = Live::on_terminal(options);
    while !progress.consuming_stopped() {
        // A broker that ends fails the run by itself.
        let usage = options.broker_pid.and_then(|pid| ProcessUsage::of(pid).ok());
        let sample = Sample {
            seconds: start.elapsed().as_secs_f64(),
            published: progress.published(),
            consumed: progress.consumed(),
            resident_bytes: usage.map(|usage| usage.resident_bytes),
        };
        if let Some(live) = &mut live {
            live.show(&sample, usage);
        }
        series.add(sample);
        progress.rest(INTERVAL);
    }
    series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_series_is_thinned_evenly_and_the_highest_stays_known() {
        let mut series = Series::default();
        for number in 0..1000_u64 {
            let resident_bytes = Some(if number == 333 { 5000 } else { number });
            series.add(Sample { seconds: number as f64, published: 0, consumed: 0, resident_bytes });
        }
        assert_eq!(series.highest_bytes, 5000);
        assert!((SAMPLES_MAX / 2..=SAMPLES_MAX).contains(&series.samples.len()));
        let gaps: Vec<f64> =
            series.samples.windows(2).map(|pair| pair[1].seconds - pair[0].seconds).collect();
        assert!(gaps.iter().all(|gap| *gap == gaps[0]), "{gaps:?}");
    }
}
