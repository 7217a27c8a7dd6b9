//! What all threads of a run share: counts, the backlog gate, the end.

use std::{
    sync::{
        Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crate::bench::error::BenchError;

/// Consumers that receive nothing for this long are taken to have everything they will get.
pub const STALL: Duration = Duration::from_secs(10);
/// How often waiting threads look for themselves.
const POLL: Duration = Duration::from_millis(10);

/// A counter with a cache line of its own: each has one writer, and the gate reads all.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Counter(AtomicU64);

impl Counter {
    /// Only the counter's one writer calls this.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Release);
    }

    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// The shared state of one run.
pub struct Progress {
    published: Vec<Counter>,
    consumed: Vec<Counter>,
    /// Deliveries per publish.
    copies: u64,
    /// `None` without consumers, when nothing would ever open the gate.
    backlog_max: Option<u64>,
    paused: AtomicUsize,
    stop_producing: AtomicBool,
    stop_consuming: AtomicBool,
    /// When measuring began, and ended.
    window: (OnceLock<Instant>, OnceLock<Instant>),
    /// The first failure of any thread.
    failure: Mutex<Option<BenchError>>,
    /// Wakes producers that wait for the gate.
    room: Condvar,
    /// Wakes the thread that waits for the run to end.
    failed: Condvar,
}

impl Progress {
    pub fn new(producers: usize, consumers: usize, copies: u64, backlog_max: u64) -> Progress {
        Progress {
            published: (0..producers).map(|_| Counter::default()).collect(),
            consumed: (0..consumers).map(|_| Counter::default()).collect(),
            copies,
            backlog_max: (consumers > 0).then_some(backlog_max),
            paused: AtomicUsize::new(0),
            stop_producing: AtomicBool::new(false),
            stop_consuming: AtomicBool::new(false),
            window: (OnceLock::new(), OnceLock::new()),
            failure: Mutex::new(None),
            room: Condvar::new(),
            failed: Condvar::new(),
        }
    }

    pub fn published(&self) -> u64 {
        self.published.iter().map(Counter::value).sum()
    }

    pub fn consumed(&self) -> u64 {
        self.consumed.iter().map(Counter::value).sum()
    }

    /// Deliveries that are still to come.
    pub fn backlog(&self) -> u64 {
        (self.published() * self.copies).saturating_sub(self.consumed())
    }

    /// Producer `number` has written `total` messages so far.
    pub fn set_published(&self, number: usize, total: u64) {
        self.published[number].set(total);
    }

    /// Consumer `number` has received `total` messages so far.
    pub fn set_consumed(&self, number: usize, total: u64) {
        self.consumed[number].set(total);
        if self.paused.load(Ordering::Relaxed) > 0 && !self.is_full() {
            self.room.notify_all();
        }
    }

    fn is_full(&self) -> bool {
        self.backlog_max.is_some_and(|most| self.backlog() >= most)
    }

    /// How many messages a producer may write at once without overshooting the gate by much.
    pub fn burst_max(&self) -> u64 {
        self.backlog_max.map_or(u64::MAX, |most| (most / self.copies / 4).max(1))
    }

    /// Blocks a producer while the backlog is full; false once it shall stop.
    pub fn may_publish(&self) -> bool {
        if self.is_full() && !self.producing_stopped() {
            self.paused.fetch_add(1, Ordering::Relaxed);
            let mut guard = self.lock();
            while self.is_full() && !self.producing_stopped() {
                // The timeout covers a notification between the check and the wait.
                guard = self.room.wait_timeout(guard, POLL).unwrap_or_else(PoisonError::into_inner).0;
            }
            self.paused.fetch_sub(1, Ordering::Relaxed);
        }
        !self.producing_stopped()
    }

    /// What is sent from now on counts.
    pub fn begin_window(&self, at: Instant) {
        self.window.0.get_or_init(|| at);
    }

    /// What is sent from now on does not count any more.
    pub fn end_window(&self, at: Instant) {
        self.window.1.get_or_init(|| at);
    }

    /// Whether something sent at `at` counts.
    pub fn is_measured(&self, at: Instant) -> bool {
        let (start, end) = &self.window;
        start.get().is_some_and(|start| *start <= at) && end.get().is_none_or(|end| at < *end)
    }

    pub fn producing_stopped(&self) -> bool {
        self.stop_producing.load(Ordering::Acquire)
    }

    pub fn consuming_stopped(&self) -> bool {
        self.stop_consuming.load(Ordering::Acquire)
    }

    pub fn stop_producing(&self) {
        self.stop_producing.store(true, Ordering::Release);
        self.room.notify_all();
    }

    pub fn stop_consuming(&self) {
        self.stop_consuming.store(true, Ordering::Release);
    }

    /// Ends the run; only the first failure is kept, the others follow from it.
    pub fn fail(&self, error: BenchError) {
        self.lock().get_or_insert(error);
        self.failed.notify_all();
        self.stop_producing();
        self.stop_consuming();
    }

    pub fn has_failed(&self) -> bool {
        self.lock().is_some()
    }

    pub fn take_failure(&self) -> Option<BenchError> {
        self.lock().take()
    }

    /// Waits for `duration`, or less when the run fails.
    pub fn rest(&self, duration: Duration) {
        let end = Instant::now() + duration;
        let mut guard = self.lock();
        while guard.is_none() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            guard = self.failed.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until everything published has arrived, or nothing has for `STALL`.
    pub fn wait_drained(&self) {
        if self.consumed.is_empty() {
            return;
        }
        let mut last = (self.consumed(), Instant::now());
        while self.backlog() > 0 && !self.consuming_stopped() && last.1.elapsed() < STALL {
            self.rest(POLL);
            let consumed = self.consumed();
            if consumed != last.0 {
                last = (consumed, Instant::now());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<BenchError>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn the_gate_opens_when_consumers_catch_up() {
        let progress = Progress::new(1, 1, 2, 100);
        progress.set_published(0, 50);
        thread::scope(|scope| {
            let producer = scope.spawn(|| progress.may_publish());
            progress.set_consumed(0, 1);
            assert!(producer.join().unwrap());
        });
        assert_eq!(progress.backlog(), 99);
    }

    #[test]
    fn a_failure_releases_producers_and_the_first_one_is_reported() {
        let progress = Progress::new(1, 1, 1, 1);
        progress.set_published(0, 5);
        thread::scope(|scope| {
            let producer = scope.spawn(|| progress.may_publish());
            progress.fail(BenchError::Unexpected("first".to_owned()));
            progress.fail(BenchError::Unexpected("second".to_owned()));
            assert!(!producer.join().unwrap());
        });
        progress.rest(Duration::from_secs(60));
        assert!(progress.take_failure().unwrap().to_string().contains("first"));
    }

    #[test]
    fn without_consumers_there_is_no_gate() {
        let progress = Progress::new(1, 0, 1, 1);
        progress.set_published(0, 1_000_000);
        assert!(progress.may_publish());
    }
}
