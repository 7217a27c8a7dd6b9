//! Messages of a quorum queue that came back and wait before they are ready again (QQ-11).

use std::collections::BTreeMap;

use super::{Entry, returns};
use crate::broker::Millis;

/// Which returns wait, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Those that count against the delivery limit.
    pub failed: bool,
    /// Those that do not.
    pub returned: bool,
    /// For the first return; each further one waits as much longer.
    pub min: Millis,
    pub max: Millis,
}

/// How long returns wait unless said otherwise: so long for each time, at most so long.
const MIN: Millis = 1_000;
const MAX: Millis = 60_000;

impl Retry {
    /// The rules that arguments and policies name; `None` when nothing waits.
    pub fn named(kind: &str, min: Option<Millis>, max: Option<Millis>) -> Option<Retry> {
        let (failed, returned) = match kind {
            "all" => (true, true),
            "failed" => (true, false),
            "returned" => (false, true),
            _ => return None,
        };
        let min = min.unwrap_or(MIN);
        Some(Retry { failed, returned, min, max: max.unwrap_or(MAX.max(min)) })
    }

    /// How long a message waits that has come back so often, the last time in this way; 0 when it does not.
    pub fn delay(&self, how: u32, so_often: u32) -> Millis {
        let waits = if how == returns::FAILED { self.failed } else { self.returned };
        if !waits {
            return 0;
        }
        self.min.saturating_mul(Millis::from(returns::total(so_often))).min(self.max)
    }
}

/// What waits, by the time at which it is ready and the order in which it came.
#[derive(Debug, Default)]
pub struct Resting {
    entries: BTreeMap<(Millis, u64), Entry>,
    next: u64,
}

impl Resting {
    pub fn count(&self) -> u64 {
        self.entries.len() as u64
    }

    pub fn push(&mut self, until: Millis, entry: Entry) {
        self.entries.insert((until, self.next), entry);
        self.next += 1;
    }

    /// When the next one is ready.
    pub fn next_at(&self) -> Option<Millis> {
        self.entries.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next one that is ready at this time.
    pub fn pop_due(&mut self, now: Millis) -> Option<Entry> {
        let first = self.entries.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}
