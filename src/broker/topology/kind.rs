//! Exchange types by name, and the router that each of them is.
//!
//! Adding a type is adding its file, one variant of each enum here, and its name.

use super::binding::{Binding, Destination};
use super::consistent_hash::ConsistentHash;
use super::deduplication::Deduplication;
use super::delayed;
use super::direct::Direct;
use super::error::TopologyError;
use super::fanout::Fanout;
use super::headers::Headers;
use super::local_random;
use super::modulus_hash::ModulusHash;
use super::random::{Dice, Random};
use super::recent_history::RecentHistory;
use super::route::Message;
use super::topic::{Topic, TopicScratch};
use crate::broker::queue_type::QueueType;
use amq_protocol::types::FieldTable;
use std::sync::Arc;

/// The type of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExchangeKind {
    /// Routing key equal to the binding key.
    Direct,
    /// Everything bound.
    Fanout,
    /// Routing key matching a pattern of words.
    Topic,
    /// Message headers matching the binding's arguments.
    Headers,
    /// One destination by a hash and weights.
    ConsistentHash,
    /// One destination by a hash.
    ModulusHash,
    /// One destination, whichever.
    Random,
    /// One queue of this node, whichever.
    LocalRandom,
    /// Everything bound, and the last messages for what is bound later.
    RecentHistory,
    /// Everything bound, each message once.
    Deduplication,
    /// As another type, when a message's time has come.
    Delayed,
}

impl ExchangeKind {
    /// Every type, for listings.
    pub const ALL: [Self; 11] = [
        Self::Direct,
        Self::Fanout,
        Self::Topic,
        Self::Headers,
        Self::ConsistentHash,
        Self::ModulusHash,
        Self::Random,
        Self::LocalRandom,
        Self::RecentHistory,
        Self::Deduplication,
        Self::Delayed,
    ];

    /// The type with this name; CH-24 if there is none.
    pub fn named(name: &str) -> Result<Self, TopologyError> {
        let kind = Self::ALL.into_iter().find(|kind| kind.name() == name);
        kind.ok_or_else(|| TopologyError::UnknownType { kind: name.to_owned() })
    }

    /// The name clients declare it by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Topic => "topic",
            Self::Headers => "headers",
            Self::ConsistentHash => "x-consistent-hash",
            Self::ModulusHash => "x-modulus-hash",
            Self::Random => "x-random",
            Self::LocalRandom => "x-local-random",
            Self::RecentHistory => "x-recent-history",
            Self::Deduplication => "x-message-deduplication",
            Self::Delayed => "x-delayed-message",
        }
    }
}

/// The bindings of one exchange in the form that its type matches by.
#[derive(Clone, Debug)]
pub(super) enum Router {
    Direct(Direct),
    Fanout(Fanout),
    Topic(Topic),
    Headers(Headers),
    ConsistentHash(ConsistentHash),
    ModulusHash(ModulusHash),
    Random(Random),
    LocalRandom(Random),
    RecentHistory(RecentHistory),
    Deduplication(Deduplication),
    Delayed(Box<Router>),
}

/// What routers work with, kept between messages.
#[derive(Clone, Debug, Default)]
pub(super) struct RouterScratch {
    pub(super) topic: TopicScratch,
    pub(super) dice: Dice,
}

impl Router {
    /// The router of an exchange declared with these arguments.
    pub(super) fn new(kind: ExchangeKind, arguments: &FieldTable) -> Result<Self, TopologyError> {
        Ok(match kind {
            ExchangeKind::Direct => Self::Direct(Direct::default()),
            ExchangeKind::Fanout => Self::Fanout(Fanout::default()),
            ExchangeKind::Topic => Self::Topic(Topic::default()),
            ExchangeKind::Headers => Self::Headers(Headers::default()),
            ExchangeKind::ConsistentHash => Self::ConsistentHash(ConsistentHash::new(arguments)?),
            ExchangeKind::ModulusHash => Self::ModulusHash(ModulusHash::default()),
            ExchangeKind::Random => Self::Random(Random::default()),
            ExchangeKind::LocalRandom => Self::LocalRandom(Random::default()),
            ExchangeKind::RecentHistory => Self::RecentHistory(RecentHistory::new(arguments)?),
            ExchangeKind::Deduplication => Self::Deduplication(Deduplication::new(arguments)?),
            ExchangeKind::Delayed => Self::Delayed(Box::new(delayed::inner(arguments)?)),
        })
    }

    pub(super) fn kind(&self) -> ExchangeKind {
        match self {
            Self::Direct(_) => ExchangeKind::Direct,
            Self::Fanout(_) => ExchangeKind::Fanout,
            Self::Topic(_) => ExchangeKind::Topic,
            Self::Headers(_) => ExchangeKind::Headers,
            Self::ConsistentHash(_) => ExchangeKind::ConsistentHash,
            Self::ModulusHash(_) => ExchangeKind::ModulusHash,
            Self::Random(_) => ExchangeKind::Random,
            Self::LocalRandom(_) => ExchangeKind::LocalRandom,
            Self::RecentHistory(_) => ExchangeKind::RecentHistory,
            Self::Deduplication(_) => ExchangeKind::Deduplication,
            Self::Delayed(_) => ExchangeKind::Delayed,
        }
    }

    /// Itself, or what a delayed exchange routes by.
    pub(super) fn inner(&self) -> &Router {
        match self {
            Self::Delayed(inner) => inner,
            other => other,
        }
    }

    /// Whether messages with the same routing keys go the same way for as long as the bindings stand, and all that
    /// counts of them is where they go.
    pub(super) fn is_by_keys(&self) -> bool {
        match self {
            Self::Direct(_) | Self::Fanout(_) | Self::Topic(_) | Self::ModulusHash(_) => true,
            Self::ConsistentHash(ring) => ring.is_by_keys(),
            Self::Headers(_) | Self::Random(_) | Self::LocalRandom(_) => false,
            Self::RecentHistory(_) | Self::Deduplication(_) | Self::Delayed(_) => false,
        }
    }

    /// Whether a binding may be made; its destination is a queue of this type, or an exchange.
    pub(super) fn validate(
        &self,
        binding: &Binding,
        queue_type: Option<QueueType>,
    ) -> Result<(), TopologyError> {
        match self {
            Self::Headers(_) => binding.arguments().map_or(Ok(()), Headers::validate),
            Self::ConsistentHash(_) => Ok(ConsistentHash::validate(binding)?),
            Self::LocalRandom(_) => Ok(local_random::validate(binding, queue_type)?),
            Self::Delayed(inner) => inner.validate(binding, queue_type),
            Self::Direct(_)
            | Self::Fanout(_)
            | Self::Topic(_)
            | Self::ModulusHash(_)
            | Self::Random(_)
            | Self::RecentHistory(_)
            | Self::Deduplication(_) => Ok(()),
        }
    }

    /// Takes in a binding that passed [`Router::validate`]; `name` is its destination's.
    pub(super) fn insert(&mut self, binding: &Binding, name: &Arc<str>) {
        match self {
            Self::Direct(direct) => direct.insert(binding),
            Self::Fanout(fanout) => fanout.insert(binding),
            Self::Topic(topic) => topic.insert(binding),
            Self::Headers(headers) => headers.insert(binding),
            Self::ConsistentHash(ring) => ring.insert(binding),
            Self::ModulusHash(row) => row.insert(binding, name),
            Self::Random(random) | Self::LocalRandom(random) => random.insert(binding),
            Self::RecentHistory(history) => history.fanout.insert(binding),
            Self::Deduplication(deduplication) => deduplication.fanout.insert(binding),
            Self::Delayed(inner) => inner.insert(binding, name),
        }
    }

    /// Takes out a binding that was inserted.
    pub(super) fn remove(&mut self, binding: &Binding, name: &str) {
        match self {
            Self::Direct(direct) => direct.remove(binding),
            Self::Fanout(fanout) => fanout.remove(binding),
            Self::Topic(topic) => topic.remove(binding),
            Self::Headers(headers) => headers.remove(binding),
            Self::ConsistentHash(ring) => ring.remove(binding),
            Self::ModulusHash(row) => row.remove(binding, name),
            Self::Random(random) | Self::LocalRandom(random) => random.remove(binding),
            Self::RecentHistory(history) => history.fanout.remove(binding),
            Self::Deduplication(deduplication) => deduplication.fanout.remove(binding),
            Self::Delayed(inner) => inner.remove(binding, name),
        }
    }

    /// Appends where the message goes from here; a destination may come more than once.
    pub(super) fn route(
        &self,
        message: Message<'_>,
        scratch: &mut RouterScratch,
        found: &mut Vec<Destination>,
    ) {
        match self {
            Self::Direct(direct) => message.keys.iter().for_each(|key| direct.route(key, found)),
            Self::Fanout(fanout) => fanout.route(found),
            Self::Topic(topic) => {
                message.keys.iter().for_each(|key| topic.route(key, &mut scratch.topic, found));
            }
            Self::Headers(headers) => headers.route(message.headers, found),
            Self::ConsistentHash(ring) => ring.route(message, found),
            Self::ModulusHash(row) => row.route(&message.keys, found),
            Self::Random(random) | Self::LocalRandom(random) => random.route(&mut scratch.dice, found),
            Self::RecentHistory(history) => history.fanout.route(found),
            Self::Deduplication(deduplication) => deduplication.fanout.route(found),
            Self::Delayed(inner) => inner.route(message, scratch, found),
        }
    }
}
