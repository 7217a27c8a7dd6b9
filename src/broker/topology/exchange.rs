//! An exchange and what it was declared with.

use super::binding::BindingId;
use super::deduplication::CacheSettings;
use super::kind::{ExchangeKind, Router};
use crate::broker::arguments::long_string;
use amq_protocol::types::FieldTable;
use std::sync::Arc;

/// The argument that names an alternate exchange.
pub(super) const ALTERNATE_EXCHANGE: &str = "alternate-exchange";

/// The exchanges every virtual host has (EXC-01 to EXC-07); the last is internal.
pub(super) const PREDECLARED: [(&str, ExchangeKind); 7] = [
    ("", ExchangeKind::Direct),
    ("amq.direct", ExchangeKind::Direct),
    ("amq.fanout", ExchangeKind::Fanout),
    ("amq.topic", ExchangeKind::Topic),
    ("amq.headers", ExchangeKind::Headers),
    ("amq.match", ExchangeKind::Headers),
    (TRACE_EXCHANGE, ExchangeKind::Topic),
];

/// Where message tracing publishes.
pub(super) const TRACE_EXCHANGE: &str = "amq.rabbitmq.trace";

/// What a client asks an exchange to be.
#[derive(Clone, Debug, PartialEq)]
pub struct ExchangeDeclare<'a> {
    /// The name of its type.
    pub kind: &'a str,
    /// Whether it survives a restart.
    pub durable: bool,
    /// Whether it goes when the last binding from it goes.
    pub auto_delete: bool,
    /// Whether only other exchanges may feed it.
    pub internal: bool,
    /// Arguments, known and unknown.
    pub arguments: FieldTable,
}

/// A declared exchange.
#[derive(Clone, Debug)]
pub struct Exchange {
    name: Arc<str>,
    durable: bool,
    auto_delete: bool,
    internal: bool,
    arguments: FieldTable,
    alternate: Option<Box<str>>,
    alternate_by_policy: Option<Box<str>>,
    pub(super) router: Router,
    /// Bindings in which this is the source, and those in which it is the destination.
    pub(super) outgoing: Vec<BindingId>,
    pub(super) incoming: Vec<BindingId>,
}

impl Exchange {
    pub(super) fn new(name: Arc<str>, router: Router, declare: ExchangeDeclare<'_>) -> Self {
        let ExchangeDeclare { kind: _, durable, auto_delete, internal, arguments } = declare;
        let alternate = arguments.inner().get(ALTERNATE_EXCHANGE).and_then(long_string);
        Self {
            name,
            durable,
            auto_delete,
            internal,
            arguments,
            alternate: alternate.map(String::into_boxed_str),
            alternate_by_policy: None,
            router,
            outgoing: Vec::new(),
            incoming: Vec::new(),
        }
    }

    pub(super) fn set_alternate_by_policy(&mut self, name: Option<&str>) {
        self.alternate_by_policy = name.map(Into::into);
    }

    /// The alternate exchange that a policy gives.
    pub fn alternate_by_policy(&self) -> Option<&str> {
        self.alternate_by_policy.as_deref()
    }

    pub(super) fn shared_name(&self) -> &Arc<str> {
        &self.name
    }

    /// Its name; empty for the default exchange.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its type.
    pub fn kind(&self) -> ExchangeKind {
        self.router.kind()
    }

    /// Whether it survives a restart.
    pub fn durable(&self) -> bool {
        self.durable
    }

    /// Whether it goes when the last binding from it goes.
    pub fn auto_delete(&self) -> bool {
        self.auto_delete
    }

    /// Whether clients may not publish to it.
    pub fn internal(&self) -> bool {
        self.internal
    }

    /// The arguments it was declared with.
    pub fn arguments(&self) -> &FieldTable {
        &self.arguments
    }

    /// How many messages it remembers for what is bound later; none but a recent-history exchange does (EXC-87).
    pub fn history_length(&self) -> Option<u64> {
        match self.router.inner() {
            Router::RecentHistory(history) => Some(history.length),
            _ => None,
        }
    }

    /// What it keeps in mind to recognise messages it saw; nothing but a deduplication exchange does (EXC-91).
    pub fn cache(&self) -> Option<CacheSettings> {
        match self.router.inner() {
            Router::Deduplication(deduplication) => Some(deduplication.cache),
            _ => None,
        }
    }

    /// Whether it keeps anything of the messages that it is given.
    pub(super) fn has_memory(&self) -> bool {
        self.is_delayed() || self.history_length().is_some() || self.cache().is_some()
    }

    /// Whether messages may have to wait before it routes them (EXC-88).
    pub fn is_delayed(&self) -> bool {
        matches!(self.router, Router::Delayed(_))
    }

    /// Where messages go that it routes nowhere; the argument wins over the policy (EXC-20).
    pub fn alternate_exchange(&self) -> Option<&str> {
        self.alternate.as_deref().or(self.alternate_by_policy.as_deref())
    }
}
