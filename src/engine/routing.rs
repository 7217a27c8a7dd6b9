//! Finding the queues of a message in a vhost.

use std::{
    cell::RefCell,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use smallvec::SmallVec;

use super::{DelayRef, Node, QueueRef, Replay, Vhost, definitions::End};
use crate::{
    broker::{
        Message, Millis,
        death::extras,
        delay::delay_of,
        topology::{Exchange, Passage, RouteInfo, RoutingKeys, Scratch, Topology, TopologyError, Traits},
    },
    store::Op,
};

/// The queues of a message.
pub type Queues = SmallVec<[QueueRef; 2]>;

/// Where a message waits, and for which time.
pub type Held = Vec<(DelayRef, Millis)>;

/// What becomes of a message that exchanges know.
#[derive(Debug, Default)]
pub struct Routed {
    pub queues: Queues,
    pub held: Held,
    /// What exchanges remember of it. The log is to learn that together with the message.
    pub notes: Vec<Op>,
}

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
    ///
    /// A delayed exchange that the message wants to wait in is not asked for its bindings before its time.
    pub fn route_message(&self, exchange: &str, message: &Message, now: Millis) -> Routed {
        let extras = extras(message);
        let keys = RoutingKeys { key: message.routing_key(), extra: &extras.keys };
        let traits = Traits { headers: extras.headers, properties: message.properties() };
        // The millisecond that has begun does not count: a message is never early.
        let due = extras.headers.and_then(delay_of).map(|delay| now.saturating_add(delay).saturating_add(1));
        let (mut held, mut notes, mut found) = (Held::new(), Vec::new(), Queues::new());
        let topology = self.topology.read();
        SCRATCH.with_borrow_mut(|(queues, scratch)| {
            let mut passes = |exchange: &Exchange| {
                if let Some(due) = due.filter(|_| exchange.is_delayed())
                    && let Some(delay) = self.delays.of(exchange.name())
                {
                    held.push((delay, due));
                    return Passage::Held;
                }
                match self.duplicates.pass(exchange, extras.headers, now, &mut notes) {
                    true => Passage::Through,
                    false => Passage::Stopped,
                }
            };
            let routed = topology.route_through(exchange, &keys, &traits, queues, scratch, &mut passes);
            if routed.is_ok_and(|info| info.is_remembered) {
                let is_held = |name: &str| held.iter().any(|(delay, _)| *delay.exchange == *name);
                for (exchange, length) in topology.histories(scratch).filter(|(name, _)| !is_held(name)) {
                    self.histories.add(exchange, length, message);
                }
            }
            found.extend(queues.drain(..));
        });
        Routed { queues: found, held, notes }
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
}

impl Node {
    /// Lets a message wait where it is to, and returns the queues that it goes to now. No lock may be held.
    pub(super) fn accept(&self, routed: Routed, message: &Message, ops: &mut Vec<Op>) -> Queues {
        let Routed { queues, held, mut notes } = routed;
        ops.append(&mut notes);
        for (delay, at) in held {
            self.hold_one(&delay, message, at, ops);
        }
        queues
    }
}
