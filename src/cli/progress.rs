//! One line on a terminal that says how far something long is.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal, Write},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::data::units;

/// What is over sooner is not shown at all.
const PATIENCE: Duration = Duration::from_millis(300);
/// How often the line is drawn anew.
const INTERVAL: Duration = Duration::from_millis(100);
/// Characters of the bar itself.
const WIDTH: usize = 24;
/// Goes to the beginning of the line and clears it.
const CLEAR: &str = "\r\x1b[K";

/// A line that is redrawn.
pub struct Bar {
    what: &'static str,
    began: Instant,
    /// When it was drawn last.
    drawn: Mutex<Option<Instant>>,
}

impl Bar {
    /// A bar on standard error, if that is a terminal.
    pub fn on_terminal(what: &'static str) -> Option<Bar> {
        io::stderr().is_terminal().then(|| Bar { what, began: Instant::now(), drawn: Mutex::new(None) })
    }

    /// Draws the line if it is time to; removes it when everything is done.
    pub fn show(&self, done: u64, total: u64) {
        let elapsed = self.began.elapsed();
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        let text = if total <= done {
            // Nothing to remove where nothing was drawn.
            drawn.take().map(|_| CLEAR.to_owned())
        } else if elapsed < PATIENCE || drawn.is_some_and(|last| last.elapsed() < INTERVAL) {
            None
        } else {
            *drawn = Some(Instant::now());
            Some(format!("{CLEAR}{}", line(self.what, done, total, elapsed)))
        };
        if let Some(text) = text {
            // A terminal that has gone away is no reason to stop.
            let mut stderr = io::stderr();
            let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.show(0, 0);
    }
}

/// The line: bar, percentage, octets, octets a second and the time that is left.
fn line(what: &str, done: u64, total: u64, elapsed: Duration) -> String {
    let share = done as f64 / total.max(1) as f64;
    let filled = ((share * WIDTH as f64) as usize).min(WIDTH);
    let mut text = format!(
        "{what} [{}{}] {:3.0} %  {} of {}",
        "#".repeat(filled),
        ".".repeat(WIDTH - filled),
        (share * 100.0).floor(),
        units::size(done),
        units::size(total)
    );
    let speed = done as f64 / elapsed.as_secs_f64().max(0.001);
    if 0.0 < speed {
        let left = (total.saturating_sub(done) as f64 / speed).ceil() as u64;
        let _ = write!(text, "  {:.0} MB/s  {} left", speed / 1e6, units::seconds(left));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_far_how_fast_and_how_long() {
        let text = line("replaying the log", 512 << 20, 2 << 30, Duration::from_secs(2));
        assert_eq!(
            text,
            "replaying the log [######..................]  25 %  512.0 MiB of 2.0 GiB  268 MB/s  6 s left"
        );
        assert!(line("x", 0, 0, Duration::ZERO).contains("  0 %"));
        assert!(line("x", 9_999, 10_000, Duration::from_secs(1)).contains(" 99 %"), "not done is not 100 %");
        assert!(line("x", 1 << 20, 1 << 30, Duration::from_secs(1)).ends_with("17 min 3 s left"));
    }
}
