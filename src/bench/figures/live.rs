//! One line on a terminal that says what a running measurement sees.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal, Write},
};

use crate::bench::{
    figures::{numbers::grouped, series::Sample, usage::ProcessUsage},
    options::Options,
};

/// Seconds between two lines; rates are those between them.
const INTERVAL: f64 = 0.25;
/// Goes to the beginning of the line and clears it.
const CLEAR: &str = "\r\x1b[K";

/// A line that is redrawn, and removed at the end.
pub struct Live {
    mode: String,
    unit: &'static str,
    last: Option<(Sample, Option<ProcessUsage>)>,
}

impl Live {
    /// A line on standard error, if that is a terminal and nobody minds.
    pub fn on_terminal(options: &Options) -> Option<Live> {
        let wanted = !options.quiet && io::stderr().is_terminal();
        wanted.then(|| Live { mode: options.mode.name(), unit: options.mode.unit(), last: None })
    }

    /// Draws the line if it is time to.
    pub fn show(&mut self, sample: &Sample, usage: Option<ProcessUsage>) {
        if let Some((last, before)) = &self.last {
            if sample.seconds - last.seconds < INTERVAL {
                return;
            }
            draw(&format!("{CLEAR}{}", line(&self.mode, self.unit, (last, *before), (sample, usage))));
        }
        self.last = Some((sample.clone(), usage));
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        draw(CLEAR);
    }
}

fn draw(text: &str) {
    // A terminal that has gone away is no reason to stop.
    let mut stderr = io::stderr();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// What happened between two looks.
fn line(
    mode: &str,
    unit: &str,
    (last, before): (&Sample, Option<ProcessUsage>),
    (now, usage): (&Sample, Option<ProcessUsage>),
) -> String {
    let seconds = (now.seconds - last.seconds).max(0.001);
    let rate = |from: u64, to: u64| grouped(to.saturating_sub(from) as f64 / seconds);
    let mut text =
        format!("{mode} {:5.1} s  {:>11} {unit}/s", now.seconds, rate(last.published, now.published));
    if now.consumed > 0 {
        let _ = write!(text, " in {:>11} {unit}/s out", rate(last.consumed, now.consumed));
    }
    if let Some((before, usage)) = before.zip(usage) {
        let cores = usage.cpu.saturating_sub(before.cpu).as_secs_f64() / seconds;
        let mebibytes = usage.resident_bytes as f64 / f64::from(1 << 20);
        let _ = write!(text, "  broker {cores:.2} cores {mebibytes:.0} MiB");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_line_has_the_rates_since_the_last_one() {
        let sample =
            |seconds, published, consumed| Sample { seconds, published, consumed, resident_bytes: None };
        let usage =
            |millis| Some(ProcessUsage { cpu: Duration::from_millis(millis), resident_bytes: 50 << 20 });
        let text = line(
            "throughput",
            "msgs",
            (&sample(1.0, 1000, 500), usage(100)),
            (&sample(1.5, 51_000, 1_000), usage(700)),
        );
        assert_eq!(
            text,
            "throughput   1.5 s      100,000 msgs/s in       1,000 msgs/s out  broker 1.20 cores 50 MiB"
        );
        let text = line("queue-churn", "rounds", (&sample(0.0, 0, 0), None), (&sample(2.0, 10, 0), None));
        assert_eq!(text, "queue-churn   2.0 s            5 rounds/s");
    }
}
