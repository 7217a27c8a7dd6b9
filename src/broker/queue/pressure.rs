//! Slowing publishers down while consumers keep up: a short queue stays in cache, and nobody waits longer.
//!
//! A publisher that finds a backlog waits a moment for the consumers to work it off. Only consumers that take
//! messages as fast as their sockets let them are worth the wait: once one wait was in vain, nobody waits for
//! this queue again before it has been short.

use std::task::Waker;

use super::Wakes;

/// Ready messages from which publishers wait.
const HIGH_MESSAGES: u64 = 8192;
/// Octets of ready bodies from which publishers wait.
const HIGH_BYTES: u64 = 4 << 20;

/// The publishers that wait for a queue, and whether that makes sense.
#[derive(Debug, Default)]
pub struct Pressure {
    waiting: Vec<Waker>,
    given_up: bool,
}

impl Pressure {
    /// Whether a publisher should wait.
    pub fn is_high(&self, messages: u64, bytes: u64) -> bool {
        !self.given_up && (HIGH_MESSAGES < messages || HIGH_BYTES < bytes)
    }

    /// Wakes `waker` once the queue is short.
    pub fn wait(&mut self, waker: &Waker) {
        if !self.waiting.iter().any(|known| known.will_wake(waker)) {
            self.waiting.push(waker.clone());
        }
    }

    /// A wait was in vain.
    pub fn give_up(&mut self) {
        self.given_up = true;
    }

    /// The queue has this length now; publishers go on when it is short.
    #[inline]
    pub fn update(&mut self, messages: u64, bytes: u64, wakes: &mut Wakes) {
        let idle = self.waiting.is_empty() && !self.given_up;
        if !idle && messages <= HIGH_MESSAGES / 2 && bytes <= HIGH_BYTES / 2 {
            self.given_up = false;
            wakes.extend(self.waiting.drain(..));
        }
    }
}
