//! Exchange types by name, and the router that each of them is.
//!
//! Adding a type is adding its file, one variant of each enum here, and its name.

use super::binding::{Binding, Destination};
use super::direct::Direct;
use super::error::TopologyError;
use super::fanout::Fanout;
use super::headers::Headers;
use super::route::Message;
use super::topic::{Topic, TopicScratch};
use amq_protocol::types::FieldTable;

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
}

impl ExchangeKind {
    /// Every type, for listings.
    pub const ALL: [Self; 4] = [Self::Direct, Self::Fanout, Self::Topic, Self::Headers];

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
}

impl Router {
    pub(super) fn new(kind: ExchangeKind) -> Self {
        match kind {
            ExchangeKind::Direct => Self::Direct(Direct::default()),
            ExchangeKind::Fanout => Self::Fanout(Fanout::default()),
            ExchangeKind::Topic => Self::Topic(Topic::default()),
            ExchangeKind::Headers => Self::Headers(Headers::default()),
        }
    }

    pub(super) fn kind(&self) -> ExchangeKind {
        match self {
            Self::Direct(_) => ExchangeKind::Direct,
            Self::Fanout(_) => ExchangeKind::Fanout,
            Self::Topic(_) => ExchangeKind::Topic,
            Self::Headers(_) => ExchangeKind::Headers,
        }
    }

    /// Whether a binding with these arguments may be made.
    pub(super) fn validate(&self, arguments: &FieldTable) -> Result<(), TopologyError> {
        match self {
            Self::Headers(_) => Headers::validate(arguments),
            Self::Direct(_) | Self::Fanout(_) | Self::Topic(_) => Ok(()),
        }
    }

    /// Takes in a binding whose arguments passed [`Router::validate`].
    pub(super) fn insert(&mut self, binding: &Binding) {
        match self {
            Self::Direct(direct) => direct.insert(binding),
            Self::Fanout(fanout) => fanout.insert(binding),
            Self::Topic(topic) => topic.insert(binding),
            Self::Headers(headers) => headers.insert(binding),
        }
    }

    /// Takes out a binding that was inserted.
    pub(super) fn remove(&mut self, binding: &Binding) {
        match self {
            Self::Direct(direct) => direct.remove(binding),
            Self::Fanout(fanout) => fanout.remove(binding),
            Self::Topic(topic) => topic.remove(binding),
            Self::Headers(headers) => headers.remove(binding),
        }
    }

    /// Appends where the message goes from here; a destination may come more than once.
    pub(super) fn route(
        &self,
        message: Message<'_>,
        scratch: &mut TopicScratch,
        found: &mut Vec<Destination>,
    ) {
        match self {
            Self::Direct(direct) => message.keys.iter().for_each(|key| direct.route(key, found)),
            Self::Fanout(fanout) => fanout.route(found),
            Self::Topic(topic) => message.keys.iter().for_each(|key| topic.route(key, scratch, found)),
            Self::Headers(headers) => headers.route(message.headers, found),
        }
    }
}
