//! What deduplication exchanges have seen: which messages pass, which came before (EXC-91).
//!
//! What a durable exchange has seen outlives the process: to the log such an exchange is a queue, in which for each
//! identity there is an empty message that has it as its routing key. It is noted in one go with the message that
//! passed, so that no crash leaves one without the other.

use std::{collections::VecDeque, sync::Arc};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use parking_lot::Mutex;
use smallvec::smallvec;

use crate::{
    amqp::table::TableRef,
    broker::{
        Message, Millis, Parts,
        identity::{Identity, identity, whole},
        memory::Account,
        topology::Exchange,
    },
    store::{Op, Place, QueueId, RecoveredQueue},
};

/// The header that says for how many milliseconds it is to be kept in mind.
const TTL: &[u8] = b"x-cache-ttl";
/// A list of this many more entries than twice the live ones is swept.
const SLACK: usize = 16;
/// Identities that one cache keeps at most, whatever its x-cache-size says: some 200 MiB.
const CACHE_MAX: u64 = 1_000_000;

/// The caches of a vhost by exchange. Its lock is held for moments, under that of the topology.
#[derive(Debug, Default)]
pub struct Duplicates {
    caches: Mutex<HashMap<Arc<str>, Cache, RandomState>>,
}

impl Duplicates {
    /// Whether an exchange lets a message with these headers pass. If so, and if it is a deduplication exchange, the
    /// next one with the same identity will not. What the log must learn of that is added to `ops`.
    pub fn pass(
        &self,
        exchange: &Exchange,
        headers: Option<TableRef<'_>>,
        now: Millis,
        ops: &mut Vec<Op>,
    ) -> bool {
        let (Some(settings), Some(headers)) = (exchange.cache(), headers) else { return true };
        let Some(identity) = identity(headers) else {
            return true;
        };
        let own_ttl = headers.find(TTL).and_then(whole).and_then(|ttl| u64::try_from(ttl).ok());
        let deadline = own_ttl.or(settings.ttl).map(|ttl| now.saturating_add(ttl));
        let mut caches = self.caches.lock();
        let cache = match caches.get_mut(exchange.name()) {
            Some(cache) => cache,
            None => caches.entry(exchange.name().into()).or_default(),
        };
        cache.admit(identity, deadline, settings.size, now, ops)
    }

    /// What an exchange sees is to be noted in the log under this number.
    pub fn give_number(&self, exchange: &str, number: QueueId) {
        self.caches.lock().entry(exchange.into()).or_default().number = Some(number);
    }

    /// The number under which an exchange has what it saw in the log.
    pub fn number_of(&self, exchange: &str) -> Option<QueueId> {
        self.caches.lock().get(exchange)?.number
    }

    /// Fills new caches with what the log knows.
    pub fn restore(&self, mut recovered: impl FnMut(QueueId) -> RecoveredQueue) {
        for cache in self.caches.lock().values_mut() {
            if let Some(number) = cache.number {
                cache.restore(recovered(number));
            }
        }
    }

    /// Forgets what deleted exchanges saw; returns the numbers that the log has it under.
    pub fn forget<'a>(&self, exchanges: impl Iterator<Item = &'a str>) -> Vec<QueueId> {
        let mut caches = self.caches.lock();
        exchanges.filter_map(|exchange| caches.remove(exchange)?.number).collect()
    }
}

/// What one exchange saw.
#[derive(Debug, Default)]
struct Cache {
    seen: HashMap<Identity, Seen, RandomState>,
    /// In the order they were seen, also some that are not in `seen` any more under that number.
    order: VecDeque<(u64, Identity)>,
    next: u64,
    /// The number that the log knows it under, if it is to be kept there.
    number: Option<QueueId>,
}

#[derive(Debug)]
struct Seen {
    number: u64,
    deadline: Option<Millis>,
}

impl Cache {
    /// Whether an identity is new; from now on it is not, until its deadline or until `size` others are.
    fn admit(
        &mut self,
        identity: Identity,
        deadline: Option<Millis>,
        size: u64,
        now: Millis,
        ops: &mut Vec<Op>,
    ) -> bool {
        let mut forgotten = Vec::new();
        if let Some(seen) = self.seen.get(&identity) {
            if seen.deadline.is_none_or(|deadline| now < deadline) {
                // Nothing to write, but whoever is told that this was taken care of must wait until what it is a
                // duplicate of is in the log.
                self.note_forgotten(forgotten, ops);
                return false;
            }
            forgotten.push(seen.number);
            self.seen.remove(&identity);
        }
        while size.min(CACHE_MAX) <= self.seen.len() as u64 {
            let Some((number, oldest)) = self.order.pop_front() else { break };
            if self.seen.get(&oldest).is_some_and(|seen| seen.number == number) {
                self.seen.remove(&oldest);
                forgotten.push(number);
            }
        }
        if !forgotten.is_empty() {
            self.note_forgotten(forgotten, ops);
        }
        let number = self.next;
        self.next += 1;
        if let Some(queue) = self.number {
            let place =
                Place { queue, sequence: number, deadline: deadline.unwrap_or(Millis::MAX), returns: 0 };
            ops.push(Op::Message { message: stand_in(&identity), places: smallvec![place] });
        }
        self.insert(identity, number, deadline);
        true
    }

    fn note_forgotten(&self, sequences: Vec<u64>, ops: &mut Vec<Op>) {
        if let Some(queue) = self.number {
            ops.push(Op::Settled { queue, sequences });
        }
    }

    fn restore(&mut self, recovered: RecoveredQueue) {
        for (number, seen) in recovered.messages {
            let deadline = Some(seen.deadline).filter(|deadline| *deadline != Millis::MAX);
            self.insert(seen.message.routing_key().into(), number, deadline);
        }
        self.next = self.next.max(recovered.next_sequence);
    }

    fn insert(&mut self, identity: Identity, number: u64, deadline: Option<Millis>) {
        self.order.push_back((number, identity.clone()));
        self.seen.insert(identity, Seen { number, deadline });
        if 2 * self.seen.len() + SLACK < self.order.len() {
            let seen = &self.seen;
            self.order
                .retain(|(number, identity)| seen.get(identity).is_some_and(|seen| seen.number == *number));
        }
    }
}

/// An empty message that an identity is the routing key of.
pub fn stand_in(identity: &[u8]) -> Message {
    let parts = Parts {
        exchange: &[],
        routing_key: identity,
        properties: &[0, 0],
        persistent: true,
        priority: 0,
        expiration: None,
        account: Account::UNCOUNTED,
    };
    Message::new(&parts, &[], &mut Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(cache: &mut Cache, identity: &str, deadline: Option<Millis>, now: Millis) -> bool {
        cache.admit(identity.as_bytes().into(), deadline, 3, now, &mut Vec::new())
    }

    #[test]
    fn exc_91_the_oldest_of_too_many_is_new_again() {
        let mut cache = Cache::default();
        for identity in ["a", "b", "c"] {
            assert!(admit(&mut cache, identity, None, 0));
            assert!(!admit(&mut cache, identity, None, u64::MAX));
        }
        assert!(admit(&mut cache, "d", None, 0));
        assert!(!admit(&mut cache, "b", None, 0) && !admit(&mut cache, "c", None, 0));
        assert!(admit(&mut cache, "a", None, 0) && admit(&mut cache, "b", None, 0));
        assert_eq!(cache.seen.len(), 3);
    }

    #[test]
    fn exc_91_after_its_time_an_identity_is_new_again_and_costs_no_more() {
        let mut cache = Cache::default();
        assert!(admit(&mut cache, "for ever", None, 0));
        for round in 0..1_000 {
            let now = round * 10;
            assert!(admit(&mut cache, "a while", Some(now + 10), now));
            assert!(!admit(&mut cache, "a while", Some(now + 99), now + 9));
        }
        assert!(!admit(&mut cache, "for ever", None, 10_000));
        assert!(cache.order.len() <= 2 * cache.seen.len() + SLACK, "{}", cache.order.len());
    }
}
