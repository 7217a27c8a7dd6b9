//! Bindings: what they are, and an index that finds one by its identity (EXC-12).

use super::slab::Slab;
use crate::amqp::table::field_table_bytes;
use amq_protocol::types::FieldTable;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::BuildHasher;

pub(super) type ExchangeId = u32;
pub(super) type QueueId = u32;
pub(super) type BindingId = u32;

/// Where a binding leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Destination {
    Queue(QueueId),
    Exchange(ExchangeId),
}

/// One binding from an exchange to a queue or an exchange.
#[derive(Clone, Debug)]
pub(super) struct Binding {
    pub(super) source: ExchangeId,
    pub(super) destination: Destination,
    pub(super) routing_key: Box<str>,
    arguments: Option<Box<Arguments>>,
    /// Where this binding stands in the list of its source, and of its destination.
    pub(super) source_place: usize,
    pub(super) destination_place: usize,
}

/// Arguments with the bytes that identify them: names in order, field types included.
#[derive(Clone, Debug)]
struct Arguments {
    table: FieldTable,
    identity: Box<[u8]>,
}

impl Binding {
    pub(super) fn new(
        source: ExchangeId,
        destination: Destination,
        routing_key: &str,
        arguments: FieldTable,
    ) -> Self {
        let arguments = (!arguments.inner().is_empty()).then(|| {
            let identity = field_table_bytes(&arguments).into_boxed_slice();
            Box::new(Arguments { table: arguments, identity })
        });
        let routing_key = routing_key.into();
        Self { source, destination, routing_key, arguments, source_place: 0, destination_place: 0 }
    }

    /// The arguments, if any were given.
    pub(super) fn arguments(&self) -> Option<&FieldTable> {
        self.arguments.as_deref().map(|arguments| &arguments.table)
    }

    /// Bytes that are equal if, and only if, the arguments are the same in every name, type and value.
    pub(super) fn arguments_identity(&self) -> &[u8] {
        self.arguments.as_deref().map_or(&[], |arguments| &arguments.identity)
    }

    fn identity(&self) -> (ExchangeId, Destination, &str, &[u8]) {
        (self.source, self.destination, &self.routing_key, self.arguments_identity())
    }
}

/// Every binding of the topology.
#[derive(Clone, Debug, Default)]
pub(super) struct Bindings {
    bindings: Slab<Binding>,
    by_identity: HashTable<BindingId>,
    hashing: RandomState,
}

impl Bindings {
    pub(super) fn find(&self, wanted: &Binding) -> Option<BindingId> {
        let hash = self.hashing.hash_one(wanted.identity());
        let is_wanted = |id: &BindingId| self.bindings[*id].identity() == wanted.identity();
        self.by_identity.find(hash, is_wanted).copied()
    }

    /// Takes in a binding that [`Bindings::find`] does not find.
    pub(super) fn insert(&mut self, binding: Binding) -> BindingId {
        let Self { bindings, by_identity, hashing } = self;
        let hash = hashing.hash_one(binding.identity());
        let id = bindings.insert(binding);
        by_identity.insert_unique(hash, id, |id| hashing.hash_one(bindings[*id].identity()));
        id
    }

    pub(super) fn remove(&mut self, id: BindingId) -> Binding {
        let hash = self.hashing.hash_one(self.bindings[id].identity());
        let entry = self.by_identity.find_entry(hash, |other| *other == id);
        entry.expect("every binding is indexed").remove();
        self.bindings.remove(id)
    }

    pub(super) fn len(&self) -> usize {
        self.bindings.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Binding> {
        self.bindings.values()
    }
}

impl std::ops::Index<BindingId> for Bindings {
    type Output = Binding;

    fn index(&self, id: BindingId) -> &Binding {
        &self.bindings[id]
    }
}

impl std::ops::IndexMut<BindingId> for Bindings {
    /// For the places in lists only: what identifies a binding must not change.
    fn index_mut(&mut self, id: BindingId) -> &mut Binding {
        &mut self.bindings[id]
    }
}
