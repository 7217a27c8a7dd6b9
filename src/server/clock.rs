//! The one clock: milliseconds that only go forward and agree with the wall when the process starts.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::broker::Millis;

/// A steady clock that reads like the wall clock, so that deadlines outlive a restart.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
    wall_at_start: Millis,
}

impl Clock {
    pub fn start() -> Clock {
        Clock { started: Instant::now(), wall_at_start: wall() }
    }

    /// Milliseconds since 1970, as of the start of the process plus what has passed.
    #[inline]
    pub fn now(&self) -> Millis {
        self.wall_at_start + millis(self.started.elapsed())
    }

    /// The instant at which [`Clock::now`] will have reached `at`: a timer set for it is never early.
    pub fn instant(&self, at: Millis) -> tokio::time::Instant {
        let from_start = Duration::from_millis(at.saturating_sub(self.wall_at_start));
        // Far deadlines are looked at again after a while; no timer wheel needs years.
        let capped = from_start.min(self.started.elapsed() + Duration::from_secs(3600));
        tokio::time::Instant::from_std(self.started + capped)
    }
}

/// Milliseconds since 1970 as the machine has them, for what is only shown.
pub fn wall() -> Millis {
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}
