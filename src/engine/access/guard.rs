//! The brake on guessing passwords.

use std::{collections::HashMap, net::IpAddr};

use parking_lot::Mutex;

use crate::broker::Millis;

/// Delays grow up to this, in milliseconds.
const DELAY_MAX: Millis = 3_000;
/// Failures of an address are forgotten after so many milliseconds without another.
const FORGET_AFTER: Millis = 60_000;
/// Attempts at once have their turns so many times closer together than one alone has to wait: honest clients of an
/// address where somebody else guesses come in dozens.
const TURNS_IN_A_DELAY: Millis = 64;
/// Who would have to wait longer than so many milliseconds is refused instead.
const WAIT_MAX: Millis = 10_000;
/// Addresses remembered; when full, those that have been quiet longest go first.
const ADDRESSES_MAX: usize = 10_000;

/// Slows down addresses whose logins keep failing.
#[derive(Debug)]
pub struct LoginGuard {
    /// Failures before the first delay.
    free: u32,
    /// The first delay, in milliseconds; it doubles with each further failure.
    delay: Millis,
    addresses: Mutex<HashMap<IpAddr, Failures>>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Millis,
    /// When the last of those that wait has its turn.
    taken_until: Millis,
}

impl LoginGuard {
    pub fn new(free: u32, delay: Millis) -> LoginGuard {
        LoginGuard { free, delay, addresses: Mutex::default() }
    }

    /// Takes the next turn of this address: how long its attempt must wait, in milliseconds. Attempts made at once
    /// get one turn after the other, so that the number of those that guess does not matter. `None` when too many wait
    /// already.
    pub fn take_turn(&self, address: IpAddr, now: Millis) -> Option<Millis> {
        let mut addresses = self.addresses.lock();
        let Some(failures) = addresses.get_mut(&address) else { return Some(0) };
        if failures.last + FORGET_AFTER < now || failures.count < self.free {
            return Some(0);
        }
        let doublings = (failures.count - self.free).min(16);
        let delay = (self.delay << doublings).min(DELAY_MAX);
        let turn = (now + delay).max(failures.taken_until + delay / TURNS_IN_A_DELAY);
        let wait = turn - now;
        if WAIT_MAX < wait {
            return None;
        }
        failures.taken_until = turn;
        Some(wait)
    }

    /// An attempt failed.
    pub fn failed(&self, address: IpAddr, now: Millis) {
        let mut addresses = self.addresses.lock();
        if ADDRESSES_MAX <= addresses.len() {
            addresses.retain(|_, failures| now < failures.last + FORGET_AFTER);
            if ADDRESSES_MAX <= addresses.len() {
                addresses.clear();
            }
        }
        let failures = addresses.entry(address).or_insert(Failures { count: 0, last: now, taken_until: 0 });
        if failures.last + FORGET_AFTER < now {
            failures.count = 0;
        }
        failures.count = failures.count.saturating_add(1);
        failures.last = now;
    }

    /// An attempt succeeded; the address starts afresh.
    pub fn succeeded(&self, address: IpAddr) {
        self.addresses.lock().remove(&address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const REMOTE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    #[test]
    fn failed_logins_slow_their_address_down_and_nobody_else() {
        let guard = LoginGuard::new(5, 100);
        for _ in 0..5 {
            assert_eq!(guard.take_turn(REMOTE, 0), Some(0));
            guard.failed(REMOTE, 0);
        }
        assert_eq!(guard.take_turn(REMOTE, 0), Some(100));
        guard.failed(REMOTE, 100);
        assert_eq!(guard.take_turn(REMOTE, 100), Some(200));
        (0..40).for_each(|_| guard.failed(REMOTE, 300));
        assert_eq!(guard.take_turn(REMOTE, 300), Some(3_000));
        assert_eq!(guard.take_turn(LOCAL, 300), Some(0));
        assert_eq!(guard.take_turn(REMOTE, 300 + FORGET_AFTER + 1), Some(0));
    }

    #[test]
    fn many_guesses_at_once_have_one_turn_after_the_other() {
        let guard = LoginGuard::new(1, 6_400);
        guard.failed(REMOTE, 0);
        // Three seconds for the first, and 64 of them in three seconds.
        let turns: Vec<_> =
            (0..).map(|turn| 3_000 + turn * 46).take_while(|wait| *wait <= WAIT_MAX).collect();
        assert_eq!(turns.len(), 153);
        for wait in turns {
            assert_eq!(guard.take_turn(REMOTE, 0), Some(wait));
        }
        assert_eq!(guard.take_turn(REMOTE, 0), None);
        assert!(guard.take_turn(REMOTE, 46).is_some(), "a turn is over");
        assert_eq!(guard.take_turn(LOCAL, 0), Some(0));
        guard.succeeded(REMOTE);
        assert_eq!(guard.take_turn(REMOTE, 46), Some(0));
    }

    #[test]
    fn guesses_from_everywhere_cost_bounded_memory() {
        let guard = LoginGuard::new(5, 100);
        for number in 0..=ADDRESSES_MAX as u32 {
            guard.failed(IpAddr::V4(number.into()), 0);
            assert!(guard.addresses.lock().len() <= ADDRESSES_MAX);
        }
    }
}
