//! Declaring and deleting exchanges (CH-20 to CH-31, EXC-15, EXC-16).

use super::Topology;
use super::binding::ExchangeId;
use super::error::TopologyError;
use super::exchange::{ALTERNATE_EXCHANGE, Exchange, ExchangeDeclare};
use super::kind::{ExchangeKind, Router};
use crate::amqp::table::value_type_name;
use crate::broker::arguments::inequivalence;
use amq_protocol::types::{AMQPValue, FieldTable};
use std::sync::Arc;

/// The beginning of names that only the broker gives.
const RESERVED_PREFIX: &str = "amq.";

/// What a declare did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declared {
    /// The exchange is new.
    Created,
    /// It existed with equal attributes.
    Existing,
}

/// What a delete did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Whether the exchange existed; if not, there is nothing wrong (CH-30).
    pub existed: bool,
    /// The auto-delete exchanges that went with it.
    pub auto_deleted: Vec<String>,
}

impl<Q: Clone> Topology<Q> {
    /// Creates an exchange, or checks that the existing one is what the client asks for.
    pub fn declare_exchange(
        &mut self,
        name: &str,
        declare: ExchangeDeclare<'_>,
    ) -> Result<Declared, TopologyError> {
        let kind = ExchangeKind::named(declare.kind)?;
        refuse_default(name)?;
        if let Some(current) = self.exchange(name) {
            self.check_equivalence(current, kind, &declare)?;
            return Ok(Declared::Existing);
        }
        if name.starts_with(RESERVED_PREFIX) {
            return Err(TopologyError::ReservedName { name: name.to_owned() });
        }
        self.check_arguments(name, &declare.arguments)?;
        let router = Router::new(kind, &declare.arguments)?;
        self.add_exchange(name, router, declare);
        Ok(Declared::Created)
    }

    /// The passive declare: the exchange exists (CH-20, CH-21).
    pub fn check_exchange(&self, name: &str) -> Result<&Exchange, TopologyError> {
        refuse_default(name)?;
        self.exchange(name).ok_or_else(|| self.no_exchange(name))
    }

    /// Deletes an exchange with all its bindings; with `if_unused` only if nothing is bound to it.
    pub fn delete_exchange(&mut self, name: &str, if_unused: bool) -> Result<Deleted, TopologyError> {
        refuse_default(name)?;
        if name.starts_with(RESERVED_PREFIX) {
            return Err(TopologyError::SystemExchange { name: name.to_owned(), vhost: self.vhost() });
        }
        let Some(id) = self.exchange_id(name) else { return Ok(Deleted::default()) };
        if if_unused && !self.exchanges[id].outgoing.is_empty() {
            return Err(TopologyError::InUse { name: name.to_owned(), vhost: self.vhost() });
        }
        let bereft = self.remove_exchange(id);
        Ok(Deleted { existed: true, auto_deleted: self.remove_cascading(bereft) })
    }

    /// Sets or clears the alternate exchange that a policy gives (EXC-20); false if there is no such exchange.
    pub fn set_alternate_by_policy(&mut self, exchange: &str, alternate: Option<&str>) -> bool {
        let Some(id) = self.exchange_id(exchange) else { return false };
        self.exchanges[id].set_alternate_by_policy(alternate);
        self.changed();
        true
    }

    /// Adds a topic exchange that only the broker itself publishes to, unless it is there.
    pub fn add_internal_topic(&mut self, name: &str) {
        if self.exchange(name).is_some() {
            return;
        }
        let declare = ExchangeDeclare {
            kind: ExchangeKind::Topic.name(),
            durable: true,
            auto_delete: false,
            internal: true,
            arguments: FieldTable::default(),
        };
        let router = Router::new(ExchangeKind::Topic, &declare.arguments).expect("it needs no arguments");
        self.add_exchange(name, router, declare);
    }

    pub(super) fn add_exchange(&mut self, name: &str, router: Router, declare: ExchangeDeclare<'_>) {
        let name: Arc<str> = name.into();
        let id = self.exchanges.insert(Exchange::new(name.clone(), router, declare));
        self.exchange_ids.insert(name, id);
        self.changed();
    }

    /// Removes auto-delete exchanges that lost their last binding, and those that lose theirs by that (EXC-16).
    pub(super) fn remove_cascading(&mut self, mut bereft: Vec<ExchangeId>) -> Vec<String> {
        let mut names = Vec::new();
        while let Some(id) = bereft.pop() {
            names.push(self.exchanges[id].name().to_owned());
            bereft.extend(self.remove_exchange(id));
        }
        names
    }

    /// Removes an exchange and its bindings; returns the auto-delete exchanges that it left without bindings.
    fn remove_exchange(&mut self, id: ExchangeId) -> Vec<ExchangeId> {
        while let Some(binding) = self.exchanges[id].outgoing.last() {
            // Where this exchange is the source nobody else loses a binding as source.
            self.remove_binding(*binding);
        }
        let mut bereft = Vec::new();
        while let Some(binding) = self.exchanges[id].incoming.last() {
            bereft.extend(self.remove_binding(*binding));
        }
        let exchange = self.exchanges.remove(id);
        self.exchange_ids.remove(exchange.name());
        self.changed();
        bereft
    }

    /// CH-25 and CH-26, in the order that decides which difference is reported.
    fn check_equivalence(
        &self,
        current: &Exchange,
        kind: ExchangeKind,
        declare: &ExchangeDeclare<'_>,
    ) -> Result<(), TopologyError> {
        let alternate = inequivalence(
            current.arguments().inner().get(ALTERNATE_EXCHANGE),
            declare.arguments.inner().get(ALTERNATE_EXCHANGE),
        );
        let differences = [
            ("type", difference(kind.name(), current.kind().name())),
            ("durable", difference(declare.durable, current.durable())),
            ("auto_delete", difference(declare.auto_delete, current.auto_delete())),
            ("internal", difference(declare.internal, current.internal())),
            (ALTERNATE_EXCHANGE, alternate),
        ];
        for (attribute, difference) in differences {
            if let Some(difference) = difference {
                let (name, vhost) = (current.name().to_owned(), self.vhost());
                return Err(TopologyError::Inequivalent { attribute, name, vhost, difference });
            }
        }
        Ok(())
    }

    /// CH-27: an alternate exchange is named by a long string.
    fn check_arguments(&self, name: &str, arguments: &FieldTable) -> Result<(), TopologyError> {
        match arguments.inner().get(ALTERNATE_EXCHANGE) {
            None | Some(AMQPValue::LongString(_)) => Ok(()),
            Some(other) => Err(TopologyError::ArgumentType {
                argument: ALTERNATE_EXCHANGE,
                found: value_type_name(other),
                name: name.to_owned(),
                vhost: self.vhost(),
            }),
        }
    }
}

/// CH-28: nothing may be done to the default exchange but publishing.
pub(super) fn refuse_default(name: &str) -> Result<(), TopologyError> {
    match name.is_empty() {
        true => Err(TopologyError::DefaultExchange),
        false => Ok(()),
    }
}

fn difference<T: PartialEq + std::fmt::Display>(received: T, current: T) -> Option<String> {
    (received != current).then(|| format!("received '{received}' but current is '{current}'"))
}
