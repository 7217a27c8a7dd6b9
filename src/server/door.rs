//! Who may come in: bounds on connections, and on those that have not logged in.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;
use tokio::{sync::Notify, task::AbortHandle};

use crate::amqp::Limit;

/// Part of the file descriptors that is kept for files: one in twenty.
const DESCRIPTOR_RESERVE: u64 = 20;
/// Octets that may be kept for any socket before its login, however many others sent: honest logins that arrive
/// in two pieces must not pay for what attackers send.
const KEPT_ALWAYS: usize = 4 << 10;

/// How many may come in.
#[derive(Debug, Clone, Copy)]
pub struct DoorLimits {
    /// Sockets, whatever they do.
    pub sockets: usize,
    /// Sockets that have not logged in.
    pub waiting: usize,
    /// The same for one address.
    pub waiting_per_address: usize,
    /// Octets kept for all sockets that have not logged in, beside a little for each.
    pub waiting_bytes: usize,
}

/// Counts connections and drops those that wait too long in too large a crowd.
#[derive(Debug)]
pub struct Door {
    limits: DoorLimits,
    sockets: AtomicUsize,
    /// Octets kept for sockets that have not logged in.
    waiting_bytes: AtomicUsize,
    state: Mutex<Waiting>,
    /// Sockets of crowded addresses that wait for a place among the waiting.
    queued: AtomicUsize,
    /// Somebody logged in or left.
    freed: Notify,
}

/// Sockets that have not logged in.
#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    by_age: BTreeMap<u64, IpAddr>,
    by_address: HashMap<IpAddr, usize>,
    /// The tasks of all places, also of those that have logged in; `None` until it is known.
    tasks: HashMap<u64, Option<AbortHandle>>,
}

impl Waiting {
    fn logged_in(&mut self, number: u64) {
        let Some(address) = self.by_age.remove(&number) else { return };
        if let Some(count) = self.by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&address);
            }
        }
    }
}

/// Somebody in the queue outside, counted until it comes in or gives up waiting, which drops it.
struct Turn<'a> {
    queued: &'a AtomicUsize,
    number: usize,
}

impl<'a> Turn<'a> {
    fn new(queued: &'a AtomicUsize) -> Turn<'a> {
        Turn { queued, number: queued.fetch_add(1, Relaxed) + 1 }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.queued.fetch_sub(1, Relaxed);
    }
}

/// Why somebody was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TurnedAway {
    #[error("too many sockets are open")]
    Full,
    #[error("too many connections of this address have not logged in")]
    AddressCrowded,
}

/// A place among the sockets; dropping it gives the place back.
#[derive(Debug)]
pub struct Place {
    door: Arc<Door>,
    number: u64,
    waiting: bool,
    /// Octets kept for it, while it waits.
    kept: usize,
    /// Whose socket had to go for it.
    dropped: Option<IpAddr>,
}

impl TurnedAway {
    /// The limit that was reached.
    pub fn limit(self) -> Limit {
        match self {
            TurnedAway::Full => Limit::Sockets,
            TurnedAway::AddressCrowded => Limit::UnauthenticatedOfAddress,
        }
    }
}

impl Door {
    pub fn new(limits: DoorLimits) -> Arc<Door> {
        Arc::new(Door {
            limits,
            sockets: AtomicUsize::new(0),
            waiting_bytes: AtomicUsize::new(0),
            state: Mutex::default(),
            queued: AtomicUsize::new(0),
            freed: Notify::new(),
        })
    }

    /// Lets a socket in, unless there are too many. When too many wait, the oldest of them goes.
    pub fn enter(self: &Arc<Door>, address: IpAddr) -> Result<Place, TurnedAway> {
        self.enter_among(address, self.limits.waiting_per_address)
    }

    /// As [`Door::enter`], for a proxy, whose address is that of many.
    pub fn enter_as_proxy(self: &Arc<Door>, address: IpAddr) -> Result<Place, TurnedAway> {
        self.enter_among(address, usize::MAX)
    }

    fn enter_among(self: &Arc<Door>, address: IpAddr, most: usize) -> Result<Place, TurnedAway> {
        let mut state = self.state.lock();
        if state.by_address.get(&address).is_some_and(|count| most <= *count) {
            return Err(TurnedAway::AddressCrowded);
        }
        if self.limits.sockets <= self.sockets.load(Relaxed) {
            return Err(TurnedAway::Full);
        }
        self.sockets.fetch_add(1, Relaxed);
        let oldest = state.by_age.first_key_value().map(|(number, address)| (*number, *address));
        let oldest = oldest.filter(|_| self.limits.waiting <= state.by_age.len());
        let dropped = oldest.and_then(|(oldest, _)| {
            state.logged_in(oldest);
            state.tasks.remove(&oldest).flatten()
        });
        let number = state.next;
        state.next += 1;
        state.by_age.insert(number, address);
        state.tasks.insert(number, None);
        *state.by_address.entry(address).or_insert(0) += 1;
        drop(state);
        if let Some(task) = dropped {
            task.abort();
        }
        let dropped = oldest.map(|(_, address)| address);
        Ok(Place { door: self.clone(), number, waiting: true, kept: 0, dropped })
    }

    /// As [`Door::enter`], but waits while the address is crowded: an honest burst of connections logs in
    /// within milliseconds, and a dishonest one only delays itself.
    pub async fn enter_in_turn(self: &Arc<Door>, address: IpAddr) -> Result<Place, TurnedAway> {
        let turn = Turn::new(&self.queued);
        if self.limits.waiting < turn.number {
            return Err(TurnedAway::AddressCrowded);
        }
        loop {
            let freed = self.freed.notified();
            match self.enter(address) {
                Err(TurnedAway::AddressCrowded) => freed.await,
                other => return other,
            }
        }
    }

    /// Sockets that are open now.
    pub fn sockets(&self) -> usize {
        self.sockets.load(Relaxed)
    }

    /// How many of them have not logged in.
    pub fn waiting(&self) -> usize {
        self.state.lock().by_age.len()
    }

    /// Octets kept for those.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting_bytes.load(Relaxed)
    }

    pub fn limits(&self) -> DoorLimits {
        self.limits
    }

    /// Drops everybody: the broker is gone.
    pub fn close(&self) {
        let tasks = std::mem::take(&mut self.state.lock().tasks);
        tasks.into_values().flatten().for_each(|task| task.abort());
    }

    /// Names the task that serves a place, so that it can be dropped. The task may have ended already, and
    /// given its place back: then there is nothing to remember.
    pub fn set_task(&self, number: u64, task: AbortHandle) {
        if let Some(place) = self.state.lock().tasks.get_mut(&number) {
            *place = Some(task);
        }
    }
}

impl Place {
    /// Names the place.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The address of the socket that had to go for this one, if one had to.
    pub fn dropped(&self) -> Option<IpAddr> {
        self.dropped
    }

    /// Notes how many octets are kept for this socket. False when those of all that have not logged in are
    /// too many, and this one has more than a small part in it.
    #[must_use]
    pub fn keep(&mut self, octets: usize) -> bool {
        if !self.waiting || octets == self.kept {
            return true;
        }
        let bytes = &self.door.waiting_bytes;
        bytes.fetch_sub(self.kept, Relaxed);
        self.kept = octets;
        let sum = bytes.fetch_add(octets, Relaxed) + octets;
        octets <= KEPT_ALWAYS || sum <= self.door.limits.waiting_bytes
    }

    /// The login succeeded.
    pub fn logged_in(&mut self) {
        let _nothing_kept_is_fine = self.keep(0);
        if std::mem::take(&mut self.waiting) {
            self.door.state.lock().logged_in(self.number);
            self.door.freed.notify_waiters();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _nothing_kept_is_fine = self.keep(0);
        let mut state = self.door.state.lock();
        state.logged_in(self.number);
        state.tasks.remove(&self.number);
        drop(state);
        self.door.sockets.fetch_sub(1, Relaxed);
        self.door.freed.notify_waiters();
    }
}

/// Sockets that there may be: the descriptors of the process, less some for files.
pub fn descriptor_limit() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let limit = limit.unwrap_or(u64::MAX);
    usize::try_from(limit - limit / DESCRIPTOR_RESERVE).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn door(sockets: usize, waiting: usize, waiting_per_address: usize) -> Arc<Door> {
        Door::new(DoorLimits { sockets, waiting, waiting_per_address, waiting_bytes: 100_000 })
    }

    #[test]
    fn what_is_kept_before_logins_is_bounded_for_all_together() {
        let door = door(10, 10, 10);
        let (mut one, mut two) = (door.enter(HERE).unwrap(), door.enter(THERE).unwrap());
        assert!(one.keep(60_000) && two.keep(40_000));
        assert!(!two.keep(40_001), "100,001 octets for both");
        assert!(two.keep(0) && one.keep(99_999) && two.keep(KEPT_ALWAYS), "who has little may keep it");
        one.logged_in();
        assert!(one.keep(1_000_000), "who has logged in is counted elsewhere");
        assert!(two.keep(100_000));
        drop(two);
        assert!(door.enter(THERE).unwrap().keep(100_000));
    }

    #[test]
    fn one_address_cannot_crowd_the_door() {
        let door = door(10, 5, 2);
        let (_one, mut two) = (door.enter(HERE).unwrap(), door.enter(HERE).unwrap());
        assert_eq!(door.enter(HERE).unwrap_err(), TurnedAway::AddressCrowded);
        assert!(door.enter(THERE).is_ok());
        two.logged_in();
        assert!(door.enter(HERE).is_ok());
    }

    #[test]
    fn places_are_given_back() {
        let door = door(1, 5, 5);
        let place = door.enter(HERE).unwrap();
        assert_eq!(door.enter(THERE).unwrap_err(), TurnedAway::Full);
        drop(place);
        assert!(door.enter(THERE).is_ok());
    }

    #[tokio::test]
    async fn the_oldest_waiting_socket_makes_room() {
        let door = door(10, 1, 5);
        let oldest = door.enter(HERE).unwrap();
        let task = tokio::spawn(std::future::pending::<()>());
        door.set_task(oldest.number(), task.abort_handle());
        let newest = door.enter(THERE).unwrap();
        assert_eq!((newest.dropped(), door.waiting(), door.sockets()), (Some(HERE), 1, 2));
        assert!(task.await.unwrap_err().is_cancelled());
    }
}
