//! The memory alarm: above the watermark publishers wait (ALM-01 to ALM-11).

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::broker::message::held_bytes;

/// The node's resource alarms.
#[derive(Debug)]
pub struct Alarms {
    /// In octets; 0 blocks everybody.
    memory_limit: AtomicU64,
}

impl Alarms {
    /// `memory_limit` in octets of messages held in memory.
    pub fn new(memory_limit: u64) -> Alarms {
        Alarms { memory_limit: AtomicU64::new(memory_limit) }
    }

    /// Octets above which publishers wait.
    pub fn memory_limit(&self) -> u64 {
        self.memory_limit.load(Relaxed)
    }

    /// Moves the watermark; waiting publishers notice at their next look.
    pub fn set_memory_limit(&self, octets: u64) {
        self.memory_limit.store(octets, Relaxed);
    }

    /// The reason to block publishers, as connection.blocked gives it (ALM-04).
    #[inline]
    pub fn reason(&self) -> Option<&'static str> {
        (self.memory_limit() < held_bytes()).then_some("low on memory")
    }
}
