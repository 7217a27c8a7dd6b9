//! Binding and unbinding, and the lists that let either end find its bindings (EXC-12 to EXC-16).

use super::Topology;
use super::binding::{Binding, BindingId, Destination, ExchangeId};
use super::declare::refuse_default;
use super::error::TopologyError;
use crate::broker::queue_type::QueueType;
use amq_protocol::types::FieldTable;
use std::sync::Arc;

/// What a bind did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The binding is new.
    Created,
    /// It existed (EXC-13).
    Existing,
}

/// What an unbind did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unbound {
    /// Whether the binding existed; if not, there is nothing wrong (CH-33, CH-48).
    pub existed: bool,
    /// The auto-delete exchanges that went with it.
    pub auto_deleted: Vec<String>,
}

impl<Q: Clone> Topology<Q> {
    /// Binds a queue to an exchange (CH-28, CH-47, EXC-70).
    pub fn bind_queue(
        &mut self,
        source: &str,
        queue: &str,
        routing_key: &str,
        arguments: FieldTable,
    ) -> Result<Bound, TopologyError> {
        refuse_default(source)?;
        let source = self.exchange_id(source).ok_or_else(|| self.no_exchange(source))?;
        let queue = self.queue_id(queue).ok_or_else(|| self.no_queue(queue))?;
        self.bind(Binding::new(source, Destination::Queue(queue), routing_key, arguments))
    }

    /// Binds the exchange `destination` to the exchange `source` (CH-28, CH-32, EXC-70).
    pub fn bind_exchange(
        &mut self,
        source: &str,
        destination: &str,
        routing_key: &str,
        arguments: FieldTable,
    ) -> Result<Bound, TopologyError> {
        refuse_default(destination)?;
        refuse_default(source)?;
        let source = self.exchange_id(source).ok_or_else(|| self.no_exchange(source))?;
        let destination = self.exchange_id(destination).ok_or_else(|| self.no_exchange(destination))?;
        self.bind(Binding::new(source, Destination::Exchange(destination), routing_key, arguments))
    }

    /// Removes the binding with exactly this key and these arguments (EXC-14).
    pub fn unbind_queue(
        &mut self,
        source: &str,
        queue: &str,
        routing_key: &str,
        arguments: FieldTable,
    ) -> Result<Unbound, TopologyError> {
        refuse_default(source)?;
        let ends = (self.exchange_id(source), self.queue_id(queue));
        let (Some(source), Some(queue)) = ends else { return Ok(Unbound::default()) };
        Ok(self.unbind(&Binding::new(source, Destination::Queue(queue), routing_key, arguments)))
    }

    /// As [`Topology::unbind_queue`], for a binding between exchanges.
    pub fn unbind_exchange(
        &mut self,
        source: &str,
        destination: &str,
        routing_key: &str,
        arguments: FieldTable,
    ) -> Result<Unbound, TopologyError> {
        refuse_default(destination)?;
        refuse_default(source)?;
        let ends = (self.exchange_id(source), self.exchange_id(destination));
        let (Some(source), Some(destination)) = ends else { return Ok(Unbound::default()) };
        Ok(self.unbind(&Binding::new(source, Destination::Exchange(destination), routing_key, arguments)))
    }

    fn bind(&mut self, mut binding: Binding) -> Result<Bound, TopologyError> {
        if self.bindings.find(&binding).is_some() {
            return Ok(Bound::Existing);
        }
        let source = binding.source;
        let (name, queue_type) = self.end(binding.destination);
        self.exchanges[source].router.validate(&binding, queue_type)?;
        binding.source_place = self.exchanges[source].outgoing.len();
        binding.destination_place = self.incoming_mut(binding.destination).len();
        let destination = binding.destination;
        let id = self.bindings.insert(binding);
        self.exchanges[source].outgoing.push(id);
        self.incoming_mut(destination).push(id);
        self.exchanges[source].router.insert(&self.bindings[id], &name);
        self.changed();
        Ok(Bound::Created)
    }

    fn unbind(&mut self, wanted: &Binding) -> Unbound {
        let Some(id) = self.bindings.find(wanted) else { return Unbound::default() };
        let bereft = self.remove_binding(id);
        Unbound { existed: true, auto_deleted: self.remove_cascading(bereft.into_iter().collect()) }
    }

    /// Removes a binding; returns its source if that is an auto-delete exchange that lost its last one.
    pub(super) fn remove_binding(&mut self, id: BindingId) -> Option<ExchangeId> {
        let binding = self.bindings.remove(id);
        let (name, _) = self.end(binding.destination);
        let source = &mut self.exchanges[binding.source];
        source.router.remove(&binding, &name);
        let is_bereft = source.auto_delete() && source.outgoing.len() == 1;

        // The last of each list takes the place of the removed one.
        source.outgoing.swap_remove(binding.source_place);
        if let Some(moved) = source.outgoing.get(binding.source_place) {
            self.bindings[*moved].source_place = binding.source_place;
        }
        let incoming = self.incoming_mut(binding.destination);
        incoming.swap_remove(binding.destination_place);
        if let Some(moved) = incoming.get(binding.destination_place).copied() {
            self.bindings[moved].destination_place = binding.destination_place;
        }
        self.changed();
        is_bereft.then_some(binding.source)
    }

    /// The name of a destination, and its type if it is a queue.
    fn end(&self, destination: Destination) -> (Arc<str>, Option<QueueType>) {
        match destination {
            Destination::Queue(id) => (self.queues[id].name.clone(), Some(self.queues[id].queue_type)),
            Destination::Exchange(id) => (self.exchanges[id].shared_name().clone(), None),
        }
    }

    fn incoming_mut(&mut self, destination: Destination) -> &mut Vec<BindingId> {
        match destination {
            Destination::Queue(id) => &mut self.queues[id].incoming,
            Destination::Exchange(id) => &mut self.exchanges[id].incoming,
        }
    }
}
