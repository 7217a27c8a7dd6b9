//! What waits for the pager: long queues, pages that are wanted, pages that nobody needs.
//!
//! Queues and connections only leave requests here; the pager takes them all at once, on a thread of its own.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use parking_lot::{Condvar, Mutex};

use super::{QueueRef, SharedQueue};
use crate::broker::queue::PageId;

/// Octets of resident messages from which on a queue is worth looking at.
pub const LONG: u64 = 256 << 10;

/// Something to do for a queue.
#[derive(Debug)]
pub enum PageRequest {
    /// Read a page.
    Fetch(QueueRef, PageId),
    /// A page is not needed any more, and its messages are gone, as the log knows.
    Drop(QueueRef, PageId),
}

/// Requests for the pager.
#[derive(Debug, Default)]
pub struct Paging {
    /// Whether there is a pager; without one no queue has pages.
    is_on: bool,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Debug, Default)]
struct State {
    requests: Vec<PageRequest>,
    long: Vec<Weak<SharedQueue>>,
    closing: bool,
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

    /// Takes the queues that have become long since the last time.
    pub fn take_long(&self) -> Vec<QueueRef> {
        let long = std::mem::take(&mut self.state.lock().long);
        long.iter().filter_map(Weak::upgrade).map(QueueRef).collect()
    }

    /// A queue is short again; it will be noted anew when it is not.
    pub fn forget_long(&self, queue: &QueueRef) {
        queue.is_long.0.store(false, Relaxed);
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

    /// Ends the pager.
    pub fn close(&self) {
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
            arguments: crate::broker::queue_arguments::QueueArguments::default(),
        };
        let vhost: Arc<str> = "/".into();
        let queue = SharedQueue::new(1, "q", &vhost, properties, Default::default(), 0);
        paging.request([PageRequest::Drop(QueueRef(Arc::new(queue)), PageId(7))]);
        paging.close();
        let taken = paging.wait(Duration::ZERO).unwrap();
        assert!(matches!(&taken[..], [PageRequest::Drop(_, PageId(7))]), "{taken:?}");
        assert!(paging.wait(Duration::ZERO).is_none());
    }
}
