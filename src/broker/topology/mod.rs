//! Exchanges, bindings and routing of one virtual host: pure logic, without queues' contents.
//!
//! [`Topology`] knows exchanges and queues by name and the bindings between them, indexed in both directions, so
//! that no operation costs more than the bindings it touches. Each exchange type keeps its bindings in the form
//! it matches by (`direct`, `fanout`, `topic`, `headers`, and RabbitMQ's further types `consistent_hash`,
//! `modulus_hash`, `random`, `local_random`, `recent_history`, `deduplication`, `delayed`); `route` walks from exchange to exchange.
//!
//! | file | job |
//! |---|---|
//! | `declare` | declaring and deleting exchanges |
//! | `bind` | binding and unbinding, and the bookkeeping of both directions |
//! | `queues` | the queues as destinations |
//! | `route` | from a message's keys and headers to queues |
//! | `list` | views for listings |
//! | `kind` | exchange types by name |

mod bind;
mod binding;
mod consistent_hash;
mod declare;
mod deduplication;
mod delayed;
mod direct;
mod error;
mod exchange;
mod fanout;
mod hashing;
mod headers;
mod intern;
mod kind;
mod list;
mod local_random;
mod modulus_hash;
mod multiset;
mod queues;
mod random;
mod recent_history;
mod route;
mod seen;
mod slab;
mod topic;

pub use bind::{Bound, Unbound};
pub use declare::{Declared, Deleted};
pub use deduplication::CacheSettings;
pub use error::{FurtherError, TopologyError};
pub use exchange::{Exchange, ExchangeDeclare};
pub use kind::ExchangeKind;
pub use list::{BindingView, DestinationView};
pub use queues::RemovedQueue;
pub use route::{Passage, RouteInfo, RoutingKeys, Scratch, Traits};

use binding::{Bindings, ExchangeId, QueueId};
use exchange::{PREDECLARED, TRACE_EXCHANGE};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use kind::Router;
use queues::QueueEntry;
use slab::Slab;
use std::sync::Arc;

/// The exchanges, queues and bindings of one virtual host; `Q` is what routing hands out for a queue.
#[derive(Clone, Debug)]
pub struct Topology<Q> {
    vhost: Arc<str>,
    exchanges: Slab<Exchange>,
    exchange_ids: HashMap<Arc<str>, ExchangeId, RandomState>,
    queues: Slab<QueueEntry<Q>>,
    queue_ids: HashMap<Arc<str>, QueueId, RandomState>,
    bindings: Bindings,
    generation: u64,
}

impl<Q: Clone> Topology<Q> {
    /// A topology with the predeclared exchanges and nothing else; the name is for error texts.
    pub fn new(vhost: &str) -> Self {
        let mut topology = Self {
            vhost: vhost.into(),
            exchanges: Slab::default(),
            exchange_ids: HashMap::default(),
            queues: Slab::default(),
            queue_ids: HashMap::default(),
            bindings: Bindings::default(),
            generation: 0,
        };
        for (name, kind) in PREDECLARED {
            let declare = ExchangeDeclare {
                kind: kind.name(),
                durable: true,
                auto_delete: false,
                internal: name == TRACE_EXCHANGE,
                arguments: Default::default(),
            };
            let router = Router::new(kind, &declare.arguments).expect("they need no arguments");
            topology.add_exchange(name, router, declare);
        }
        topology
    }

    /// A number that changes whenever a message might be routed differently than before.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The exchange with this name.
    pub fn exchange(&self, name: &str) -> Option<&Exchange> {
        self.exchange_id(name).map(|id| &self.exchanges[id])
    }

    /// The handle of the queue with this name.
    pub fn queue(&self, name: &str) -> Option<&Q> {
        self.queue_id(name).map(|id| &self.queues[id].handle)
    }

    fn exchange_id(&self, name: &str) -> Option<ExchangeId> {
        self.exchange_ids.get(name).copied()
    }

    fn queue_id(&self, name: &str) -> Option<QueueId> {
        self.queue_ids.get(name).copied()
    }

    fn changed(&mut self) {
        self.generation += 1;
    }

    fn vhost(&self) -> String {
        self.vhost.as_ref().to_owned()
    }

    fn no_exchange(&self, name: &str) -> TopologyError {
        TopologyError::NoExchange { name: name.to_owned(), vhost: self.vhost() }
    }

    fn no_queue(&self, name: &str) -> TopologyError {
        TopologyError::NoQueue { name: name.to_owned(), vhost: self.vhost() }
    }
}

#[cfg(test)]
mod tests;
