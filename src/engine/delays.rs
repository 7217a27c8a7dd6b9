//! Messages that wait in delayed exchanges (EXC-88 to EXC-90), each exchange's behind a lock of its own.
//!
//! To the log such an exchange is a queue that nobody consumes from: a message that waits has a place in it, and
//! when its time comes the places it gets in queues are noted together with the end of that one.

use std::{
    mem::take,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use parking_lot::{Mutex, RwLock};

use super::{Holder, Node, PageRequest, add_kept, add_notes, dead_letters, paging::IsLong};
use crate::{
    broker::{
        Message, Millis,
        delay::{Delay, Due, Listed, Waiting, released},
        memory::Account,
        queue::{Effects, Kept},
    },
    store::{Op, Position, QueueId},
};

/// Messages that are routed before their targets are told and others get a turn.
const RELEASE_MAX: usize = 1024;

/// The waiting messages of an exchange, shared by connections.
#[derive(Debug)]
pub struct SharedDelay {
    /// Unique within the node, also among its queues, and in its log for ever.
    pub number: QueueId,
    pub exchange: Arc<str>,
    pub vhost: Arc<str>,
    pub(super) state: Mutex<Delay>,
    pub(super) is_long: IsLong,
    /// The deadline that the timers know; `u64::MAX` when none.
    armed: AtomicU64,
}

/// A handle on the waiting messages of an exchange.
#[derive(Debug, Clone)]
pub struct DelayRef(pub Arc<SharedDelay>);

impl Deref for DelayRef {
    type Target = SharedDelay;

    fn deref(&self) -> &SharedDelay {
        &self.0
    }
}

impl PartialEq for DelayRef {
    fn eq(&self, other: &DelayRef) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl DelayRef {
    pub fn new(
        number: QueueId,
        exchange: &str,
        vhost: &Arc<str>,
        durable: bool,
        account: Account,
    ) -> DelayRef {
        DelayRef(Arc::new(SharedDelay {
            number,
            exchange: exchange.into(),
            vhost: vhost.clone(),
            state: Mutex::new(Delay::new(durable, account)),
            is_long: IsLong::default(),
            armed: AtomicU64::new(Millis::MAX),
        }))
    }
}

impl SharedDelay {
    /// True when `deadline` is earlier than what the timers know; they must be told then.
    pub(super) fn arm_before(&self, deadline: Millis) -> bool {
        deadline < self.armed.fetch_min(deadline, Relaxed)
    }

    pub(super) fn disarm(&self) {
        self.armed.store(Millis::MAX, Relaxed);
    }

    pub fn waiting(&self) -> Waiting {
        self.state.lock().waiting()
    }

    /// What waits, the first due first.
    pub fn list(&self, skip: usize, most: usize) -> Vec<Listed> {
        self.state.lock().list(skip, most)
    }
}

/// The delayed exchanges of a vhost. Its lock is held for moments, under that of the topology.
#[derive(Debug, Default)]
pub struct Delays {
    by_exchange: RwLock<HashMap<Arc<str>, DelayRef, RandomState>>,
}

impl Delays {
    pub fn add(&self, delay: DelayRef) {
        self.by_exchange.write().insert(delay.exchange.clone(), delay);
    }

    pub fn of(&self, exchange: &str) -> Option<DelayRef> {
        self.by_exchange.read().get(exchange).cloned()
    }

    pub fn all(&self) -> Vec<DelayRef> {
        self.by_exchange.read().values().cloned().collect()
    }

    pub fn remove(&self, exchange: &str) -> Option<DelayRef> {
        self.by_exchange.write().remove(exchange)
    }
}

impl Node {
    /// Operates on waiting messages under their lock, then performs what was asked for. What the log must learn
    /// is added to `ops`, but for the messages that were kept.
    pub fn with_delay<R>(
        &self,
        delay: &DelayRef,
        ops: &mut Vec<Op>,
        operation: impl FnOnce(&mut Delay, &mut Effects) -> R,
    ) -> R {
        let mut effects = Effects::default();
        let (result, deadline) = {
            let mut state = delay.state.lock();
            let result = operation(&mut state, &mut effects);
            self.paging.note_delay(delay, state.resident_cost());
            (result, state.next_deadline())
        };
        if self.journal.is_on() {
            // The pager comes to it later than whoever waits for what is logged now.
            let dropped = effects.dropped_pages.iter();
            let queue = delay.number;
            ops.extend(dropped.map(|page| Op::PageDropped { queue, page: page.0, live: Vec::new() }));
        }
        let holder = || Holder::Delay(delay.clone());
        let fetch = effects.fetch.drain(..).map(|page| PageRequest::Fetch(holder(), page));
        let dropped = effects.dropped_pages.drain(..).map(|page| PageRequest::Drop(holder(), page));
        self.paging.request(fetch.chain(dropped));
        if let Some(deadline) = deadline {
            self.timers.arm_delay(delay, deadline);
        }
        add_notes(ops, delay.number, &mut effects.log);
        result
    }

    /// Lets messages wait; what the log is to keep of them is the caller's to note.
    pub fn hold(&self, delay: &DelayRef, batch: impl IntoIterator<Item = (Message, Millis)>) -> Vec<Kept> {
        let mut ops = Vec::new();
        let kept = self.with_delay(delay, &mut ops, |delay, effects| {
            delay.hold(batch, effects);
            take(&mut effects.log.kept)
        });
        debug_assert!(ops.is_empty(), "a message that begins to wait ends nothing");
        kept
    }

    /// As [`Node::hold`] for one message, noted in `ops`.
    pub(super) fn hold_one(&self, delay: &DelayRef, message: &Message, at: Millis, ops: &mut Vec<Op>) {
        let kept = self.hold(delay, [(message.clone(), at)]);
        add_kept(ops, delay.number, &kept, std::slice::from_ref(message));
    }

    /// Routes what is due; the rest has armed the timer again. A message that reaches no queue is dropped, as one
    /// that is published is.
    pub fn release(&self, delay: &DelayRef, now: Millis) {
        let mut ops = Vec::new();
        let due =
            self.with_delay(delay, &mut ops, |delay, effects| delay.take_due(now, RELEASE_MAX, effects));
        if let Some(vhost) = self.vhost(&delay.vhost).filter(|_| !due.is_empty()) {
            let (mut arrivals, mut scratch) = (Vec::new(), Vec::new());
            for entry in &due {
                let message = released(&entry.message, &mut scratch);
                let routed = vhost.route_message(&delay.exchange, &message, now);
                for queue in self.accept(routed, &message, &mut ops) {
                    dead_letters::add(&mut arrivals, queue, message.clone());
                }
            }
            for (queue, messages) in arrivals {
                let (dead, _refused) = dead_letters::arrive(self, &queue, messages, now, &mut ops);
                if !dead.is_empty() {
                    dead_letters::bury(self, &queue, dead, now, &mut ops);
                }
            }
        }
        let gone: Vec<u64> = due.iter().filter(|entry| entry.logged).map(|entry| entry.sequence).collect();
        if !gone.is_empty() {
            // After its copies, and in one go with them: no crash finds both or neither.
            ops.push(Op::Settled { queue: delay.number, sequences: gone });
        }
        self.journal.append(&mut ops, false);
    }

    /// Drops a message that waits; `None` when it is not there any more. It is gone for good when the position is
    /// durable.
    pub fn cancel_delayed(&self, delay: &DelayRef, due: Due) -> Option<Position> {
        let mut ops = Vec::new();
        let found = self.with_delay(delay, &mut ops, |delay, effects| delay.cancel(due, effects));
        let position = self.journal.append(&mut ops, true);
        found.then_some(position)
    }

    /// Drops everything that waits; says how much that was.
    pub fn cancel_all_delayed(&self, delay: &DelayRef) -> (u64, Position) {
        let mut ops = Vec::new();
        let count = self.with_delay(delay, &mut ops, |delay, effects| delay.cancel_all(effects));
        (count, self.journal.append(&mut ops, true))
    }
}
