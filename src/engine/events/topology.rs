//! Events of queues, exchanges and bindings. All are told under the lock of the vhost's topology.

use super::{
    super::{BindingSummary, QueueRef, Vhost, definitions::End},
    Headers,
};
use crate::{
    amqp::FieldTable,
    broker::topology::{Exchange, Topology},
};

impl Vhost {
    pub(in crate::engine) fn tell_queue_created(&self, queue: &QueueRef) {
        self.events.tell("queue.created", |headers| {
            let properties = &queue.properties;
            let owner = properties.owner.map(|owner| self.events.pid(owner, 0)).unwrap_or_default();
            headers
                .text("name", &queue.name)
                .text("vhost", &self.name)
                .flag("durable", properties.durable)
                .flag("auto_delete", properties.auto_delete)
                .flag("exclusive", properties.owner.is_some())
                .text("owner_pid", &owner)
                .text("type", properties.arguments.queue_type.name())
                .terms("arguments", &properties.arguments.raw)
                .by_actor()
        });
    }

    /// `unbound` is what [`Vhost::told_bindings`] gave before.
    pub(in crate::engine) fn tell_queue_deleted<'a>(
        &self,
        queue: &QueueRef,
        unbound: &[BindingSummary],
        auto_deleted: impl Iterator<Item = &'a str>,
    ) {
        {
            let _broker = super::acting_for_nobody();
            self.tell_unbound(unbound);
        }
        self.tell_gone("queue.deleted", &queue.name);
        self.tell_exchanges_deleted(auto_deleted);
    }

    pub(in crate::engine) fn tell_exchange_created(&self, exchange: &Exchange) {
        self.events.tell("exchange.created", |headers| {
            headers
                .text("name", exchange.name())
                .text("vhost", &self.name)
                .text("type", exchange.kind().name())
                .flag("durable", exchange.durable())
                .flag("auto_delete", exchange.auto_delete())
                .flag("internal", exchange.internal())
                .terms("arguments", exchange.arguments())
                .text("policy", "")
                .by_actor()
        });
    }

    /// Tells of the exchanges that a new vhost has from the start.
    pub(in crate::engine) fn tell_predeclared(&self) {
        if self.events.is_watched() {
            self.topology.read().exchanges().for_each(|exchange| self.tell_exchange_created(exchange));
        }
    }

    pub(in crate::engine) fn tell_exchanges_deleted<'a>(&self, names: impl Iterator<Item = &'a str>) {
        names.for_each(|name| self.tell_gone("exchange.deleted", name));
    }

    fn tell_gone(&self, key: &'static str, name: &str) {
        self.events.tell(key, |headers| headers.text("name", name).text("vhost", &self.name).by_actor());
    }

    pub(in crate::engine) fn tell_bound(&self, ends: &End<'_>, arguments: &FieldTable) {
        self.events.tell("binding.created", |headers| self.binding(headers, ends, arguments));
    }

    pub(in crate::engine) fn tell_unbound(&self, bindings: &[BindingSummary]) {
        for binding in bindings {
            let BindingSummary { source, destination, to_queue, routing_key, arguments } = binding;
            let ends = End { source, destination, to_queue: *to_queue, routing_key };
            self.events.tell("binding.deleted", |headers| self.binding(headers, &ends, arguments));
        }
    }

    fn binding(&self, headers: Headers, ends: &End<'_>, arguments: &FieldTable) -> Headers {
        headers
            .text("source_name", ends.source)
            .text("source_kind", "exchange")
            .text("destination_name", ends.destination)
            .text("destination_kind", if ends.to_queue { "queue" } else { "exchange" })
            .text("routing_key", ends.routing_key)
            .text("vhost", &self.name)
            .terms("arguments", arguments)
            .by_actor()
    }

    /// The bindings that go with a queue or an exchange, if anybody wants to know.
    pub(in crate::engine) fn told_bindings(
        &self,
        topology: &Topology<QueueRef>,
        name: &str,
        of_queue: bool,
    ) -> Vec<BindingSummary> {
        if !self.events.is_watched() {
            return Vec::new();
        }
        let mut bindings: Vec<BindingSummary> = if of_queue {
            topology.bindings_to_queue(name).map(BindingSummary::of).collect()
        } else {
            let (from, to) = (topology.bindings_from(name), topology.bindings_to_exchange(name));
            from.chain(to).map(BindingSummary::of).collect()
        };
        // The implicit ones are nobody's news.
        bindings.retain(|binding| !binding.source.is_empty());
        bindings
    }
}
