//! A virtual host: its exchanges, bindings and queues.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use parking_lot::RwLock;

use super::{
    BindingSummary, ConnectionId, Delays, Duplicates, Histories, Holder, Journal, PageRequest, Paging,
    QueueProperties, QueueRef, Refused, Replay, Room, Share, SharedQueue, Signal, Streams, VhostRules,
    definitions::{self, End, Keepers},
    events::Events,
    stats::{ConnectionMeter, Event, NodeStats, VhostStats},
};
use crate::{
    amqp::{FieldTable, table::parse_field_table},
    broker::{
        Millis,
        memory::Account,
        queue::{Effects, QueueSettings, Retry, stream::StreamSettings},
        queue_arguments::{
            Overflow, QueueArguments, QueueIdentity, QueueProperties as Flags, inequivalence,
            refuse_server_named,
        },
        queue_type::QueueType,
        topology::{Bound, Declared, Exchange, ExchangeDeclare, Topology, TopologyError},
    },
    store::{BindingDefinition, Definition, Definitions},
};

/// Names that only the server gives (CH-42).
pub(super) const RESERVED_PREFIX: &str = "amq.";

/// What a client declares a queue as.
#[derive(Debug)]
pub struct QueueDeclare {
    pub durable: bool,
    pub auto_delete: bool,
    pub exclusive: bool,
    pub arguments: FieldTable,
}

impl QueueDeclare {
    fn flags(&self) -> Flags {
        let QueueDeclare { durable, auto_delete, exclusive, .. } = *self;
        Flags { durable, exclusive, auto_delete }
    }
}

/// One virtual host.
#[derive(Debug)]
pub struct Vhost {
    pub name: Arc<str>,
    pub(super) topology: RwLock<Topology<QueueRef>>,
    /// What recent-history exchanges remember.
    pub(super) histories: Histories,
    /// What deduplication exchanges have seen.
    pub(super) duplicates: Duplicates,
    /// What waits in delayed exchanges.
    pub(super) delays: Delays,
    /// Moves on with every change that a cached route might miss.
    generation: AtomicU64,
    /// Told of every change under the lock of `topology`, so that it learns of them in their order.
    pub(super) journal: Arc<Journal>,
    pub(super) paging: Arc<Paging>,
    streams: Arc<Streams>,
    /// Told of every change under the lock of `topology`, too.
    pub(super) events: Arc<Events>,
    pub(super) account: Account,
    /// What operators set for it.
    pub rules: VhostRules,
    node_stats: Arc<NodeStats>,
    pub stats: VhostStats,
    /// How much of what the node may have is here.
    pub(super) share: Share,
    /// It is deleted: nothing is declared in it any more. Changed under the lock of `topology`.
    pub(super) retired: AtomicBool,
}

impl Vhost {
    pub fn new(
        name: &str,
        (journal, paging, streams, events): (Arc<Journal>, Arc<Paging>, Arc<Streams>, Arc<Events>),
        account: Account,
        node_stats: Arc<NodeStats>,
        room: Arc<Room>,
    ) -> Vhost {
        let topology = Topology::new(name);
        let share = Share::new(room);
        share.set(0, topology.exchange_count());
        let topology = RwLock::new(topology);
        Vhost {
            share,
            name: name.into(),
            topology,
            histories: Histories::default(),
            duplicates: Duplicates::default(),
            delays: Delays::default(),
            generation: AtomicU64::new(1),
            journal,
            paging,
            streams,
            events,
            account,
            rules: VhostRules::default(),
            node_stats,
            stats: VhostStats::default(),
            retired: AtomicBool::new(false),
        }
    }

    /// Lets nothing more be declared; gives out the queues, which are to be deleted.
    pub(super) fn retire(&self) -> Vec<QueueRef> {
        let topology = self.topology.write();
        self.retired.store(true, Ordering::Release);
        self.count(&topology);
        let names: Vec<&str> = topology.exchanges().map(Exchange::name).collect();
        self.journal.define(self.forget_exchanges(names.into_iter()));
        topology.queues().map(|(_, queue)| queue.clone()).collect()
    }

    /// Routes found under an earlier generation must be found again.
    #[inline]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(super) fn routes_changed(&self) {
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Takes over what a connection counted that ends, or that has published to very many exchanges.
    pub fn take_over(&self, meter: &ConnectionMeter) {
        self.stats.ended.add_exchanges(meter, |name| self.has_exchange(name));
    }

    pub fn queue(&self, name: &str) -> Result<QueueRef, Refused> {
        let found = self.topology.read().queue(name).cloned();
        found.ok_or_else(|| Refused::NoQueue { name: name.to_owned(), vhost: self.name.to_string() })
    }

    /// A queue that this connection may use (CH-44).
    pub fn queue_for(&self, name: &str, connection: ConnectionId) -> Result<QueueRef, Refused> {
        let queue = self.queue(name)?;
        self.check_owner(&queue, connection)?;
        Ok(queue)
    }

    fn check_owner(&self, queue: &QueueRef, connection: ConnectionId) -> Result<(), Refused> {
        if queue.is_locked_for(connection) {
            return Err(self.locked(&queue.name));
        }
        Ok(())
    }

    fn locked(&self, name: &str) -> Refused {
        Refused::Locked { name: name.to_owned(), vhost: self.name.to_string() }
    }

    /// Declares a queue; true when it is new. `generated` allows the server's own prefix.
    pub fn declare_queue(
        &self,
        name: &str,
        declare: QueueDeclare,
        connection: ConnectionId,
        generated: bool,
        now: Millis,
    ) -> Result<(QueueRef, bool), Refused> {
        let mut topology = self.topology.write();
        if name.starts_with(RESERVED_PREFIX) && !generated {
            return Err(Refused::ReservedName { name: name.to_owned() });
        }
        if let Some(current) = topology.queue(name).cloned() {
            self.check_equivalence(&current, &declare, connection)?;
            current.state.lock().touch(now);
            self.node_stats.note(Event::QueueDeclared);
            return Ok((current, false));
        }
        if self.retired.load(Ordering::Acquire) {
            return Err(Refused::VhostDeleted { vhost: self.name.to_string() });
        }
        let _door = self.share.room().enter();
        self.check_room(name, topology.queue_count())?;
        let flags = declare.flags();
        let identity = QueueIdentity { name, vhost: &self.name };
        let default_type = self.rules.default_queue_type();
        let arguments = QueueArguments::parse(identity, flags, declare.arguments, default_type)?;
        if generated {
            // The default may be one of those that are not named by the server.
            refuse_server_named(&arguments.raw)?;
        }
        let (durable, auto_delete, exclusive) = (flags.durable, flags.auto_delete, flags.exclusive);
        let queue_type = arguments.queue_type;
        let owner = exclusive.then_some(connection);
        let survives = durable && !exclusive && self.journal.is_on();
        let identities = (arguments.deduplicates && survives).then(|| self.journal.next_queue());
        let arguments = arguments.shared();
        let properties = QueueProperties { durable, auto_delete, owner, arguments, identities };
        let queue = self.new_queue(self.journal.next_queue(), name, properties, now);
        let inserted = topology.insert_queue(name, queue.clone(), queue_type, durable && !exclusive);
        debug_assert!(inserted, "the name was free under the same lock");
        self.count(&topology);
        self.node_stats.note(Event::QueueDeclared);
        self.node_stats.note(Event::QueueCreated);
        self.tell_queue_created(&queue);
        if queue.is_durable() {
            self.journal.define([definitions::declare_queue(&queue)]);
        }
        if queue_type == QueueType::Stream {
            self.streams.add(&queue);
        }
        Ok((queue, true))
    }

    /// A queue that goes by the policies of this moment. Whoever calls holds the lock of the topology, so that a
    /// change of them finds the queue there or is found here.
    fn new_queue(&self, number: u64, name: &str, properties: QueueProperties, now: Millis) -> QueueRef {
        let policies = self.rules.policies();
        let applied = policies.for_queue(name, properties.arguments.queue_type);
        let governed = applied.as_ref().map(|applied| applied.effective.govern(&properties.arguments));
        let rules = governed.as_ref().unwrap_or(&properties.arguments);
        let is_durable = properties.durable && properties.owner.is_none();
        let settings = settings(rules, is_durable && self.journal.is_on());
        let queue = SharedQueue::new(number, name, &self.name, properties, settings, now);
        queue.adopt(&policies, applied);
        QueueRef(Arc::new(queue))
    }

    fn check_equivalence(
        &self,
        current: &QueueRef,
        declare: &QueueDeclare,
        connection: ConnectionId,
    ) -> Result<(), Refused> {
        let name = &current.name;
        self.check_owner(current, connection)?;
        let properties = &current.properties;
        if properties.owner.is_some() != declare.exclusive {
            return Err(self.locked(name));
        }
        let flags = Flags {
            durable: properties.durable,
            exclusive: properties.owner.is_some(),
            auto_delete: properties.auto_delete,
        };
        let identity = QueueIdentity { name, vhost: &self.name };
        let (current, received) = ((flags, &*properties.arguments), (declare.flags(), &declare.arguments));
        match inequivalence(identity, current, received, self.rules.default_queue_type()) {
            None => Ok(()),
            Some(difference) => Err(difference.into()),
        }
    }

    /// Deletes a queue; says how many messages were ready (QUE-15). Consumers are told.
    pub fn delete_queue(&self, queue: &QueueRef, if_unused: bool, if_empty: bool) -> Result<u64, Refused> {
        let is_stream = queue.is_stream();
        self.delete_when(queue, |counts_consumers, counts_ready| {
            // QUE-54.
            if is_stream {
                return Ok(());
            }
            let (name, vhost) = (queue.name.to_string(), self.name.to_string());
            if if_unused && counts_consumers != 0 {
                return Err(Refused::InUse { name, vhost });
            }
            if if_empty && counts_ready != 0 {
                return Err(Refused::NotEmpty { name, vhost });
            }
            Ok(())
        })
    }

    /// Deletes a queue that is no longer used, unless somebody consumes from it again.
    pub fn delete_unused(&self, queue: &QueueRef) {
        let _still_used = self.delete_queue(queue, true, false);
    }

    fn delete_when(
        &self,
        queue: &QueueRef,
        check: impl FnOnce(u32, u64) -> Result<(), Refused>,
    ) -> Result<u64, Refused> {
        let mut topology = self.topology.write();
        if topology.queue(&queue.name) != Some(queue) {
            // Somebody else was faster.
            return Ok(0);
        }
        let mut effects = Effects::default();
        let (ready, outlets) = {
            let mut state = queue.state.lock();
            let counts = state.counts();
            check(counts.consumers, counts.ready + counts.resting)?;
            let outlets: Vec<_> = state.outlets().cloned().collect();
            let ready = state.delete(&mut effects);
            state.relieve(&mut effects);
            // Time in which consumers had room means nothing in a sum.
            let counters = state.counters(0);
            self.stats.ended.add_queue(queue.properties.arguments.queue_type, &counters);
            (ready, outlets)
        };
        let unbound = self.told_bindings(&topology, &queue.name, true);
        let removed = topology.remove_queue(&queue.name);
        self.count(&topology);
        self.node_stats.note(Event::QueueDeleted);
        self.routes_changed();
        self.note_listeners(&topology);
        let auto_deleted = removed.iter().flat_map(|removed| &removed.auto_deleted).map(String::as_str);
        self.tell_queue_deleted(queue, &unbound, auto_deleted.clone());
        let kept = self.forget_exchanges(auto_deleted.clone());
        let deletion = queue.is_durable().then(|| definitions::delete_queue(queue));
        let exchanges = definitions::delete_exchanges(&self.name, auto_deleted);
        self.journal.define(deletion.into_iter().flatten().chain(kept).chain(exchanges));
        drop(topology);
        effects.wake_all();
        let dropped = effects.dropped_pages.drain(..);
        let holder = || Holder::Queue(queue.clone());
        self.paging.request(dropped.map(|page| PageRequest::Drop(holder(), page)));
        if queue.is_stream() {
            self.streams.remove(queue.number);
        }
        for outlet in outlets {
            outlet.inbox.signal(Signal::Cancelled(outlet.consumer));
        }
        Ok(ready.count())
    }

    /// Changes exchanges or bindings; cached routes are void if that might change any.
    pub(super) fn change<R>(&self, operation: impl FnOnce(&mut Topology<QueueRef>) -> R) -> R {
        let mut topology = self.topology.write();
        let before = topology.generation();
        let result = operation(&mut topology);
        if topology.generation() != before {
            self.count(&topology);
            self.routes_changed();
            self.note_listeners(&topology);
        }
        result
    }

    pub fn declare_exchange(&self, name: &str, declare: ExchangeDeclare<'_>) -> Result<(), TopologyError> {
        let door = self.share.room().enter();
        let declared = self.change(|topology| {
            self.check_exchange_room(topology, name, &declare)?;
            let declared = topology.declare_exchange(name, declare)?;
            if declared == Declared::Created
                && let Some(exchange) = topology.exchange(name)
            {
                self.give_memory(exchange);
                self.tell_exchange_created(exchange);
                if exchange.durable() {
                    let keepers = self.keepers();
                    self.journal.define([definitions::declare_exchange(&self.name, exchange, keepers)]);
                }
            }
            if declared == Declared::Created {
                self.govern_exchange(topology, name);
            }
            Ok(())
        });
        drop(door);
        declared
    }

    pub fn check_exchange(&self, name: &str) -> Result<(), TopologyError> {
        self.topology.read().check_exchange(name).map(drop)
    }

    pub fn delete_exchange(&self, name: &str, if_unused: bool) -> Result<(), TopologyError> {
        self.change(|topology| {
            let unbound = self.told_bindings(topology, name, false);
            let deleted = topology.delete_exchange(name, if_unused)?;
            if deleted.existed {
                let names = std::iter::once(name).chain(deleted.auto_deleted.iter().map(String::as_str));
                self.tell_unbound(&unbound);
                self.tell_exchanges_deleted(names.clone());
                let kept = self.forget_exchanges(names.clone());
                self.journal.define(kept.into_iter().chain(definitions::delete_exchanges(&self.name, names)));
            }
            Ok(())
        })
    }

    pub fn bind_queue(
        &self,
        source: &str,
        queue: &str,
        routing_key: &str,
        arguments: FieldTable,
    ) -> Result<Replay, TopologyError> {
        self.bind(End { source, destination: queue, to_queue: true, routing_key }, arguments)
    }

    pub fn unbind_queue(
        &self,
        source: &str,
        queue: &str,
        routing_key: &str,
        arguments: FieldTable,
    ) -> Result<(), TopologyError> {
        self.unbind(End { source, destination: queue, to_queue: true, routing_key }, arguments)
    }

    pub fn bind_exchange(
        &self,
        source: &str,
        destination: &str,
        routing_key: &str,
        arguments: FieldTable,
    ) -> Result<Replay, TopologyError> {
        self.bind(End { source, destination, to_queue: false, routing_key }, arguments)
    }

    pub fn unbind_exchange(
        &self,
        source: &str,
        destination: &str,
        routing_key: &str,
        arguments: FieldTable,
    ) -> Result<(), TopologyError> {
        self.unbind(End { source, destination, to_queue: false, routing_key }, arguments)
    }

    /// Returns what the destination is to get at once.
    fn bind(&self, ends: End<'_>, arguments: FieldTable) -> Result<Replay, TopologyError> {
        let End { source, destination, to_queue, routing_key } = ends;
        self.change(|topology| {
            let definition =
                (self.journal.is_on() && survives(topology, &ends)).then(|| ends.definition(&arguments));
            let told = self.events.is_watched().then(|| arguments.clone());
            let bound = if to_queue {
                topology.bind_queue(source, destination, routing_key, arguments)?
            } else {
                topology.bind_exchange(source, destination, routing_key, arguments)?
            };
            if bound == Bound::Existing {
                return Ok(Replay::none());
            }
            if let Some(arguments) = told {
                self.tell_bound(&ends, &arguments);
            }
            if let Some(binding) = definition {
                self.journal.define([Definition::Bind { vhost: self.name.to_string(), binding }]);
            }
            Ok(self.replay(topology, &ends))
        })
    }

    fn unbind(&self, ends: End<'_>, arguments: FieldTable) -> Result<(), TopologyError> {
        let End { source, destination, to_queue, routing_key } = ends;
        self.change(|topology| {
            let definition =
                (self.journal.is_on() && survives(topology, &ends)).then(|| ends.definition(&arguments));
            let told = self.events.is_watched().then(|| BindingSummary::between(&ends, &arguments));
            let unbound = if to_queue {
                topology.unbind_queue(source, destination, routing_key, arguments)?
            } else {
                topology.unbind_exchange(source, destination, routing_key, arguments)?
            };
            let vhost = self.name.to_string();
            let unbinding =
                definition.filter(|_| unbound.existed).map(|binding| Definition::Unbind { vhost, binding });
            let auto_deleted = unbound.auto_deleted.iter().map(String::as_str);
            if let Some(told) = told.filter(|_| unbound.existed) {
                self.tell_unbound(&[told]);
                self.tell_exchanges_deleted(auto_deleted.clone());
            }
            let kept = self.forget_exchanges(auto_deleted.clone());
            let exchanges = definitions::delete_exchanges(&self.name, auto_deleted);
            self.journal.define(unbinding.into_iter().chain(kept).chain(exchanges));
            Ok(())
        })
    }

    pub(super) fn keepers(&self) -> Keepers<'_> {
        Keepers { delays: &self.delays, duplicates: &self.duplicates }
    }

    /// Appends everything durable in the vhost to the log, so that older definitions are not needed.
    pub fn log_definitions(&self) {
        let topology = self.topology.read();
        self.journal.define(definitions::all(&self.name, &topology, self.keepers()));
    }

    /// Declares what a restart found. What cannot be declared is reported and left out: the rest is worth it.
    pub(super) fn restore(&self, definitions: Definitions, now: Millis) -> Vec<QueueRef> {
        let mut topology = self.topology.write();
        let mut queues = Vec::new();
        for exchange in &definitions.exchanges {
            if let Err(reason) = definitions::restore_exchange(&mut topology, exchange) {
                tracing::error!(
                    "exchange '{}' in vhost '{}' is not restored: {reason}",
                    exchange.name,
                    self.name
                );
            } else if let Some(declared) = topology.exchange(&exchange.name) {
                self.restore_memory(declared, exchange);
            }
            self.govern_exchange(&mut topology, &exchange.name);
        }
        for queue in &definitions.queues {
            let arguments = match parse_field_table(&queue.arguments) {
                Ok(table) => QueueArguments::stored(table),
                Err(reason) => {
                    tracing::error!(
                        "queue '{}' in vhost '{}' is not restored: {reason}",
                        queue.name,
                        self.name
                    );
                    continue;
                }
            };
            let queue_type = arguments.queue_type;
            let properties = QueueProperties {
                durable: true,
                auto_delete: queue.auto_delete,
                owner: None,
                arguments: arguments.shared(),
                identities: queue.identities,
            };
            let queue = self.new_queue(queue.id, &queue.name, properties, now);
            if topology.insert_queue(&queue.name, queue.clone(), queue_type, true) {
                if queue_type == QueueType::Stream {
                    self.streams.add(&queue);
                }
                queues.push(queue);
            }
        }
        for binding in &definitions.bindings {
            if let Err(reason) = definitions::restore_binding(&mut topology, binding) {
                let BindingDefinition { source, destination, .. } = binding;
                tracing::error!("the binding of '{destination}' to '{source}' is not restored: {reason}");
            }
        }
        self.count(&topology);
        self.note_listeners(&topology);
        drop(topology);
        self.routes_changed();
        queues
    }
}

/// Whether both ends of a binding are durable (RST-07, RST-08).
fn survives(topology: &Topology<QueueRef>, ends: &End<'_>) -> bool {
    let exchange = |name| topology.exchange(name).is_some_and(Exchange::durable);
    let destination = if ends.to_queue {
        topology.queue(ends.destination).is_some_and(|queue| queue.is_durable())
    } else {
        exchange(ends.destination)
    };
    destination && exchange(ends.source)
}

/// How often a message of a quorum queue may be given back, unless its declare says otherwise (QQ-04).
pub const DELIVERY_LIMIT: u32 = 20;

pub(super) fn settings(arguments: &QueueArguments, durable: bool) -> QueueSettings {
    let quorum = arguments.queue_type == QueueType::Quorum;
    let limit = match arguments.delivery_limit {
        None => Some(DELIVERY_LIMIT),
        // Negative: none.
        Some(limit) => u64::try_from(limit).ok().map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)),
    };
    QueueSettings {
        quorum,
        delivery_limit: limit.filter(|_| quorum),
        retry: arguments
            .retry_type
            .as_deref()
            .filter(|_| quorum)
            .and_then(|kind| Retry::named(kind, arguments.retry_min_ms, arguments.retry_max_ms)),
        durable,
        message_ttl: arguments.message_ttl_ms,
        expires: arguments.expires_ms,
        max_length: arguments.max_length,
        max_length_bytes: arguments.max_length_bytes,
        overflow: match arguments.overflow {
            // QUE-47.
            Overflow::RejectPublishDlx if quorum => Overflow::DropHead,
            overflow => overflow,
        },
        max_priority: arguments.max_priority.unwrap_or(0),
        single_active_consumer: arguments.single_active_consumer,
        dead_letters: arguments.dead_letter_exchange.is_some(),
        deduplicates: arguments.deduplicates,
        stream: (arguments.queue_type == QueueType::Stream).then(|| {
            StreamSettings::new(
                arguments.segment_bytes,
                arguments.max_length_bytes,
                arguments.max_age_s.map(|seconds| seconds.saturating_mul(1000)),
                arguments.filter_bytes,
                durable,
            )
        }),
    }
}
