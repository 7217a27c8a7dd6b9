//! The log as the rest of the broker sees it: changes go in, positions come out, and who waits is woken.
//!
//! Appending is a push onto a list under a short lock; encoding and writing are the writer's. What is
//! appended in one call is never torn apart by a crash: either all of it is found at the next start or none.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::Waker,
    time::Duration,
};

use parking_lot::{Condvar, Mutex};

use super::{
    contents,
    definition::{Definition, QueueId},
    record::{PageRecord, Places},
};
use crate::broker::{Message, queue::stream::Appended};

/// A point in the life of this process's log: everything appended up to there becomes durable together.
pub type Position = u64;

/// The position of what needs no log; always durable.
pub const DURABLE: Position = 0;
/// The position of what will never be durable.
const NEVER: Position = u64::MAX;

/// A change to be logged.
#[derive(Debug)]
pub enum Op {
    /// A message has its places in queues.
    Message {
        message: Message,
        places: Places,
    },
    /// Messages of a queue are done with.
    Settled {
        queue: QueueId,
        sequences: Vec<u64>,
    },
    /// Deliveries came back to their queue: what is added to their number of returns.
    Returned {
        queue: QueueId,
        sequences: Vec<u64>,
        how: u32,
    },
    Define(Definition),
    /// A stream took messages in, which are in the same call; whoever asked is told once they are durable.
    Appended {
        queue: QueueId,
        appended: Appended,
    },
    /// A page of a queue was written and synced.
    Page(PageRecord),
    /// A queue needs a page no more.
    PageReleased {
        queue: QueueId,
        page: u64,
    },
    /// A queue threw a page away with everything in it; the writer finds out what that was.
    PageDropped {
        queue: QueueId,
        page: u64,
        live: Vec<(u64, u64)>,
    },
    /// The last thing that happens in a broker that stops in order.
    CleanStop,
    /// Damage in segments before the one that is written to need not be accepted again.
    Accepted,
}

impl Op {
    /// Octets it takes in memory and in the log, about.
    fn weight(&self) -> usize {
        match self {
            Op::Message { message, places } => contents::encoded_length_max(message) + places.len() * 24,
            Op::Settled { sequences, .. } | Op::Returned { sequences, .. } => 32 + sequences.len() * 8,
            Op::Define(_) | Op::Page(_) => 512,
            Op::PageReleased { .. }
            | Op::PageDropped { .. }
            | Op::CleanStop
            | Op::Accepted
            | Op::Appended { .. } => 32,
        }
    }

    /// Whether somebody waits for it beside who appends it.
    fn is_urgent(&self) -> bool {
        matches!(self, Op::Appended { appended, .. } if appended.urgent)
    }
}

/// Changes that nobody waits for are written after this time, or when there are so many octets of them.
const GATHER: Duration = Duration::from_millis(20);
const GATHER_MAX: usize = 256 << 10;
/// Octets of changes that may wait to be written before publishers must wait.
const PENDING_MAX: usize = 32 << 20;

/// Everybody's handle on the log.
#[derive(Debug)]
pub struct Log {
    pending: Mutex<Pending>,
    work: Condvar,
    durable: AtomicU64,
    pending_bytes: AtomicUsize,
    failed: AtomicBool,
}

#[derive(Debug)]
struct Pending {
    ops: Vec<Op>,
    /// Octets of changes not yet written, and how many of them the writer has taken.
    bytes: usize,
    taken: usize,
    /// Where what is appended next belongs.
    position: Position,
    /// The last position that somebody waits for.
    urgent: Position,
    waiters: Vec<Waker>,
    closing: bool,
    /// The clean stop was noted, behind which nothing may follow.
    is_sealed: bool,
    failure: Option<Arc<str>>,
    /// Vhosts whose definitions the writer wants again.
    wanted: Vec<String>,
    wait: Wait,
}

/// What the writer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    No,
    /// The first change.
    Anything,
    /// Something urgent, or much.
    Much,
}

/// What the writer gets in one go.
#[derive(Debug, Default)]
pub struct Taken {
    pub ops: Vec<Op>,
    pub position: Position,
    /// Whether anybody waits for this to be durable, or for something before it.
    pub urgent: bool,
    pub closing: bool,
}

impl Default for Log {
    fn default() -> Log {
        Log::new()
    }
}

impl Log {
    /// An open log that nothing waits in.
    pub fn new() -> Log {
        let pending = Pending {
            ops: Vec::new(),
            bytes: 0,
            taken: 0,
            position: 1,
            urgent: DURABLE,
            waiters: Vec::new(),
            closing: false,
            is_sealed: false,
            failure: None,
            wanted: Vec::new(),
            wait: Wait::No,
        };
        Log {
            pending: Mutex::new(pending),
            work: Condvar::new(),
            durable: AtomicU64::new(DURABLE),
            pending_bytes: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
        }
    }

    /// Appends changes, in order and as one; `ops` is empty afterwards and keeps its memory. With `urgent`
    /// they are made durable at once, else when somebody waits or after a moment.
    pub fn append(&self, ops: &mut Vec<Op>, urgent: bool) -> Position {
        if ops.is_empty() {
            return DURABLE;
        }
        let (mut bytes, mut urgent) = (0, urgent);
        for op in ops.iter() {
            bytes += op.weight();
            urgent |= op.is_urgent();
        }
        let (position, wake) = {
            let mut pending = self.pending.lock();
            if pending.failure.is_some() || pending.is_sealed {
                ops.clear();
                return NEVER;
            }
            // What a timer still does after that happens again after the next start.
            pending.is_sealed = matches!(ops.last(), Some(Op::CleanStop));
            pending.ops.append(ops);
            pending.bytes += bytes;
            self.pending_bytes.store(pending.bytes, Ordering::Relaxed);
            if urgent {
                pending.urgent = pending.position;
            }
            let wake = match pending.wait {
                Wait::No => false,
                Wait::Anything => true,
                Wait::Much => urgent || GATHER_MAX <= pending.bytes,
            };
            if wake {
                pending.wait = Wait::No;
            }
            (pending.position, wake)
        };
        if wake {
            self.work.notify_one();
        }
        position
    }

    /// Whether everything up to a position is durable. If not, `waker` is woken when it may be.
    pub fn is_durable(&self, position: Position, waker: &Waker) -> bool {
        if position <= self.durable.load(Ordering::Acquire) {
            return true;
        }
        let wake = {
            let mut pending = self.pending.lock();
            // Looked at again under the lock: the writer moves it on before it takes the waiters.
            if position <= self.durable.load(Ordering::Acquire) {
                return true;
            }
            if pending.waiters.last().is_none_or(|last| !last.will_wake(waker)) {
                pending.waiters.push(waker.clone());
            }
            if pending.urgent < position && position != NEVER {
                pending.urgent = position;
                std::mem::replace(&mut pending.wait, Wait::No) != Wait::No
            } else {
                false
            }
        };
        if wake {
            self.work.notify_one();
        }
        false
    }

    /// As [`Log::is_durable`] for whoever will not wait.
    #[inline]
    pub fn is_durable_now(&self, position: Position) -> bool {
        position <= self.durable.load(Ordering::Acquire)
    }

    /// Whether so much waits to be written that publishers must wait, too; then `waker` is woken when it was.
    pub fn is_full(&self, waker: &Waker) -> bool {
        if self.pending_bytes.load(Ordering::Relaxed) < PENDING_MAX {
            return false;
        }
        let mut pending = self.pending.lock();
        if pending.bytes < PENDING_MAX {
            return false;
        }
        pending.waiters.push(waker.clone());
        true
    }

    /// As [`Log::is_full`] for whoever will ask again anyway.
    #[inline]
    pub fn is_full_now(&self) -> bool {
        PENDING_MAX <= self.pending_bytes.load(Ordering::Relaxed)
    }

    /// Why the log takes nothing any more, if so.
    pub fn failure(&self) -> Option<Arc<str>> {
        if !self.failed.load(Ordering::Acquire) {
            return None;
        }
        self.pending.lock().failure.clone()
    }

    /// Asks the writer to finish what is there and return.
    pub fn close(&self) {
        self.pending.lock().closing = true;
        self.work.notify_one();
    }

    /// Vhosts whose definitions should be appended anew, each under a [`Definition::Reset`], so that the
    /// oldest segment can go.
    pub fn take_wanted_definitions(&self) -> Vec<String> {
        std::mem::take(&mut self.pending.lock().wanted)
    }

    pub(super) fn want_definitions(&self, vhosts: Vec<String>) {
        self.pending.lock().wanted = vhosts;
    }

    /// Takes what waits. With `patience` it waits for something first: for a moment if changes are there that
    /// nobody waits for, so that they gather, else for as long as it is told. `unsynced` says that something
    /// written waits to be synced.
    pub(super) fn take(&self, spare: Vec<Op>, patience: Option<Duration>, unsynced: bool) -> Taken {
        debug_assert!(spare.is_empty());
        let mut pending = self.pending.lock();
        if let Some(patience) = patience {
            if pending.ops.is_empty() && !unsynced && !pending.closing && !self.has_urgent(&pending) {
                pending.wait = Wait::Anything;
                self.work.wait_for(&mut pending, patience);
            }
            if pending.bytes < GATHER_MAX && !pending.closing && !self.has_urgent(&pending) {
                pending.wait = Wait::Much;
                self.work.wait_for(&mut pending, patience.min(GATHER));
            }
            pending.wait = Wait::No;
        }
        let urgent = self.has_urgent(&pending);
        let position = pending.position;
        let ops = std::mem::replace(&mut pending.ops, spare);
        pending.position += 1;
        pending.taken = pending.bytes;
        Taken { ops, position, urgent, closing: pending.closing }
    }

    fn has_urgent(&self, pending: &Pending) -> bool {
        self.durable.load(Ordering::Relaxed) < pending.urgent
    }

    /// What was taken is written; with `durable`, everything up to there is on disk. Wakes who waits.
    pub(super) fn done(&self, durable: Option<Position>) {
        let waiters = {
            let mut pending = self.pending.lock();
            pending.bytes -= std::mem::take(&mut pending.taken);
            self.pending_bytes.store(pending.bytes, Ordering::Relaxed);
            if let Some(position) = durable {
                self.durable.store(position, Ordering::Release);
            }
            std::mem::take(&mut pending.waiters)
        };
        waiters.into_iter().for_each(Waker::wake);
    }

    /// The log is broken: nothing is durable from here on.
    pub fn fail(&self, reason: &str) {
        let (waiters, ops) = {
            let mut pending = self.pending.lock();
            pending.failure = Some(reason.into());
            self.failed.store(true, Ordering::Release);
            (pending.bytes, pending.taken) = (0, 0);
            self.pending_bytes.store(0, Ordering::Relaxed);
            (std::mem::take(&mut pending.waiters), std::mem::take(&mut pending.ops))
        };
        drop(ops);
        waiters.into_iter().for_each(Waker::wake);
    }
}
