//! Users and their passwords, and the brake on guessing them.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use parking_lot::Mutex;

use crate::broker::Millis;

/// Delays grow up to this, in milliseconds.
const DELAY_MAX: Millis = 3_000;
/// Failures of an address are forgotten after so many milliseconds without another.
const FORGET_AFTER: Millis = 60_000;
/// Addresses remembered; when full, those that have been quiet longest go first.
const ADDRESSES_MAX: usize = 10_000;

/// A user that may log in.
#[derive(Debug)]
pub struct User {
    pub name: Arc<str>,
    password: Vec<u8>,
    /// Only from a loopback peer (CON-29).
    loopback_only: bool,
}

/// Who may log in. Every user may use every vhost in full.
#[derive(Debug, Default)]
pub struct Access {
    users: HashMap<String, User>,
    anonymous: Option<String>,
}

impl Access {
    /// Adds a user; a later one of the same name replaces it.
    pub fn add(&mut self, name: &str, password: &str, loopback_only: bool) {
        let user = User { name: name.into(), password: password.as_bytes().to_vec(), loopback_only };
        self.users.insert(name.to_owned(), user);
    }

    /// The user that ANONYMOUS logs in as.
    pub fn set_anonymous(&mut self, name: Option<String>) {
        self.anonymous = name;
    }

    /// Checks a password. Unknown users cost the same work as wrong passwords.
    ///
    /// # Errors
    /// The reason for the log; clients must not learn it (CON-26).
    pub fn log_in(&self, name: &str, password: &[u8], peer: IpAddr) -> Result<Arc<str>, &'static str> {
        let user = self.users.get(name);
        let expected = user.map_or(&[][..], |user| &user.password);
        let same = is_same(expected, password);
        match user {
            Some(user) if same && !password.is_empty() => self.check_peer(user, peer),
            _ => Err("invalid credentials"),
        }
    }

    /// Logs in without a password, where that is configured (CON-23).
    ///
    /// # Errors
    /// The reason for the log.
    pub fn log_in_anonymously(&self, peer: IpAddr) -> Result<Arc<str>, &'static str> {
        let user = self.anonymous.as_ref().and_then(|name| self.users.get(name));
        self.check_peer(user.ok_or("anonymous logins are off")?, peer)
    }

    fn check_peer(&self, user: &User, peer: IpAddr) -> Result<Arc<str>, &'static str> {
        if user.loopback_only && !peer.to_canonical().is_loopback() {
            return Err("user can only connect via localhost");
        }
        Ok(user.name.clone())
    }
}

/// Compares without telling by its time how much was right.
fn is_same(expected: &[u8], given: &[u8]) -> bool {
    let mut difference = u8::from(expected.len() != given.len());
    for (index, octet) in given.iter().enumerate() {
        // Against itself where there is nothing left, so that the work follows the guess, not the secret.
        let other = expected.get(index).copied().unwrap_or(!octet);
        difference |= std::hint::black_box(octet ^ other);
    }
    difference == 0
}

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
}

impl LoginGuard {
    pub fn new(free: u32, delay: Millis) -> LoginGuard {
        LoginGuard { free, delay, addresses: Mutex::default() }
    }

    /// How long the next attempt of this address must wait, in milliseconds.
    pub fn delay(&self, address: IpAddr, now: Millis) -> Millis {
        let addresses = self.addresses.lock();
        let Some(failures) = addresses.get(&address) else { return 0 };
        if failures.last + FORGET_AFTER < now || failures.count < self.free {
            return 0;
        }
        let doublings = (failures.count - self.free).min(16);
        (self.delay << doublings).min(DELAY_MAX)
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
        let failures = addresses.entry(address).or_insert(Failures { count: 0, last: now });
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
    fn con_26_only_the_right_password_of_a_known_user_logs_in() {
        let mut access = Access::default();
        access.add("guest", "guest", true);
        access.add("empty", "", false);
        assert!(access.log_in("guest", b"guest", LOCAL).is_ok());
        for (user, password) in
            [("guest", &b"gues"[..]), ("guest", b"guest!"), ("guest", b""), ("nobody", b""), ("empty", b"")]
        {
            assert!(access.log_in(user, password, LOCAL).is_err(), "{user}");
        }
    }

    #[test]
    fn con_29_loopback_users_come_from_loopback_peers_only() {
        let mut access = Access::default();
        access.add("guest", "guest", true);
        access.add("app", "secret", false);
        assert!(access.log_in("guest", b"guest", REMOTE).is_err());
        assert!(access.log_in("guest", b"guest", "::ffff:127.0.0.1".parse().unwrap()).is_ok());
        assert!(access.log_in("app", b"secret", REMOTE).is_ok());
    }

    #[test]
    fn failed_logins_slow_their_address_down_and_nobody_else() {
        let guard = LoginGuard::new(5, 100);
        for _ in 0..5 {
            assert_eq!(guard.delay(REMOTE, 0), 0);
            guard.failed(REMOTE, 0);
        }
        assert_eq!(guard.delay(REMOTE, 0), 100);
        guard.failed(REMOTE, 0);
        assert_eq!(guard.delay(REMOTE, 0), 200);
        (0..40).for_each(|_| guard.failed(REMOTE, 0));
        assert_eq!(guard.delay(REMOTE, 0), 3_000);
        assert_eq!(guard.delay(LOCAL, 0), 0);
        assert_eq!(guard.delay(REMOTE, FORGET_AFTER + 1), 0);
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
