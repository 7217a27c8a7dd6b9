//! What a run ends with, as text or as one JSON object.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::Serialize;

use crate::{
    histogram::Histogram,
    measure::Figures,
    options::{Mode, Options},
    series::Sample,
};

/// The result of one run.
#[derive(Debug, Serialize)]
pub struct Report {
    pub mode: String,
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
        let micros = |value: Duration| value.as_nanos() as f64 / 1000.0;
        Latency {
            samples: histogram.total(),
            p50_us: micros(histogram.quantile(0.5)),
            p99_us: micros(histogram.quantile(0.99)),
            p999_us: micros(histogram.quantile(0.999)),
            max_us: micros(histogram.max()),
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
        let mode = match options.mode {
            Mode::Throughput => "throughput",
            Mode::Backlog => "backlog",
            Mode::Latency => "latency",
            Mode::Rpc => "rpc",
            Mode::Idle => "idle",
            Mode::DeclareBurst => "declare-burst",
            Mode::Connect => "connect",
            Mode::Relay => "relay",
        };
        Report {
            mode: mode.to_owned(),
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

    /// Growth of the broker's memory per message published, for a run that consumes none.
    pub fn resident_bytes_per_queued(&self) -> Option<f64> {
        let figures = self.figures.as_ref()?;
        let growth = figures.broker_resident_after?.saturating_sub(figures.broker_resident_before?);
        Some(growth as f64 / figures.published.max(1) as f64)
    }

    /// At most `LINES` of the series, evenly spread.
    fn excerpt(&self) -> impl Iterator<Item = &Sample> {
        const LINES: usize = 12;
        self.series.iter().step_by(self.series.len().div_ceil(LINES).max(1))
    }

    pub fn print(&self, json: bool) {
        if json {
            println!("{}", serde_json::to_string(self).expect("numbers and strings serialise"));
        } else {
            print!("{self}");
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} against {}", self.mode, self.target)?;
        if let Some(server) = &self.server {
            writeln!(f, "  server     {server}")?;
        }
        if let Some(figures) = &self.figures {
            write_figures(f, figures)?;
        }
        for (name, figures) in &self.phases {
            writeln!(f, " {name}")?;
            write_figures(f, figures)?;
        }
        for (name, latency) in [("latency ", &self.latency), ("confirms", &self.confirm_latency)] {
            let Some(Latency { samples, p50_us, p99_us, p999_us, max_us }) = latency else { continue };
            writeln!(
                f,
                "  {name}   p50 {p50_us:.1} us, p99 {p99_us:.1} us, p99.9 {p999_us:.1} us, max {max_us:.1} us ({samples} samples)"
            )?;
        }
        for Sample { seconds, published, consumed, resident_bytes } in self.excerpt() {
            let resident = mebibytes(*resident_bytes);
            writeln!(
                f,
                "  at {seconds:6.1} s {resident:8.1} MiB resident, {published} published, {consumed} consumed"
            )?;
        }
        for (name, value) in &self.extra {
            writeln!(f, "  {name} {value:.1}")?;
        }
        if let Some(totals) = &self.totals {
            writeln!(f, "  in all     {} published, {} consumed", totals.published, totals.consumed)?;
            if !totals.agree() {
                writeln!(f, "  MISMATCH   {} missing, {} surplus", totals.missing, totals.surplus)?;
            }
        }
        if let Some(reason) = self.figures.as_ref().and_then(|figures| figures.tool_was_bottleneck.as_ref()) {
            writeln!(f, "  CAUTION    the tool was the bottleneck: {reason}")?;
        }
        Ok(())
    }
}

fn write_figures(f: &mut fmt::Formatter<'_>, figures: &Figures) -> fmt::Result {
    if figures.published + figures.consumed > 0 {
        writeln!(
            f,
            "  rate       {:.0} msgs/s published, {:.0} msgs/s consumed, over {:.1} s",
            figures.published_per_second, figures.consumed_per_second, figures.seconds
        )?;
    }
    let per_message =
        |cpu: Option<f64>| cpu.map_or(String::new(), |cpu| format!("{cpu:.3} us CPU per message, "));
    if let Some(cores) = figures.broker_cores {
        let (before, after) = (figures.broker_resident_before, figures.broker_resident_after);
        writeln!(
            f,
            "  broker     {}{cores:.2} cores, {:.1} MiB resident, {:.1} MiB before",
            per_message(figures.broker_cpu_us_per_message),
            mebibytes(after.unwrap_or_default()),
            mebibytes(before.unwrap_or_default())
        )?;
    }
    writeln!(
        f,
        "  tool       {}{:.2} cores, busiest thread {} at {:.0} %",
        per_message(figures.tool_cpu_us_per_message),
        figures.tool_cores,
        figures.busiest_thread,
        figures.busiest_thread_share * 100.0
    )
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / (1 << 20) as f64
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
