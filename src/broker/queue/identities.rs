//! The identities of the messages in a deduplicating queue: a message whose identity is there already is not taken
//! (QUE-43).
//!
//! An identity is there from the publish until its message is settled or dropped; also while that is on disk.

use std::collections::BTreeMap;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::{Effects, Entry, Outlet, Queue};
use crate::broker::{
    Message, Millis,
    death::extras,
    identity::{Identity, identity},
};

/// The identities in a queue.
#[derive(Debug, Default)]
pub struct Identities {
    /// The last message with each, and when that expires: then it is as good as gone (TTL-02).
    held: HashMap<Identity, (u64, Millis), RandomState>,
    by_sequence: BTreeMap<u64, (Identity, Logged)>,
}

/// Whether the log knows a message, and so its identity.
type Logged = bool;

/// What the log must learn of identities.
#[derive(Debug, Default)]
pub struct IdentityNotes {
    /// With the sequence and the deadline of its message.
    pub seen: Vec<(Identity, u64, Millis)>,
    /// By their messages' sequences.
    pub forgotten: Vec<u64>,
}

impl Identities {
    fn holds(&self, identity: &Identity, now: Millis) -> bool {
        self.held.get(identity).is_some_and(|(_, deadline)| now < *deadline)
    }

    fn insert(&mut self, identity: Identity, sequence: u64, deadline: Millis, logged: Logged) {
        self.held.insert(identity.clone(), (sequence, deadline));
        self.by_sequence.insert(sequence, (identity, logged));
    }

    /// A message is gone; `Some` if it had an identity.
    fn remove(&mut self, sequence: u64) -> Option<Logged> {
        let (identity, logged) = self.by_sequence.remove(&sequence)?;
        // A later message may have the same one, when this had expired.
        if self.held.get(&identity).is_some_and(|(holder, _)| *holder == sequence) {
            self.held.remove(&identity);
        }
        Some(logged)
    }
}

impl<O: Outlet> Queue<O> {
    /// The identity of a message, if that matters here.
    #[inline]
    pub(super) fn identity(&self, message: &Message) -> Option<Identity> {
        self.identities.as_ref()?;
        extras(message).headers.and_then(identity)
    }

    /// Whether a message with this identity is here. Nothing is to be logged then, but whoever is told that the
    /// duplicate was taken care of must wait until the log has what is there.
    pub(super) fn is_duplicate(&self, identity: &Identity, now: Millis, effects: &mut Effects) -> bool {
        let is_held = self.identities.as_ref().is_some_and(|identities| identities.holds(identity, now));
        if is_held {
            effects.log.identities.get_or_insert_default();
        }
        is_held
    }

    pub(super) fn identify(&mut self, identity: Identity, entry: &Entry, effects: &mut Effects) {
        let Some(identities) = &mut self.identities else { return };
        let Entry { sequence, deadline, logged, .. } = *entry;
        if logged {
            let seen = (identity.clone(), sequence, deadline);
            effects.log.identities.get_or_insert_default().seen.push(seen);
        }
        identities.insert(identity, sequence, deadline, logged);
    }

    /// A message has left for good.
    #[inline]
    pub(super) fn forget_identity(&mut self, sequence: u64, effects: &mut Effects) {
        if let Some(identities) = &mut self.identities
            && identities.remove(sequence) == Some(true)
        {
            effects.log.identities.get_or_insert_default().forgotten.push(sequence);
        }
    }

    /// Deliveries are settled: messages with their identities are welcome again.
    pub fn forget_settled(&mut self, sequences: &[u64], effects: &mut Effects) {
        sequences.iter().for_each(|sequence| self.forget_identity(*sequence, effects));
    }

    /// The messages from one sequence to another are lost.
    pub(super) fn forget_lost(&mut self, first: u64, last: u64, effects: &mut Effects) {
        let Some(identities) = &self.identities else { return };
        let lost: Vec<u64> =
            identities.by_sequence.range(first..=last).map(|(sequence, _)| *sequence).collect();
        self.forget_settled(&lost, effects);
    }

    /// Everything is gone.
    pub(super) fn forget_identities(&mut self, effects: &mut Effects) {
        if let Some(identities) = &mut self.identities {
            let all = std::mem::take(&mut **identities).by_sequence;
            let logged = all.into_iter().filter(|(_, (_, logged))| *logged).map(|(sequence, _)| sequence);
            effects.log.identities.get_or_insert_default().forgotten.extend(logged);
        }
    }

    /// Tells a new queue the identities of the messages that it is filled with.
    pub fn restore_identities(&mut self, restored: impl IntoIterator<Item = (Identity, u64, Millis)>) {
        if let Some(identities) = &mut self.identities {
            for (identity, sequence, deadline) in restored {
                identities.insert(identity, sequence, deadline, true);
            }
        }
    }
}
