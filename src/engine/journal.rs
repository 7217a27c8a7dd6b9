//! What the engine tells the message log, if there is one.

use std::{
    mem::take,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::Waker,
};

use smallvec::smallvec;

use super::duplicates::stand_in;
use crate::{
    broker::{
        Message,
        queue::{
            Kept, Notes,
            returns::{FAILED, GIVEN_BACK},
        },
    },
    store::{DURABLE, Definition, Log, Op, Place, Position, QueueId},
};

/// The log of a node; without one, everything is as durable as it gets at once.
#[derive(Debug, Default)]
pub struct Journal {
    log: Option<Arc<Log>>,
    next_queue: AtomicU64,
    /// The position of the last definition.
    defined: AtomicU64,
}

impl Journal {
    /// `next_queue` is greater than the id of every queue that the log knows.
    pub fn new(log: Option<Arc<Log>>, next_queue: QueueId) -> Journal {
        Journal { log, next_queue: AtomicU64::new(next_queue), defined: AtomicU64::new(DURABLE) }
    }

    /// Whether there is a log at all.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.log.is_some()
    }

    /// A number that no queue of this data directory ever had.
    pub fn next_queue(&self) -> QueueId {
        self.next_queue.fetch_add(1, Relaxed)
    }

    /// Appends changes as one; see [`Log::append`].
    #[inline]
    pub fn append(&self, ops: &mut Vec<Op>, urgent: bool) -> Position {
        match &self.log {
            _ if ops.is_empty() => DURABLE,
            Some(log) => log.append(ops, urgent),
            None => {
                ops.clear();
                DURABLE
            }
        }
    }

    /// Appends definitions; the caller holds the lock that keeps others from changing the same things.
    pub fn define(&self, definitions: impl IntoIterator<Item = Definition>) {
        if self.is_on() {
            let mut ops: Vec<Op> = definitions.into_iter().map(Op::Define).collect();
            let position = self.append(&mut ops, true);
            self.defined.fetch_max(position, Relaxed);
        }
    }

    /// Vhosts whose definitions the log wants once more.
    pub fn take_wanted_definitions(&self) -> Vec<String> {
        self.log.as_ref().map(|log| log.take_wanted_definitions()).unwrap_or_default()
    }

    /// When this is durable, so are all definitions made so far.
    pub fn last_definition(&self) -> Position {
        self.defined.load(Relaxed)
    }

    /// Whether a position is durable; if not, `waker` is woken when it may be.
    pub fn is_durable(&self, position: Position, waker: &Waker) -> bool {
        position == DURABLE || self.log.as_ref().is_none_or(|log| log.is_durable(position, waker))
    }

    /// As [`Journal::is_durable`] for whoever will not wait.
    #[inline]
    pub fn is_durable_now(&self, position: Position) -> bool {
        position == DURABLE || self.log.as_ref().is_none_or(|log| log.is_durable_now(position))
    }

    /// Whether publishers must wait for the log; if so, `waker` is woken when they need not.
    pub fn is_full(&self, waker: &Waker) -> bool {
        self.log.as_ref().is_some_and(|log| log.is_full(waker))
    }

    #[inline]
    pub fn is_full_now(&self) -> bool {
        self.log.as_ref().is_some_and(|log| log.is_full_now())
    }

    /// Why nothing can be made durable any more, if so.
    pub fn failure(&self) -> Option<Arc<str>> {
        self.log.as_ref()?.failure()
    }
}

/// Adds what a queue noted of itself, but for what it kept: that goes with its messages.
pub fn add_notes(ops: &mut Vec<Op>, queue: QueueId, notes: &mut Notes) {
    if let Some(appended) = notes.appended.take() {
        ops.push(Op::Appended { queue, appended });
    }
    if !notes.returned.is_empty() {
        ops.push(Op::Returned { queue, sequences: take(&mut notes.returned), how: FAILED });
    }
    if !notes.given_back.is_empty() {
        ops.push(Op::Returned { queue, sequences: take(&mut notes.given_back), how: GIVEN_BACK });
    }
    if !notes.gone.is_empty() {
        ops.push(Op::Settled { queue, sequences: take(&mut notes.gone) });
    }
}

/// Adds what a deduplicating queue noted of its messages' identities, which are in the log under this number.
#[cold]
pub fn add_identities(ops: &mut Vec<Op>, number: Option<QueueId>, notes: &mut Notes) {
    let (Some(queue), Some(notes)) = (number, notes.identities.take()) else { return };
    for (identity, sequence, deadline) in notes.seen {
        let place = Place { queue, sequence, deadline, returns: 0 };
        ops.push(Op::Message { message: stand_in(&identity), places: smallvec![place] });
    }
    // Also if there are none: then this is for the confirm of a duplicate to wait for.
    ops.push(Op::Settled { queue, sequences: notes.forgotten });
}

/// Adds messages that a queue kept of a published batch.
pub fn add_kept(ops: &mut Vec<Op>, queue: QueueId, kept: &[Kept], published: &[Message]) {
    for Kept { index, sequence, deadline } in kept {
        if let Some(message) = published.get(*index as usize) {
            let place = Place { queue, sequence: *sequence, deadline: *deadline, returns: 0 };
            ops.push(Op::Message { message: message.clone(), places: smallvec![place] });
        }
    }
}
