//! A fixed rate: which message is due when, whatever happened to the ones before.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Below this gap messages are written together: a wake-up each would cost more than it tells.
const WAKE_MIN: Duration = Duration::from_millis(1);

/// The schedule of one producer.
#[derive(Debug)]
pub struct Pacer {
    start: Instant,
    per_second: f64,
    sent: u64,
}

impl Pacer {
    pub fn new(start: Instant, per_second: f64) -> Pacer {
        Pacer { start, per_second, sent: 0 }
    }

    /// Starts the schedule anew.
    pub fn restart(&mut self, start: Instant) {
        self.start = start;
    }

    /// When message `number` is due.
    fn due_at(&self, number: u64) -> Instant {
        self.start + Duration::from_secs_f64(number as f64 / self.per_second)
    }

    /// How many messages are due and not sent at `now`.
    fn due(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.start).as_secs_f64();
        ((elapsed * self.per_second) as u64 + 1).saturating_sub(self.sent)
    }

    /// Waits until at least one message is due; says how many are, and whether there was anything to wait for.
    pub fn wait_due(&self) -> (u64, bool) {
        let mut has_waited = false;
        loop {
            match self.due(Instant::now()) {
                0 => thread::sleep(self.until_next(Instant::now()).max(WAKE_MIN)),
                due => return (due, has_waited),
            }
            has_waited = true;
        }
    }

    /// The times from which the ages of the next messages count, as in [`Pacer::wait_next`].
    pub fn scheduled(&self, has_waited: bool) -> impl Iterator<Item = Instant> {
        let (now, first) = (Instant::now(), self.sent);
        (first..).map(move |number| if has_waited { now } else { self.due_at(number).min(now) })
    }

    fn until_next(&self, now: Instant) -> Duration {
        self.due_at(self.sent).saturating_duration_since(now)
    }

    pub fn sent(&mut self, messages: u64) {
        self.sent += messages;
    }

    /// Waits for the next message alone and returns the time its age counts from.
    ///
    /// A sender that comes late because an earlier write blocked owes the scheduled time: leaving that
    /// out would hide exactly the delays worth seeing. A sleep that overshoots is the tool's own and
    /// is not the broker's to answer for.
    pub fn wait_next(&mut self) -> Instant {
        let due = self.due_at(self.sent);
        self.sent += 1;
        let early = due.saturating_duration_since(Instant::now());
        if early.is_zero() {
            return due;
        }
        thread::sleep(early);
        Instant::now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_follows_the_clock_and_not_the_sender() {
        let start = Instant::now();
        let mut pacer = Pacer::new(start, 1000.0);
        assert_eq!(pacer.due(start), 1);
        assert_eq!(pacer.due(start + Duration::from_micros(99_500)), 100);
        pacer.sent(100);
        assert_eq!(pacer.due(start + Duration::from_micros(99_500)), 0);
        assert_eq!(pacer.due_at(100), start + Duration::from_millis(100));
        assert_eq!(pacer.due(start + Duration::from_micros(1_000_500)), 901);
    }

    #[test]
    fn a_late_sender_counts_from_the_schedule() {
        let start = Instant::now() - Duration::from_secs(10);
        let mut pacer = Pacer::new(start, 10.0);
        assert_eq!(pacer.wait_next(), start);
        assert_eq!(pacer.wait_next(), start + Duration::from_millis(100));
    }
}
