//! What the messages of a broker cost in memory.
//!
//! Exact to 64 KiB a thread, and without shared memory touched for each message: every thread keeps a small
//! sum to itself.

use std::{
    cell::Cell,
    sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed},
};

/// Brokers in one process that are counted apart; later ones share the last account.
const ACCOUNTS: usize = 64;
/// What a thread keeps to itself before it tells its account.
const LOCAL_MAX: i64 = 64 << 10;

static HELD: [AtomicI64; ACCOUNTS] = [const { AtomicI64::new(0) }; ACCOUNTS];
static TAKEN: [AtomicBool; ACCOUNTS] = [const { AtomicBool::new(false) }; ACCOUNTS];

thread_local! {
    /// The account that this thread charged last, and what it has not told it yet.
    static LOCAL: Cell<(u8, i64)> = const { Cell::new((0, 0)) };
}

/// Names the memory of one broker. A message carries it from its making to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account(u8);

impl Account {
    /// For messages that nobody counts, as in tests.
    pub const UNCOUNTED: Account = Account(0);

    /// Takes a free account. Balances of earlier users are near zero: their messages are gone.
    pub fn open() -> Account {
        let free = TAKEN.iter().skip(1).position(|taken| !taken.swap(true, Relaxed));
        Account(free.map_or(ACCOUNTS - 1, |index| index + 1) as u8)
    }

    /// Gives the account back.
    pub fn close(self) {
        if let Some(taken) = TAKEN.get(usize::from(self.0)) {
            taken.store(false, Relaxed);
        }
    }

    /// Octets of memory held, bookkeeping included.
    #[inline]
    pub fn held_bytes(self) -> u64 {
        u64::try_from(self.total().load(Relaxed)).unwrap_or(0)
    }

    fn total(self) -> &'static AtomicI64 {
        HELD.get(usize::from(self.0)).unwrap_or(&HELD[0])
    }

    /// Adds octets that are held from now on, or takes off, when negative, those that no longer are.
    #[inline]
    pub fn charge(self, octets: i64) {
        // A message may be dropped while its thread's storage is being torn down.
        let told = LOCAL.try_with(|local| {
            let (account, sum) = local.get();
            let sum = if account == self.0 {
                sum + octets
            } else {
                Account(account).total().fetch_add(sum, Relaxed);
                octets
            };
            if sum.abs() < LOCAL_MAX {
                local.set((self.0, sum));
            } else {
                local.set((self.0, 0));
                self.total().fetch_add(sum, Relaxed);
            }
        });
        if told.is_err() {
            self.total().fetch_add(octets, Relaxed);
        }
    }
}
