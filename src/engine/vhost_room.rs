//! Whether a vhost has room for another queue or exchange, by its own limit and by those of the node.

use std::sync::atomic::Ordering;

use super::{QueueRef, Refused, Vhost, events::EVENT_EXCHANGE, vhost::RESERVED_PREFIX};
use crate::broker::topology::{ExchangeDeclare, ExchangeKind, Topology, TopologyError};

impl Vhost {
    /// Tells the node how much there is, under the lock of the topology.
    pub(super) fn count(&self, topology: &Topology<QueueRef>) {
        let is_retired = self.retired.load(Ordering::Acquire);
        // RabbitMQ counts the predeclared ones, too, but has the one of events only where its plugin is on.
        let of_events = usize::from(topology.exchange(EVENT_EXCHANGE).is_some());
        let exchanges = if is_retired { 0 } else { topology.exchange_count() - of_events };
        self.share.set(topology.queue_count(), exchanges);
    }

    /// Whether another queue of this name may be declared, which comes before what it is declared with (LIM-04).
    pub fn check_new_queue(&self, name: &str) -> Result<(), Refused> {
        let topology = self.topology.read();
        if topology.queue(name).is_some() || name.starts_with(RESERVED_PREFIX) {
            return Ok(());
        }
        self.check_room(name, topology.queue_count())
    }

    /// CH-53, and LIM-03 after it.
    pub(super) fn check_room(&self, name: &str, count: usize) -> Result<(), Refused> {
        match self.rules.queues_max() {
            Some(max) if max <= count as u64 => {
                return Err(Refused::QueueLimit { name: name.to_owned(), vhost: self.name.to_string(), max });
            }
            _ => {}
        }
        match self.share.room().queues_full() {
            Some(max) => Err(Refused::ClusterQueueLimit { name: name.to_owned(), max }),
            None => Ok(()),
        }
    }

    /// LIM-03, for an exchange that is not there and has nothing else wrong with its name or type.
    pub(super) fn check_exchange_room(
        &self,
        topology: &Topology<QueueRef>,
        name: &str,
        declare: &ExchangeDeclare<'_>,
    ) -> Result<(), TopologyError> {
        let Some(max) = self.share.room().exchanges_full() else { return Ok(()) };
        let is_new = topology.exchange(name).is_none() && !name.is_empty();
        if is_new && !name.starts_with(RESERVED_PREFIX) && ExchangeKind::named(declare.kind).is_ok() {
            let (name, vhost) = (name.to_owned(), self.name.to_string());
            return Err(TopologyError::ExchangeLimit { name, vhost, max });
        }
        Ok(())
    }
}
