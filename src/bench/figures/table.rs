//! A report as sections of names and values: what the terminal shows, and the page.

use std::fmt::{self, Write as _};

use crate::bench::figures::{
    measure::Figures,
    numbers::{grouped, mebibytes, micros},
    report::{Latency, Report},
};

/// Lines of text that show how a run went over time.
const LINES: usize = 12;

/// Rows under a heading.
pub struct Section {
    pub title: String,
    pub rows: Vec<(String, String)>,
}

impl Section {
    fn new(title: impl Into<String>) -> Section {
        Section { title: title.into(), rows: Vec::new() }
    }

    fn add(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.rows.push((name.into(), value.into()));
    }
}

impl Report {
    /// Everything but the series and the plots.
    pub fn sections(&self) -> Vec<Section> {
        let mut sections = Vec::new();
        let mut head = Section::new(format!("{} against {}", self.mode, self.target));
        if let Some(server) = &self.server {
            head.add("server", server);
        }
        if let Some(figures) = &self.figures {
            add_figures(&mut head, figures, self.unit);
        }
        for (name, latency) in [("latency", &self.latency), ("confirms", &self.confirm_latency)] {
            if let Some(latency) = latency {
                head.add(name, latency_text(latency));
            }
        }
        for (name, value) in &self.extra {
            head.add(name.replace('_', " "), grouped(*value));
        }
        if let Some(totals) = &self.totals {
            head.add("in all", format!("{} published, {} consumed", totals.published, totals.consumed));
        }
        sections.push(head);
        for (name, figures) in &self.phases {
            let mut section = Section::new(*name);
            add_figures(&mut section, figures, self.unit);
            sections.push(section);
        }
        sections
    }

    /// What must not be overlooked.
    pub fn cautions(&self) -> Vec<String> {
        let mismatch = self.totals.as_ref().filter(|totals| !totals.agree()).map(|totals| {
            format!("MISMATCH: {} deliveries missing, {} surplus", totals.missing, totals.surplus)
        });
        let figures = self.figures.iter().chain(self.phases.values());
        let bottlenecks = figures
            .filter_map(|figures| figures.tool_was_bottleneck.as_ref())
            .map(|reason| format!("CAUTION: the tool was the bottleneck: {reason}"));
        mismatch.into_iter().chain(bottlenecks).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sections = self.sections();
        let names = sections.iter().flat_map(|section| &section.rows).map(|(name, _)| name.len());
        let width = names.max().unwrap_or(0);
        for section in &sections {
            writeln!(f, "{}", section.title)?;
            for (name, value) in &section.rows {
                writeln!(f, "  {name:width$}  {value}")?;
            }
        }
        // Where there are phases, what happened when is half of the result.
        let every = self.series.len().div_ceil(LINES).max(1);
        for sample in self.series.iter().step_by(every).filter(|_| !self.phases.is_empty()) {
            let resident = sample
                .resident_bytes
                .map_or(String::new(), |bytes| format!(", {} resident", mebibytes(bytes)));
            writeln!(
                f,
                "  at {:6.1} s  {} published, {} consumed{resident}",
                sample.seconds, sample.published, sample.consumed
            )?;
        }
        self.cautions().iter().try_for_each(|caution| writeln!(f, "{caution}"))
    }
}

fn add_figures(section: &mut Section, figures: &Figures, unit: &str) {
    let mut rate = String::new();
    if figures.published > 0 || figures.consumed == 0 {
        let _ = write!(rate, "{} {unit}/s", grouped(figures.published_per_second));
    }
    if figures.consumed > 0 {
        let published = if rate.is_empty() { "" } else { " published, " };
        let _ = write!(rate, "{published}{} {unit}/s consumed", grouped(figures.consumed_per_second));
    }
    if figures.published + figures.consumed > 0 {
        section.add("rate", format!("{rate}, over {:.1} s", figures.seconds));
    }
    let each = unit.trim_end_matches('s');
    let cpu = |cpu: Option<f64>| cpu.map_or(String::new(), |cpu| format!("{cpu:.3} us CPU per {each}, "));
    if let Some(cores) = figures.broker_cores {
        let (before, after) = (figures.broker_resident_before, figures.broker_resident_after);
        section.add(
            "broker",
            format!(
                "{}{cores:.2} cores, {} resident, {} before",
                cpu(figures.broker_cpu_us_per_message),
                mebibytes(after.unwrap_or_default()),
                mebibytes(before.unwrap_or_default())
            ),
        );
    }
    section.add(
        "tool",
        format!(
            "{}{:.2} cores, busiest thread {} at {:.0} %",
            cpu(figures.tool_cpu_us_per_message),
            figures.tool_cores,
            figures.busiest_thread,
            figures.busiest_thread_share * 100.0
        ),
    );
}

fn latency_text(latency: &Latency) -> String {
    let Latency { samples, p50_us, p99_us, p999_us, max_us, .. } = latency;
    format!(
        "p50 {}, p99 {}, p99.9 {}, max {} ({samples} samples)",
        micros(*p50_us),
        micros(*p99_us),
        micros(*p999_us),
        micros(*max_us)
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;

    use super::*;
    use crate::bench::{
        figures::{histogram::Histogram, report::Totals},
        options::Options,
    };

    #[test]
    fn a_report_reads_as_an_aligned_table_with_its_cautions_last() {
        let options = Options::parse_from(["leveret bench", "latency"]);
        let figures = Figures {
            seconds: 2.0,
            published: 2000,
            consumed: 2000,
            published_per_second: 1000.0,
            consumed_per_second: 1000.0,
            tool_cores: 0.5,
            busiest_thread: "producer-0".to_owned(),
            tool_was_bottleneck: Some("it was slow".to_owned()),
            ..Figures::default()
        };
        let mut ages = Histogram::default();
        ages.record(Duration::from_micros(1500));
        let mut report = Report::new(&options, Some(figures));
        report.latency = Some(Latency::from(&ages));
        report.totals = Some(Totals::new(2001, 1, 2000));
        let text = report.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "latency against amqp://localhost:5672//");
        assert_eq!(lines[1], "  rate     1,000 msgs/s published, 1,000 msgs/s consumed, over 2.0 s");
        assert_eq!(lines[3], "  latency  p50 1.50 ms, p99 1.50 ms, p99.9 1.50 ms, max 1.50 ms (1 samples)");
        assert_eq!(lines[5], "MISMATCH: 1 deliveries missing, 0 surplus");
        assert_eq!(lines[6], "CAUTION: the tool was the bottleneck: it was slow");
    }
}
