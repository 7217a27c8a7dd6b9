//! What limits have refused: a counter each, and a log that repeats itself once a minute at most.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use parking_lot::Mutex;

use crate::{amqp::Limit, broker::Millis};

/// A limit that one address keeps hitting is logged this often, in milliseconds.
const LOG_EVERY: Millis = 60_000;
/// Lines remembered; of more, the oldest are forgotten, and may then be said again too early.
const LINES_MAX: usize = 10_000;

/// Counts refusals and decides which of them are worth a line in the log.
#[derive(Debug)]
pub struct Refusals {
    counts: Vec<AtomicU64>,
    lines: Mutex<Lines>,
}

/// Who ran into what.
type Case = (IpAddr, Limit);

#[derive(Debug, Default)]
struct Lines {
    cases: HashMap<Case, Line>,
    /// When each line was written, in that order; also those that a later line has replaced.
    written: VecDeque<(Case, Millis)>,
}

#[derive(Debug)]
struct Line {
    at: Millis,
    /// How often the case came again since.
    silent: u64,
}

/// Goes at the end of a line in the log: which limit it was, and what was not logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notice {
    pub limit: Limit,
    /// How often this address ran into this limit since the last line about it.
    pub silent: u64,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "limit {}", self.limit.name())?;
        match self.silent {
            0 => Ok(()),
            silent => write!(f, ", {silent} more of this address since the last line"),
        }
    }
}

impl Default for Refusals {
    fn default() -> Refusals {
        let counts = Limit::ALL.iter().map(|_| AtomicU64::new(0)).collect();
        Refusals { counts, lines: Mutex::default() }
    }
}

impl Refusals {
    /// How often a limit refused something since the broker started.
    pub fn count(&self, limit: Limit) -> u64 {
        self.counts.get(limit as usize).map_or(0, |count| count.load(Relaxed))
    }

    /// Counts a refusal.
    pub fn add(&self, limit: Limit) {
        if let Some(count) = self.counts.get(limit as usize) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// Counts a refusal; `Some` when a line is due for it.
    pub fn note(&self, limit: Limit, address: IpAddr, now: Millis) -> Option<Notice> {
        self.add(limit);
        self.line(limit, address, now)
    }

    /// Whether a line is due for something that is counted already.
    pub fn line(&self, limit: Limit, address: IpAddr, now: Millis) -> Option<Notice> {
        let silent = self.lines.lock().write((address, limit), now)?;
        Some(Notice { limit, silent })
    }
}

impl Lines {
    /// `Some` when a line may be written now: how many were not since the last.
    fn write(&mut self, case: Case, now: Millis) -> Option<u64> {
        let mut silent = 0;
        if let Some(line) = self.cases.get_mut(&case) {
            if now < line.at.saturating_add(LOG_EVERY) {
                line.silent += 1;
                return None;
            }
            silent = line.silent;
        }
        self.cases.insert(case, Line { at: now, silent: 0 });
        self.written.push_back((case, now));
        if LINES_MAX < self.written.len() {
            self.forget_oldest();
        }
        Some(silent)
    }

    fn forget_oldest(&mut self) {
        let Some((case, at)) = self.written.pop_front() else { return };
        if self.cases.get(&case).is_some_and(|line| line.at == at) {
            self.cases.remove(&case);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn a_case_is_logged_once_a_minute_with_what_was_not_logged() {
        let refusals = Refusals::default();
        let note = |address, now| refusals.note(Limit::FrameSize, address, now).map(|notice| notice.silent);
        assert_eq!(note(ONE, 5), Some(0));
        for now in [5, 1_000, LOG_EVERY + 4] {
            assert_eq!(note(ONE, now), None);
        }
        assert_eq!(note(OTHER, 1_000), Some(0), "another address has lines of its own");
        assert_eq!(refusals.note(Limit::Channels, ONE, 1_000).map(|notice| notice.silent), Some(0));
        assert_eq!(note(ONE, LOG_EVERY + 5), Some(3));
        assert_eq!(note(ONE, 2 * LOG_EVERY + 4), None);
        assert_eq!(note(ONE, 2 * LOG_EVERY + 5), Some(1));
        assert_eq!(refusals.count(Limit::FrameSize), 8, "every refusal counts, logged or not");
        assert_eq!(refusals.count(Limit::Channels), 1);
        assert_eq!(refusals.count(Limit::Memory), 0);
    }

    #[test]
    fn a_notice_names_the_limit() {
        let notice = |silent| Notice { limit: Limit::Heartbeat, silent }.to_string();
        assert_eq!(notice(0), "limit amqp.heartbeat");
        assert_eq!(notice(7), "limit amqp.heartbeat, 7 more of this address since the last line");
    }

    #[test]
    fn attacks_from_everywhere_cost_bounded_memory_and_the_oldest_are_forgotten() {
        let refusals = Refusals::default();
        let note =
            |number: u32, now| refusals.note(Limit::FrameSize, IpAddr::V4(number.into()), now).is_some();
        let most = LINES_MAX as u32;
        for number in 0..=most {
            assert!(note(number, 0));
        }
        assert!(!note(most, 0) && !note(1, 0), "remembered");
        assert!(note(0, 0), "forgotten: the oldest");
        // The same few for hours: neither list grows.
        for minute in 1..2 * u64::from(most) {
            note(7, minute * LOG_EVERY);
        }
        let lines = refusals.lines.lock();
        assert!(lines.cases.len() <= LINES_MAX && lines.written.len() <= LINES_MAX);
    }

    #[test]
    fn a_line_that_was_written_again_is_not_forgotten_with_its_first() {
        let refusals = Refusals::default();
        let note = |number: u32, now| refusals.note(Limit::FrameSize, IpAddr::V4(number.into()), now);
        assert!(note(0, 0).is_some() && note(0, LOG_EVERY).is_some());
        for number in 1..LINES_MAX as u32 {
            note(number, LOG_EVERY);
        }
        assert!(note(0, LOG_EVERY).is_none());
    }
}
