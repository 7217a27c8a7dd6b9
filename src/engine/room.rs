//! How many vhosts, queues and exchanges the node has in all, and how many it may have (LIM-03).
//!
//! A vhost tells of its own under the lock of its topology. Nothing of this is touched by a message.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use parking_lot::{Mutex, MutexGuard};

/// How many there may be; `None` is without limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RoomLimits {
    pub vhosts: Option<u64>,
    /// Queues of all vhosts together.
    pub queues: Option<u64>,
    /// Exchanges of all vhosts together, with the seven that are always there and without that of events.
    pub exchanges: Option<u64>,
}

/// The counts of all vhosts.
#[derive(Debug, Default)]
pub struct Room {
    limits: RoomLimits,
    queues: AtomicU64,
    exchanges: AtomicU64,
    /// With limits, one vhost declares at a time, so that two never take the same last place.
    door: Mutex<()>,
}

impl Room {
    pub fn new(limits: RoomLimits) -> Arc<Room> {
        Arc::new(Room { limits, ..Room::default() })
    }

    pub fn limits(&self) -> RoomLimits {
        self.limits
    }

    /// Queues of all vhosts.
    pub fn queues(&self) -> u64 {
        self.queues.load(Relaxed)
    }

    /// Exchanges of all vhosts.
    pub fn exchanges(&self) -> u64 {
        self.exchanges.load(Relaxed)
    }

    /// To be held from the look at what there is until what was declared is counted.
    pub fn enter(&self) -> Option<MutexGuard<'_, ()>> {
        let limited = self.limits.queues.is_some() || self.limits.exchanges.is_some();
        limited.then(|| self.door.lock())
    }

    /// The limit of queues, if it is reached.
    pub fn queues_full(&self) -> Option<u64> {
        self.limits.queues.filter(|max| *max <= self.queues())
    }

    /// The limit of exchanges, if it is reached.
    pub fn exchanges_full(&self) -> Option<u64> {
        self.limits.exchanges.filter(|max| *max <= self.exchanges())
    }
}

/// What one vhost has of it. Changed under the lock of the vhost's topology; what it had goes with it.
#[derive(Debug)]
pub struct Share {
    room: Arc<Room>,
    queues: AtomicU64,
    exchanges: AtomicU64,
}

impl Share {
    pub fn new(room: Arc<Room>) -> Share {
        Share { room, queues: AtomicU64::new(0), exchanges: AtomicU64::new(0) }
    }

    pub fn room(&self) -> &Room {
        &self.room
    }

    /// The vhost has so many now.
    pub fn set(&self, queues: usize, exchanges: usize) {
        let counts = [
            (&self.room.queues, &self.queues, queues as u64),
            (&self.room.exchanges, &self.exchanges, exchanges as u64),
        ];
        for (of_all, own, now) in counts {
            // Wrapping in between: the sum is what it should be.
            of_all.fetch_add(now.wrapping_sub(own.swap(now, Relaxed)), Relaxed);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lim_03_what_all_vhosts_have_is_counted_together() {
        let room = Room::new(RoomLimits { queues: Some(3), exchanges: None, vhosts: None });
        let (one, two) = (Share::new(room.clone()), Share::new(room.clone()));
        one.set(2, 7);
        two.set(1, 8);
        assert_eq!((room.queues(), room.exchanges()), (3, 15));
        assert_eq!((room.queues_full(), room.exchanges_full()), (Some(3), None));
        one.set(1, 6);
        assert_eq!((room.queues(), room.exchanges(), room.queues_full()), (2, 14, None));
        drop(two);
        assert_eq!((room.queues(), room.exchanges()), (1, 6));
    }
}
