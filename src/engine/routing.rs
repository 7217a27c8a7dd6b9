//! Finding the queues of a message in a vhost.

use std::{
    cell::RefCell,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use smallvec::SmallVec;

use super::{QueueRef, Replay, Vhost, definitions::End};
use crate::broker::{
    Message, Millis,
    death::extras,
    topology::{Exchange, RouteInfo, RoutingKeys, Scratch, Topology, TopologyError, Traits},
};

/// The queues of a message.
pub type Queues = SmallVec<[QueueRef; 2]>;

/// Every thread chooses differently where an exchange chooses at random.
static NEXT_SEED: AtomicU64 = AtomicU64::new(1);

thread_local! {
    static SCRATCH: RefCell<(Vec<QueueRef>, Scratch)> =
        RefCell::new((Vec::new(), Scratch::seeded(NEXT_SEED.fetch_add(1, Relaxed))));
}

impl Vhost {
    /// The queues that a publish reaches, and what its exchanges ask for. If they remember messages, the queues
    /// are those of [`Vhost::route_message`] instead, once there is a message.
    pub fn route(
        &self,
        exchange: &[u8],
        keys: &RoutingKeys<'_>,
        traits: &Traits<'_>,
    ) -> Result<(Queues, RouteInfo), TopologyError> {
        let exchange = String::from_utf8_lossy(exchange);
        let topology = self.topology.read();
        topology.publishable(&exchange)?;
        SCRATCH.with_borrow_mut(|(queues, scratch)| {
            let info = topology.route(&exchange, keys, traits, queues, scratch)?;
            Ok((queues.drain(..).collect(), info))
        })
    }

    /// The queues of a message that is published to `exchange`, by the broker itself or after [`Vhost::route`] let
    /// it pass: no exchange is off limits, and a missing one routes nowhere (DLX-06). Exchanges that remember
    /// messages remember it, under the lock that its queues are found under: a queue that is bound gets it from
    /// here or from the history, never twice.
    pub fn route_message(&self, exchange: &str, message: &Message, now: Millis) -> Queues {
        let extras = extras(message);
        let keys = RoutingKeys { key: message.routing_key(), extra: &extras.keys };
        let traits = Traits { headers: extras.headers, properties: message.properties() };
        let passes = &mut |exchange: &Exchange| self.duplicates.pass(exchange, extras.headers, now);
        let topology = self.topology.read();
        SCRATCH.with_borrow_mut(|(queues, scratch)| {
            if let Ok(info) = topology.route_through(exchange, &keys, &traits, queues, scratch, passes)
                && info.is_remembered
            {
                for (exchange, length) in topology.histories(scratch) {
                    self.histories.add(exchange, length, message);
                }
            }
            queues.drain(..).collect()
        })
    }

    /// What an exchange remembers, for what was just bound to it under this lock (EXC-87).
    pub(super) fn replay(&self, topology: &Topology<QueueRef>, ends: &End<'_>) -> Replay {
        let source = topology.exchange(ends.source);
        if source.is_none_or(|exchange| exchange.history_length().is_none()) {
            return Replay::none();
        }
        let messages = self.histories.of(ends.source);
        if !ends.to_queue {
            return Replay::to_exchange(self.name.clone(), ends.destination, messages);
        }
        let queue = topology.queue(ends.destination).cloned();
        queue.map_or_else(Replay::none, |queue| Replay::to_queue(queue, messages))
    }

    /// Forgets what deleted exchanges remembered.
    pub(super) fn forget_exchanges<'a>(&self, names: impl Iterator<Item = &'a str> + Clone) {
        self.stats.ended.forget_exchanges(names.clone());
        self.histories.forget(names.clone());
        self.duplicates.forget(names);
    }
}
