//! Finding the queues of a message in a vhost.

use std::{
    cell::RefCell,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use smallvec::SmallVec;

use super::{QueueRef, Replay, Vhost};
use crate::broker::{
    Message,
    death::extras,
    topology::{RouteInfo, RoutingKeys, Scratch, Topology, TopologyError, Traits},
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
    pub fn route_message(&self, exchange: &str, message: &Message) -> Queues {
        self.find_queues(&self.topology.read(), exchange, message)
    }

    fn find_queues(&self, topology: &Topology<QueueRef>, exchange: &str, message: &Message) -> Queues {
        let extras = extras(message);
        let keys = RoutingKeys { key: message.routing_key(), extra: &extras.keys };
        let traits = Traits { headers: extras.headers, properties: message.properties() };
        SCRATCH.with_borrow_mut(|(queues, scratch)| {
            if let Ok(info) = topology.route(exchange, &keys, &traits, queues, scratch)
                && info.is_remembered
            {
                for (exchange, length) in topology.histories(scratch) {
                    self.histories.add(exchange, length, message);
                }
            }
            queues.drain(..).collect()
        })
    }

    /// What an exchange remembers, for what was just bound to it (EXC-87).
    pub(super) fn replay(
        &self,
        topology: &Topology<QueueRef>,
        source: &str,
        destination: &str,
        to_queue: bool,
    ) -> Replay {
        let mut replay = Replay::default();
        if topology.exchange(source).is_none_or(|exchange| exchange.history_length().is_none()) {
            return replay;
        }
        for message in self.histories.of(source) {
            if to_queue {
                let queue = topology.queue(destination).cloned();
                queue.into_iter().for_each(|queue| replay.add(queue, message.clone()));
            } else {
                for queue in self.find_queues(topology, destination, &message) {
                    replay.add(queue, message.clone());
                }
            }
        }
        replay
    }
}
