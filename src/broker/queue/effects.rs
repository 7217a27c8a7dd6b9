//! What an operation asks its caller to do once the lock is gone.

use std::task::Waker;

use smallvec::SmallVec;

use super::{
    Entry, IdentityNotes, PageId,
    stream::{Appended, StreamWork},
};
use crate::broker::Millis;

/// Connections to wake once the lock is gone.
pub type Wakes = SmallVec<[Waker; 4]>;

/// Why a message left without being consumed (DLX-01).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    Rejected,
    Expired,
    MaxLength,
    /// Given back too often (QQ-04).
    DeliveryLimit,
}

/// What an operation asks its caller to do once the lock is gone.
#[derive(Debug, Default)]
pub struct Effects {
    pub wakes: Wakes,
    /// Messages to publish to the dead-letter exchange, in queue order; empty without one. Those that are
    /// `logged` are to be noted as gone only after their copies are noted as kept.
    pub dead: Vec<(Entry, Death)>,
    pub log: Notes,
    /// Pages to read; each is to be answered by `paged_in` or `page_lost`.
    pub fetch: SmallVec<[PageId; 2]>,
    /// Pages on disk that nobody needs any more, although no message of theirs was noted as gone.
    pub dropped_pages: Vec<PageId>,
    /// What a stream asks for.
    pub stream: Option<Box<StreamWork>>,
}

impl Effects {
    /// What a stream asks for, to be added to.
    #[cold]
    pub(super) fn stream(&mut self) -> &mut StreamWork {
        self.stream.get_or_insert_default()
    }

    /// Wakes everybody who got something.
    pub fn wake_all(&mut self) {
        for waker in self.wakes.drain(..) {
            waker.wake();
        }
    }
}

/// What the log must learn of logged entries; to be noted in the order of the fields.
///
/// Settlements are not in here: whoever settles knows what.
#[derive(Debug, Default)]
pub struct Notes {
    pub kept: Vec<Kept>,
    /// Requeued, by sequence number, in a way that counts against delivery limits.
    pub returned: Vec<u64>,
    /// Requeued in a way that does not.
    pub given_back: Vec<u64>,
    /// Left for good by the queue's own doing, by sequence number, in no particular order.
    pub gone: Vec<u64>,
    /// Of a deduplicating queue, when there is anything to say.
    pub identities: Option<Box<IdentityNotes>>,
    /// What a stream took in.
    pub appended: Option<Appended>,
}

/// A published message that stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Its place in the published batch.
    pub index: u32,
    pub sequence: u64,
    pub deadline: Millis,
}

impl Notes {
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
            && self.returned.is_empty()
            && self.given_back.is_empty()
            && self.gone.is_empty()
            && self.identities.is_none()
            && self.appended.is_none()
    }

    pub(super) fn keep(&mut self, index: usize, entry: &Entry) {
        // A batch is bounded far below.
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        self.kept.push(Kept { index, sequence: entry.sequence, deadline: entry.deadline });
    }

    #[inline]
    pub(super) fn lose(&mut self, entry: &Entry) {
        if entry.logged {
            self.gone.push(entry.sequence);
        }
    }

    /// What came with the batch just published, from sequence number `fresh_from` on, and left with it need
    /// never be written.
    #[inline]
    pub(super) fn forget_passing(&mut self, fresh_from: u64) {
        if !self.kept.is_empty() && !self.gone.is_empty() {
            self.cancel_out(fresh_from);
        }
    }

    fn cancel_out(&mut self, fresh_from: u64) {
        // Sorted already, but for priorities: what is kept always is.
        self.gone.sort_unstable();
        let old = self.gone.partition_point(|sequence| *sequence < fresh_from);
        let mut passing = self.gone.drain(old..).peekable();
        if passing.peek().is_some() {
            self.kept.retain(|kept| passing.next_if_eq(&kept.sequence).is_none());
        }
    }
}
