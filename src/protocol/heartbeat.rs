//! Heartbeats in both directions, as times to compare with.

use super::Millis;

/// The timing of one connection's heartbeats (CON-60, CON-61).
#[derive(Debug)]
pub struct Heartbeat {
    /// 0 is off.
    interval: Millis,
    last_received: Millis,
    last_sent: Millis,
    paused: bool,
}

impl Heartbeat {
    /// No heartbeats yet: nothing is negotiated before tune-ok.
    pub fn off(now: Millis) -> Heartbeat {
        Heartbeat::every(0, now)
    }

    /// Heartbeats for a negotiated interval in seconds.
    pub fn every(seconds: u16, now: Millis) -> Heartbeat {
        let interval = Millis::from(seconds) * 1000;
        Heartbeat { interval, last_received: now, last_sent: now, paused: false }
    }

    pub fn received(&mut self, now: Millis) {
        self.last_received = now;
    }

    pub fn sent(&mut self, now: Millis) {
        self.last_sent = now;
    }

    pub fn pause(&mut self, paused: bool, now: Millis) {
        if self.paused && !paused {
            self.last_received = now;
        }
        self.paused = paused;
    }

    /// Two silent intervals and a little, since the reference drops between two and three.
    fn dead_at(&self) -> Millis {
        self.last_received + self.interval * 2 + self.interval / 4
    }

    fn send_at(&self) -> Millis {
        self.last_sent + self.interval / 2
    }

    pub fn is_peer_dead(&self, now: Millis) -> bool {
        0 < self.interval && !self.paused && self.dead_at() <= now
    }

    pub fn is_send_due(&self, now: Millis) -> bool {
        0 < self.interval && self.send_at() <= now
    }

    pub fn next_timeout(&self) -> Option<Millis> {
        if self.interval == 0 {
            return None;
        }
        let dead_at = if self.paused { Millis::MAX } else { self.dead_at() };
        Some(self.send_at().min(dead_at))
    }
}
