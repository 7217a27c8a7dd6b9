//! The inbox of a connection: where queues and other connections leave what is for it.
//!
//! A queue pushes whole batches under its own lock, so that order holds; the inbox's lock is shorter still.
//! The connection's task takes everything at once and is woken once.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Poll, Waker},
};

use parking_lot::Mutex;

use super::Describe;
use crate::{
    amqp::Failure,
    broker::{
        Message,
        queue::{Entry, Outlet, Wakes},
    },
};

/// Octets of direct replies that wait for a requester that does not read; later ones are dropped, as
/// replies are never stored (BAS-84).
pub const REPLY_BYTES_MAX: u64 = 16 << 20;

/// Names a consumer of a connection. Never reused within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConsumerId {
    /// Index into the session's consumers.
    pub slot: u32,
    pub generation: u32,
}

/// A message on its way to a consumer.
#[derive(Debug)]
pub struct Delivery {
    pub consumer: ConsumerId,
    pub entry: Entry,
}

/// Something other than a message of a queue. Signals come after the deliveries that were pushed before.
#[derive(Debug)]
pub enum Signal {
    /// The consumer's queue is gone (BAS-29).
    Cancelled(ConsumerId),
    /// A direct reply (BAS-83).
    Reply { consumer: ConsumerId, message: Message },
    /// Close the connection, telling the client why (CON-82).
    Close(Failure),
    /// Somebody wants to know how it stands.
    Describe(Describe),
}

/// Everything that was taken out at once.
#[derive(Debug, Default)]
pub struct Taken {
    pub deliveries: VecDeque<Delivery>,
    pub signals: Vec<Signal>,
    /// Direct replies that were dropped since the last time.
    pub dropped_replies: u64,
}

impl Taken {
    pub fn is_empty(&self) -> bool {
        self.deliveries.is_empty() && self.signals.is_empty()
    }
}

#[derive(Debug, Default)]
struct State {
    taken: Taken,
    reply_bytes: u64,
    waker: Option<Waker>,
}

/// One connection's inbox.
#[derive(Debug, Default)]
pub struct Inbox {
    state: Mutex<State>,
}

impl Inbox {
    /// Takes everything, leaving the (empty) buffers of `taken` for the next push.
    ///
    /// `Pending` when there is nothing; then `waker` is woken by the next push.
    pub fn take(&self, taken: &mut Taken, waker: &Waker) -> Poll<()> {
        debug_assert!(taken.is_empty());
        let mut state = self.state.lock();
        if state.taken.is_empty() {
            if state.waker.as_ref().is_none_or(|known| !known.will_wake(waker)) {
                state.waker = Some(waker.clone());
            }
            return Poll::Pending;
        }
        std::mem::swap(&mut state.taken, taken);
        state.reply_bytes = 0;
        Poll::Ready(())
    }

    /// Adds everything to what was taken before, without waiting for more.
    pub fn take_now(&self, taken: &mut Taken) {
        let mut state = self.state.lock();
        taken.deliveries.append(&mut state.taken.deliveries);
        taken.signals.append(&mut state.taken.signals);
        taken.dropped_replies += std::mem::take(&mut state.taken.dropped_replies);
        state.reply_bytes = 0;
    }

    /// Gives back memory that only traffic needs.
    pub fn shrink(&self) {
        let mut state = self.state.lock();
        if state.taken.is_empty() {
            state.taken = Taken::default();
        }
    }

    /// Leaves a signal and wakes the connection. False when it is a reply too many, which is dropped.
    pub fn signal(&self, signal: Signal) -> bool {
        let waker = {
            let mut state = self.state.lock();
            if let Signal::Reply { message, .. } = &signal {
                if REPLY_BYTES_MAX < state.reply_bytes {
                    state.taken.dropped_replies += 1;
                    return false;
                }
                // Bookkeeping counts too, so that empty replies are bounded as well.
                state.reply_bytes += message.body_length() + 256;
            }
            state.taken.signals.push(signal);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// Wakes the connection to look at what changed elsewhere.
    pub fn wake(&self) {
        let waker = self.state.lock().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Where a queue leaves the messages of one consumer.
#[derive(Debug, Clone)]
pub struct ConsumerOutlet {
    pub inbox: Arc<Inbox>,
    pub consumer: ConsumerId,
}

impl Outlet for ConsumerOutlet {
    fn deliver(&self, batch: &mut Vec<Entry>, wakes: &mut Wakes) {
        let mut state = self.inbox.state.lock();
        let consumer = self.consumer;
        state.taken.deliveries.extend(batch.drain(..).map(|entry| Delivery { consumer, entry }));
        wakes.extend(state.waker.take());
    }
}
