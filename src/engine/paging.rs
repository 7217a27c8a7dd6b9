//! What waits for the pager: long queues and delays, pages that are wanted, pages that nobody needs.
//!
//! Queues and connections only leave requests here; the pager takes them all at once, on a thread of its own.

use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::Waker,
    time::Duration,
};

use parking_lot::{Condvar, Mutex};

use super::{DelayRef, Holder, QueueRef, SharedDelay, SharedQueue};
use crate::broker::queue::{Entry, PageId};

/// Octets of resident messages from which on a queue is worth looking at.
pub const LONG: u64 = 256 << 10;

/// Something to do for who holds messages.
#[derive(Debug)]
pub enum PageRequest {
    /// Read a page.
    Fetch(Holder, PageId),
    /// A page is not needed any more, and its messages are gone, as the log knows.
    Drop(Holder, PageId),
    /// Tell what is in a page from before a restart.
    Index(DelayRef, PageId),
    /// Somebody wants to look into a page.
    Look(DelayRef, PageId, Reader),
}

/// Gets what is in a page; nothing if it is not there any more.
pub struct Reader(pub Box<dyn FnOnce(Vec<Entry>) + Send>);

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reader")
    }
}

/// Requests for the pager.
#[derive(Debug, Default)]
pub struct Paging {
    /// Whether there is a pager; without one no queue has pages.
    is_on: bool,
    state: Mutex<State>,
    work: Condvar,
    /// Messages come faster than they can be moved to disk.
    is_behind: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    requests: Vec<PageRequest>,
    long: Vec<Weak<SharedQueue>>,
    long_delays: Vec<Weak<SharedDelay>>,
    closing: bool,
    /// Publishers that wait until the pager has caught up.
    waiting: Vec<Waker>,
}

/// Whether a queue is on the list of long ones.
#[derive(Debug, Default)]
pub struct IsLong(AtomicBool);

impl Paging {
    pub fn new(is_on: bool) -> Paging {
        Paging { is_on, ..Paging::default() }
    }

    /// Notes that a queue has become long.
    #[inline]
    pub fn note_length(&self, queue: &QueueRef, resident: u64) {
        if self.is_on
            && LONG < resident
            && !queue.is_long.0.load(Relaxed)
            && !queue.is_long.0.swap(true, Relaxed)
        {
            self.state.lock().long.push(Arc::downgrade(&queue.0));
        }
    }

    /// Notes that many messages wait.
    pub fn note_delay(&self, delay: &DelayRef, resident: u64) {
        if self.is_on && LONG < resident && !delay.is_long.0.swap(true, Relaxed) {
            self.state.lock().long_delays.push(Arc::downgrade(&delay.0));
        }
    }

    /// Takes those that have become long since the last time.
    pub fn take_long(&self) -> Vec<Holder> {
        let mut state = self.state.lock();
        let (queues, delays) = (std::mem::take(&mut state.long), std::mem::take(&mut state.long_delays));
        drop(state);
        let queues = queues.iter().filter_map(Weak::upgrade).map(|queue| Holder::Queue(QueueRef(queue)));
        let delays = delays.iter().filter_map(Weak::upgrade).map(|delay| Holder::Delay(DelayRef(delay)));
        queues.chain(delays).collect()
    }

    /// One is short again; it will be noted anew when it is not.
    pub fn forget_long(&self, holder: &Holder) {
        let is_long = match holder {
            Holder::Queue(queue) => &queue.is_long,
            Holder::Delay(delay) => &delay.is_long,
        };
        is_long.0.store(false, Relaxed);
    }

    pub fn request(&self, requests: impl IntoIterator<Item = PageRequest>) {
        let mut requests = requests.into_iter().peekable();
        if requests.peek().is_none() {
            return;
        }
        let mut state = self.state.lock();
        state.requests.extend(requests);
        drop(state);
        self.work.notify_one();
    }

    /// Takes all requests, waiting for one at most so long. `None` when the pager is to end, and the last
    /// request was taken.
    pub fn wait(&self, patience: Duration) -> Option<Vec<PageRequest>> {
        let mut state = self.state.lock();
        if state.requests.is_empty() && !state.closing {
            self.work.wait_for(&mut state, patience);
        }
        (!state.closing || !state.requests.is_empty()).then(|| std::mem::take(&mut state.requests))
    }

    /// Says whether publishers must wait for the pager, and wakes those who waited when they need not.
    pub fn set_behind(&self, is_behind: bool) {
        if self.is_behind.load(Relaxed) == is_behind {
            return;
        }
        let mut state = self.state.lock();
        self.is_behind.store(is_behind, Relaxed);
        let waiting = if is_behind { Vec::new() } else { std::mem::take(&mut state.waiting) };
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Whether publishers must wait for the pager; then `waker` is woken when they need not.
    pub fn is_behind(&self, waker: &Waker) -> bool {
        if !self.is_behind.load(Relaxed) {
            return false;
        }
        let mut state = self.state.lock();
        // It changes under this lock only.
        let is_behind = self.is_behind.load(Relaxed);
        if is_behind && !state.waiting.iter().any(|known| known.will_wake(waker)) {
            state.waiting.push(waker.clone());
        }
        is_behind
    }

    /// As [`Paging::is_behind`] for whoever will ask again anyway.
    #[inline]
    pub fn is_behind_now(&self) -> bool {
        self.is_behind.load(Relaxed)
    }

    /// Ends the pager; nobody waits for it any more.
    pub fn close(&self) {
        self.set_behind(false);
        self.state.lock().closing = true;
        self.work.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::queue::{QueueProperties, SharedQueue};

    #[test]
    fn what_was_asked_for_before_the_end_is_taken() {
        let paging = Paging::new(true);
        let properties = QueueProperties {
            durable: true,
            auto_delete: false,
            owner: None,
            arguments: Arc::default(),
            identities: None,
        };
        let vhost: Arc<str> = "/".into();
        let queue = SharedQueue::new(1, "q", &vhost, properties, Default::default(), 0);
        paging.request([PageRequest::Drop(Holder::Queue(QueueRef(Arc::new(queue))), PageId(7))]);
        paging.close();
        let taken = paging.wait(Duration::ZERO).unwrap();
        assert!(matches!(&taken[..], [PageRequest::Drop(_, PageId(7))]), "{taken:?}");
        assert!(paging.wait(Duration::ZERO).is_none());
    }
}
