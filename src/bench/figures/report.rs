//! What a run ends with, as it is serialised.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::bench::{
    figures::{histogram::Histogram, measure::Figures, numbers::as_micros, series::Sample},
    options::Options,
};

/// Where the curve of latencies has its points; towards the end they lie ever closer.
const PERCENTILES: &[f64] = &[
    0.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 97.5, 99.0, 99.5, 99.75, 99.9, 99.95, 99.975, 99.99, 99.995,
    99.999, 100.0,
];

/// The result of one run.
#[derive(Debug, Serialize)]
pub struct Report {
    pub mode: String,
    /// What is counted: messages or rounds.
    pub unit: &'static str,
    pub target: String,
    /// What the broker calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    #[serde(flatten)]
    pub figures: Option<Figures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// From publish to confirm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirm_latency: Option<Latency>,
    /// The parts of a run that has several.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub phases: BTreeMap<&'static str, Figures>,
    /// The run over time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub series: Vec<Sample>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub totals: Option<Totals>,
    /// What one mode alone has to say.
    #[serde(flatten)]
    pub extra: BTreeMap<&'static str, f64>,
}

/// Quantiles in microseconds.
#[derive(Debug, Serialize)]
pub struct Latency {
    pub samples: u64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub max_us: f64,
    /// Percentiles that a plot is drawn through, and what they are in microseconds.
    pub percentiles: Vec<(f64, f64)>,
}

/// From first to last message, warm-up and drain included.
#[derive(Debug, Serialize)]
pub struct Totals {
    pub published: u64,
    pub consumed: u64,
    /// Deliveries that never came.
    pub missing: u64,
    /// Deliveries beyond those published.
    pub surplus: u64,
}

impl From<&Histogram> for Latency {
    fn from(histogram: &Histogram) -> Latency {
        let micros = |share: f64| as_micros(histogram.quantile(share));
        Latency {
            samples: histogram.total(),
            p50_us: micros(0.5),
            p99_us: micros(0.99),
            p999_us: micros(0.999),
            max_us: as_micros(histogram.max()),
            percentiles: PERCENTILES.iter().map(|percent| (*percent, micros(percent / 100.0))).collect(),
        }
    }
}

/// How long the confirms of all producers took; `None` without confirms.
pub fn confirm_latency(producers: &[Histogram]) -> Option<Latency> {
    let mut all = Histogram::default();
    producers.iter().for_each(|ages| all.merge(ages));
    (all.total() > 0).then(|| Latency::from(&all))
}

impl Totals {
    pub fn new(published: u64, copies: u64, consumed: u64) -> Totals {
        let expected = published * copies;
        Totals {
            published,
            consumed,
            missing: expected.saturating_sub(consumed),
            surplus: consumed.saturating_sub(expected),
        }
    }

    /// Whether every message arrived, and once.
    pub fn agree(&self) -> bool {
        self.missing == 0 && self.surplus == 0
    }
}

impl Report {
    pub fn new(options: &Options, figures: Option<Figures>) -> Report {
        let mode = options.mode.name();
        Report {
            mode,
            unit: options.mode.unit(),
            target: options.uri.to_string(),
            server: None,
            figures,
            latency: None,
            confirm_latency: None,
            phases: BTreeMap::new(),
            series: Vec::new(),
            totals: None,
            extra: BTreeMap::new(),
        }
    }

    /// Whether every message arrived, and once, where that was counted.
    pub fn is_correct(&self) -> bool {
        self.totals.as_ref().is_none_or(Totals::agree)
    }

    /// Growth of the broker's memory per message published, for a run that consumes none.
    pub fn resident_bytes_per_queued(&self) -> Option<f64> {
        let figures = self.figures.as_ref()?;
        let growth = figures.broker_resident_after?.saturating_sub(figures.broker_resident_before?);
        Some(growth as f64 / figures.published.max(1) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_tell_loss_from_surplus() {
        assert!(Totals::new(10, 3, 30).agree());
        assert_eq!(Totals::new(10, 3, 28).missing, 2);
        assert_eq!(Totals::new(10, 1, 11).surplus, 1);
    }
}
