//! Views of exchanges, queues and bindings for listings; nothing here is on the way of a message.

use super::Topology;
use super::binding::{Binding, BindingId, Destination};
use super::exchange::Exchange;
use super::queues::QueueEntry;
use amq_protocol::types::FieldTable;

/// A binding as listings show it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BindingView<'a> {
    /// The exchange bound to; empty for the implicit binding of a queue (EXC-11).
    pub source: &'a str,
    /// Where the binding leads.
    pub destination: DestinationView<'a>,
    /// The binding key.
    pub routing_key: &'a str,
    /// The arguments, if any were given.
    pub arguments: Option<&'a FieldTable>,
    /// Whether both ends survive a restart, and so the binding.
    pub durable: bool,
}

/// The destination of a binding, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DestinationView<'a> {
    /// A queue.
    Queue(&'a str),
    /// An exchange.
    Exchange(&'a str),
}

impl<Q: Clone> Topology<Q> {
    /// Every exchange, the default one included.
    pub fn exchanges(&self) -> impl Iterator<Item = &Exchange> {
        self.exchanges.values()
    }

    /// Every queue with its name.
    pub fn queues(&self) -> impl Iterator<Item = (&str, &Q)> {
        self.queues.values().map(|queue| (&*queue.name, &queue.handle))
    }

    /// How many exchanges there are, predeclared ones included.
    pub fn exchange_count(&self) -> usize {
        self.exchanges.len()
    }

    /// Whether anything is bound to an exchange.
    pub fn is_source(&self, exchange: &str) -> bool {
        self.exchange(exchange).is_some_and(|exchange| !exchange.outgoing.is_empty())
    }

    /// How many queues there are.
    pub fn queue_count(&self) -> usize {
        self.queues.len()
    }

    /// How many bindings there are besides the implicit ones.
    pub fn binding_count(&self) -> usize {
        self.bindings.len()
    }

    /// Every binding, the implicit ones first.
    pub fn bindings(&self) -> impl Iterator<Item = BindingView<'_>> {
        let implicit = self.queues.values().map(implicit_binding);
        implicit.chain(self.bindings.iter().map(|binding| self.view(binding)))
    }

    /// The bindings in which an exchange is the source; none if it does not exist.
    pub fn bindings_from(&self, exchange: &str) -> impl Iterator<Item = BindingView<'_>> {
        let implicit = exchange.is_empty().then(|| self.queues.values().map(implicit_binding));
        let outgoing = self.exchange(exchange).map_or(&[][..], |exchange| &exchange.outgoing);
        implicit.into_iter().flatten().chain(self.views(outgoing))
    }

    /// The bindings that lead to an exchange.
    pub fn bindings_to_exchange(&self, exchange: &str) -> impl Iterator<Item = BindingView<'_>> {
        let incoming = self.exchange(exchange).map_or(&[][..], |exchange| &exchange.incoming);
        self.views(incoming)
    }

    /// The bindings that lead to a queue, the implicit one first.
    pub fn bindings_to_queue(&self, queue: &str) -> impl Iterator<Item = BindingView<'_>> {
        let queue = self.queue_id(queue).map(|id| &self.queues[id]);
        let incoming = queue.map_or(&[][..], |queue| &queue.incoming);
        queue.map(implicit_binding).into_iter().chain(self.views(incoming))
    }

    fn views<'a>(&'a self, bindings: &'a [BindingId]) -> impl Iterator<Item = BindingView<'a>> {
        bindings.iter().map(|id| self.view(&self.bindings[*id]))
    }

    fn view<'a>(&'a self, binding: &'a Binding) -> BindingView<'a> {
        let source = &self.exchanges[binding.source];
        let (destination, durable) = match binding.destination {
            Destination::Queue(id) => {
                let queue = &self.queues[id];
                (DestinationView::Queue(&queue.name), queue.durable)
            }
            Destination::Exchange(id) => {
                let exchange = &self.exchanges[id];
                (DestinationView::Exchange(exchange.name()), exchange.durable())
            }
        };
        BindingView {
            source: source.name(),
            destination,
            routing_key: &binding.routing_key,
            arguments: binding.arguments(),
            durable: durable && source.durable(),
        }
    }
}

fn implicit_binding<Q>(queue: &QueueEntry<Q>) -> BindingView<'_> {
    let destination = DestinationView::Queue(&queue.name);
    BindingView { source: "", destination, routing_key: &queue.name, arguments: None, durable: queue.durable }
}
