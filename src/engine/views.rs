//! What a vhost holds, copied out for listings: its lock is held to copy, never to serialise.

use super::{DelayRef, Delays, QueueRef, Vhost, definitions::End};
use crate::{
    amqp::{AMQPValue, FieldTable},
    broker::arguments::integer,
    broker::topology::{BindingView, DestinationView, Exchange, ExchangeKind, TopologyError},
};

/// The argument of an exchange that makes the streams bound to it a super stream.
pub const SUPER_STREAM: &str = "x-super-stream";
/// The argument of their bindings with their number.
pub const PARTITION_ORDER: &str = "x-stream-partition-order";

/// Whether an exchange with these arguments stands for a super stream.
pub fn is_super_stream(arguments: &FieldTable) -> bool {
    arguments.inner().get(SUPER_STREAM) == Some(&AMQPValue::Boolean(true))
}

/// An exchange at one moment.
#[derive(Debug, Clone)]
pub struct ExchangeSummary {
    pub name: String,
    pub kind: &'static str,
    pub durable: bool,
    pub auto_delete: bool,
    pub internal: bool,
    pub arguments: FieldTable,
    /// How many messages wait in it, if messages can.
    pub messages_delayed: Option<u64>,
}

impl ExchangeSummary {
    fn of(exchange: &Exchange, delays: &Delays) -> ExchangeSummary {
        let delay = if exchange.is_delayed() { delays.of(exchange.name()) } else { None };
        ExchangeSummary {
            name: exchange.name().to_owned(),
            kind: exchange.kind().name(),
            durable: exchange.durable(),
            auto_delete: exchange.auto_delete(),
            internal: exchange.internal(),
            arguments: exchange.arguments().clone(),
            messages_delayed: delay.map(|delay| delay.waiting().messages),
        }
    }
}

/// A binding at one moment.
#[derive(Debug, Clone)]
pub struct BindingSummary {
    pub source: String,
    pub destination: String,
    pub to_queue: bool,
    pub routing_key: String,
    pub arguments: FieldTable,
}

impl BindingSummary {
    /// The one between these.
    pub(super) fn between(ends: &End<'_>, arguments: &FieldTable) -> BindingSummary {
        BindingSummary {
            source: ends.source.to_owned(),
            destination: ends.destination.to_owned(),
            to_queue: ends.to_queue,
            routing_key: ends.routing_key.to_owned(),
            arguments: arguments.clone(),
        }
    }

    pub(super) fn of(binding: BindingView<'_>) -> BindingSummary {
        let (destination, to_queue) = match binding.destination {
            DestinationView::Queue(name) => (name, true),
            DestinationView::Exchange(name) => (name, false),
        };
        BindingSummary {
            source: binding.source.to_owned(),
            destination: destination.to_owned(),
            to_queue,
            routing_key: binding.routing_key.to_owned(),
            arguments: binding.arguments.cloned().unwrap_or_default(),
        }
    }
}

/// Which bindings are meant.
#[derive(Debug, Clone, Copy)]
pub enum BindingsOf<'a> {
    All,
    Source(&'a str),
    ToExchange(&'a str),
    ToQueue(&'a str),
}

impl Vhost {
    /// Refuses exchanges that clients cannot publish to.
    pub(super) fn check_publishable(&self, exchange: &str) -> Result<(), TopologyError> {
        self.topology.read().publishable(exchange)
    }

    /// Its queues, in no particular order.
    pub fn queues(&self) -> Vec<QueueRef> {
        self.topology.read().queues().map(|(_, queue)| queue.clone()).collect()
    }

    pub fn queue_count(&self) -> usize {
        self.topology.read().queue_count()
    }

    pub fn has_exchange(&self, name: &str) -> bool {
        self.topology.read().exchange(name).is_some()
    }

    pub fn exchange_count(&self) -> usize {
        self.topology.read().exchange_count()
    }

    /// Its exchanges, in no particular order, the default one included.
    pub fn exchanges(&self) -> Vec<ExchangeSummary> {
        let of = |exchange: &Exchange| ExchangeSummary::of(exchange, &self.delays);
        self.topology.read().exchanges().map(of).collect()
    }

    pub fn exchange(&self, name: &str) -> Option<ExchangeSummary> {
        self.topology.read().exchange(name).map(|exchange| ExchangeSummary::of(exchange, &self.delays))
    }

    /// What waits in an exchange, if messages can.
    pub fn delayed_exchange(&self, name: &str) -> Option<DelayRef> {
        self.delays.of(name)
    }

    /// Whether an exchange is a topic exchange, so that rights on topics count for it.
    pub fn has_topics(&self, exchange: &str) -> bool {
        let topology = self.topology.read();
        topology.exchange(exchange).is_some_and(|exchange| exchange.kind() == ExchangeKind::Topic)
    }

    /// The number of a stream among those of its super stream: what its binding says, or 0.
    pub fn partition(&self, stream: &str) -> u64 {
        let topology = self.topology.read();
        let is_super = |binding: &BindingView<'_>| {
            topology.exchange(binding.source).is_some_and(|exchange| is_super_stream(exchange.arguments()))
        };
        let binding = topology.bindings_to_queue(stream).find(is_super);
        let order = binding.and_then(|binding| binding.arguments?.inner().get(PARTITION_ORDER).cloned());
        order.as_ref().and_then(integer).and_then(|order| u64::try_from(order).ok()).unwrap_or(0)
    }

    pub fn bindings(&self, of: BindingsOf<'_>) -> Vec<BindingSummary> {
        let topology = self.topology.read();
        match of {
            BindingsOf::All => topology.bindings().map(BindingSummary::of).collect(),
            BindingsOf::Source(name) => topology.bindings_from(name).map(BindingSummary::of).collect(),
            BindingsOf::ToExchange(name) => {
                topology.bindings_to_exchange(name).map(BindingSummary::of).collect()
            }
            BindingsOf::ToQueue(name) => topology.bindings_to_queue(name).map(BindingSummary::of).collect(),
        }
    }
}

/// Some queues of a vhost, chosen by their names.
#[derive(Debug, Default)]
pub struct ChosenQueues {
    /// How many there are, and how many of them have a name that passes.
    pub total: usize,
    pub passed: usize,
    pub queues: Vec<QueueRef>,
}

/// Octets of a name by which most names differ; compared without going to where each name lies.
type Prefix = [u8; 24];

fn prefix(name: &str) -> Prefix {
    let mut prefix: Prefix = [0; 24];
    prefix.iter_mut().zip(name.bytes()).for_each(|(place, octet)| *place = octet);
    prefix
}

impl Vhost {
    /// The queues with names that pass, from one place in the order of names to another. Others are neither
    /// sorted nor cloned: of 100,000 queues one page takes a few milliseconds.
    pub fn choose_queues(
        &self,
        passes: impl Fn(&str) -> bool,
        range: std::ops::Range<usize>,
        reverse: bool,
    ) -> ChosenQueues {
        let topology = self.topology.read();
        let mut names: Vec<(Prefix, &str, &QueueRef)> = Vec::with_capacity(topology.queue_count());
        names.extend(
            topology
                .queues()
                .filter(|(name, _)| passes(name))
                .map(|(name, queue)| (prefix(name), name, queue)),
        );
        let passed = names.len();
        let (from, to) = (range.start.min(passed), range.end.min(passed));
        let order = |one: &(Prefix, &str, &QueueRef), other: &(Prefix, &str, &QueueRef)| {
            let order = (one.0, one.1).cmp(&(other.0, other.1));
            if reverse { order.reverse() } else { order }
        };
        if from != 0 && from < passed {
            names.select_nth_unstable_by(from, order);
        }
        let rest = names.get_mut(from..).unwrap_or_default();
        let count = to.saturating_sub(from);
        if count != 0 && count < rest.len() {
            rest.select_nth_unstable_by(count - 1, order);
        }
        let chosen = rest.get_mut(..count).unwrap_or_default();
        chosen.sort_unstable_by(order);
        let queues = chosen.iter().map(|(_, _, queue)| (*queue).clone()).collect();
        ChosenQueues { total: topology.queue_count(), passed, queues }
    }
}
