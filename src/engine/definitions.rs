//! Exchanges, queues and bindings as the log keeps them, and back.

use super::{Delays, Duplicates, QueueRef};
use crate::{
    amqp::{
        FieldTable,
        table::{TableError, field_table_bytes, parse_field_table},
    },
    broker::topology::{DestinationView, Exchange, ExchangeDeclare, Topology, TopologyError},
    store::{BindingDefinition, Definition, ExchangeDefinition, QueueDefinition},
};

/// Names that are there without being declared.
const PREDECLARED_PREFIX: &str = "amq.";

/// Why a definition of the log cannot be declared.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error("{0}")]
    Topology(#[from] TopologyError),
    #[error("{0}")]
    Table(#[from] TableError),
}

/// What a binding binds.
#[derive(Debug, Clone, Copy)]
pub struct End<'a> {
    pub source: &'a str,
    pub destination: &'a str,
    pub to_queue: bool,
    pub routing_key: &'a str,
}

impl End<'_> {
    pub fn definition(&self, arguments: &FieldTable) -> BindingDefinition {
        BindingDefinition {
            source: self.source.to_owned(),
            destination: self.destination.to_owned(),
            to_queue: self.to_queue,
            routing_key: self.routing_key.to_owned(),
            arguments: field_table_bytes(arguments),
        }
    }
}

/// Where exchanges keep messages.
#[derive(Debug, Clone, Copy)]
pub struct Keepers<'a> {
    pub delays: &'a Delays,
    pub duplicates: &'a Duplicates,
}

fn exchange_definition(exchange: &Exchange, keepers: Keepers<'_>) -> ExchangeDefinition {
    ExchangeDefinition {
        delay: keepers.delays.of(exchange.name()).map(|delay| delay.number),
        cache: keepers.duplicates.number_of(exchange.name()),
        name: exchange.name().to_owned(),
        kind: exchange.kind().name().to_owned(),
        auto_delete: exchange.auto_delete(),
        internal: exchange.internal(),
        arguments: field_table_bytes(exchange.arguments()),
    }
}

pub fn declare_exchange(vhost: &str, exchange: &Exchange, keepers: Keepers<'_>) -> Definition {
    let exchange = exchange_definition(exchange, keepers);
    Definition::DeclareExchange { vhost: vhost.to_owned(), exchange }
}

/// Deletions by name; of what was not durable the log knows nothing, and ignores it.
pub fn delete_exchanges<'a>(
    vhost: &'a str,
    names: impl Iterator<Item = &'a str>,
) -> impl Iterator<Item = Definition> {
    names.map(|name| Definition::DeleteExchange { vhost: vhost.to_owned(), name: name.to_owned() })
}

pub fn declare_queue(queue: &QueueRef) -> Definition {
    let definition = QueueDefinition {
        name: queue.name.to_string(),
        id: queue.number,
        auto_delete: queue.properties.auto_delete,
        arguments: field_table_bytes(&queue.properties.arguments.raw),
        identities: queue.properties.identities,
    };
    Definition::DeclareQueue { vhost: queue.vhost.to_string(), queue: definition }
}

/// With what it kept beside its messages.
pub fn delete_queue(queue: &QueueRef) -> impl Iterator<Item = Definition> {
    let vhost = || queue.vhost.to_string();
    let kept = queue.properties.identities.map(|id| Definition::DeleteKept { vhost: vhost(), id });
    let name = queue.name.to_string();
    kept.into_iter().chain([Definition::DeleteQueue { vhost: vhost(), name, id: queue.number }])
}

/// Everything durable in a vhost, in an order in which it can be declared again.
pub fn all(vhost: &str, topology: &Topology<QueueRef>, keepers: Keepers<'_>) -> Vec<Definition> {
    let name = || vhost.to_owned();
    let mut definitions = vec![Definition::Reset { vhost: name() }];
    let declared = |exchange: &&Exchange| {
        exchange.durable() && !exchange.name().is_empty() && !exchange.name().starts_with(PREDECLARED_PREFIX)
    };
    let exchanges = topology.exchanges().filter(declared);
    definitions.extend(exchanges.map(|exchange| declare_exchange(vhost, exchange, keepers)));
    let durable = topology.queues().filter(|(_, queue)| queue.is_durable());
    definitions.extend(durable.map(|(_, queue)| declare_queue(queue)));
    for binding in topology.bindings().filter(|binding| binding.durable && !binding.source.is_empty()) {
        let (destination, to_queue) = match binding.destination {
            DestinationView::Queue(name) => (name, true),
            DestinationView::Exchange(name) => (name, false),
        };
        let ends = End { source: binding.source, destination, to_queue, routing_key: binding.routing_key };
        let none = FieldTable::default();
        let binding = ends.definition(binding.arguments.unwrap_or(&none));
        definitions.push(Definition::Bind { vhost: name(), binding });
    }
    definitions
}

pub fn restore_exchange(
    topology: &mut Topology<QueueRef>,
    exchange: &ExchangeDefinition,
) -> Result<(), RestoreError> {
    let declare = ExchangeDeclare {
        kind: &exchange.kind,
        durable: true,
        auto_delete: exchange.auto_delete,
        internal: exchange.internal,
        arguments: parse_field_table(&exchange.arguments)?,
    };
    topology.declare_exchange(&exchange.name, declare)?;
    Ok(())
}

pub fn restore_binding(
    topology: &mut Topology<QueueRef>,
    binding: &BindingDefinition,
) -> Result<(), RestoreError> {
    let BindingDefinition { source, destination, to_queue, routing_key, arguments } = binding;
    let arguments = parse_field_table(arguments)?;
    if *to_queue {
        topology.bind_queue(source, destination, routing_key, arguments)?;
    } else {
        topology.bind_exchange(source, destination, routing_key, arguments)?;
    }
    Ok(())
}
