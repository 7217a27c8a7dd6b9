//! The alarms: above the memory watermark, or with too little disk space left, publishers wait (ALM-01 to ALM-11).

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

use crate::broker::memory::Account;

/// The node's resource alarms.
#[derive(Debug)]
pub struct Alarms {
    /// In octets; 0 blocks everybody.
    memory_limit: AtomicU64,
    account: Account,
    /// Too little space on the disk.
    disk: AtomicBool,
    /// Connections that wait for an alarm to clear.
    waiting: AtomicUsize,
}

impl Drop for Alarms {
    fn drop(&mut self) {
        self.account.close();
    }
}

impl Alarms {
    /// `memory_limit` in octets of messages held in memory.
    pub fn new(memory_limit: u64, account: Account) -> Alarms {
        Alarms {
            memory_limit: AtomicU64::new(memory_limit),
            account,
            disk: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
        }
    }

    /// The account of this node's messages.
    #[inline]
    pub fn account(&self) -> Account {
        self.account
    }

    /// A connection waits from now on, or no longer.
    pub fn note_waiting(&self, waits: bool) {
        if waits {
            self.waiting.fetch_add(1, Relaxed);
        } else {
            self.waiting.fetch_sub(1, Relaxed);
        }
    }

    /// Whether any connection waits.
    pub fn has_waiting(&self) -> bool {
        self.waiting.load(Relaxed) != 0
    }

    /// Octets above which publishers wait.
    pub fn memory_limit(&self) -> u64 {
        self.memory_limit.load(Relaxed)
    }

    /// Moves the watermark; waiting publishers notice at their next look.
    pub fn set_memory_limit(&self, octets: u64) {
        self.memory_limit.store(octets, Relaxed);
    }

    /// Sets or clears the disk alarm.
    pub fn set_disk(&self, is_low: bool) {
        self.disk.store(is_low, Relaxed);
    }

    /// Whether there is too little space on the disk.
    pub fn is_disk_low(&self) -> bool {
        self.disk.load(Relaxed)
    }

    /// Whether there is too much in memory.
    #[inline]
    pub fn is_memory_low(&self) -> bool {
        let limit = self.memory_limit();
        // Threads keep a little to themselves, so what is held may look like nothing.
        limit == 0 || limit < self.account.held_bytes()
    }

    /// The reason to block publishers, as connection.blocked gives it (ALM-04).
    #[inline]
    pub fn reason(&self) -> Option<&'static str> {
        match (self.is_memory_low(), self.disk.load(Relaxed)) {
            (false, false) => None,
            (true, false) => Some("low on memory"),
            (false, true) => Some("low on disk"),
            (true, true) => Some("low on disk & memory"),
        }
    }
}
