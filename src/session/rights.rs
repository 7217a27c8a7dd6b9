//! What the user may do: asked before anything else is looked at, so that refusals do not tell what exists
//! (PRM-01 to PRM-22).

use std::sync::Arc;

use super::{Core, topology::clean_name};
use crate::{
    amqp::{AMQPValue, FieldTable, exchange},
    engine::{Permission, Refused, Resource, Right, TopicRights},
};

/// Arguments that name an exchange to write to.
pub const DEAD_LETTER_EXCHANGE: &str = "x-dead-letter-exchange";
const ALTERNATE_EXCHANGE: &str = "alternate-exchange";

/// The rights of the session's user in its vhost, as of a generation.
#[derive(Debug, Default)]
pub struct Rights {
    generation: u64,
    permission: Option<Arc<Permission>>,
    topics: Option<Arc<TopicRights>>,
}

/// The exchange that an argument names.
pub fn named_exchange(arguments: &FieldTable, argument: &str) -> Option<String> {
    match arguments.inner().get(argument) {
        Some(AMQPValue::LongString(name)) => Some(String::from_utf8_lossy(name.as_bytes()).into_owned()),
        _ => None,
    }
}

impl Core {
    fn permission(&mut self) -> Option<&Permission> {
        let generation = self.node.access.generation();
        if generation != self.rights.generation {
            let vhost = self.vhost.as_ref()?;
            let permission = self.node.access.permission(&vhost.name, &self.user);
            let topics = self.node.access.topic_rights(&vhost.name, &self.user);
            self.rights = Rights { generation, permission, topics };
        }
        self.rights.permission.as_deref()
    }

    /// Refuses what the user may not do.
    pub(super) fn demand(&mut self, right: Right, resource: Resource<'_>) -> Result<(), Refused> {
        match self.permission() {
            Some(permission) if permission.allows(right, resource) => Ok(()),
            _ => Err(self.not_allowed(right, resource)),
        }
    }

    /// Any right at all will do to see whether something is there (PRM-05).
    pub(super) fn demand_any(&mut self, resource: Resource<'_>) -> Result<(), Refused> {
        let rights = [Right::Read, Right::Write, Right::Configure];
        match self.permission() {
            Some(permission) if rights.iter().any(|right| permission.allows(*right, resource)) => Ok(()),
            _ => Err(self.not_allowed(Right::Configure, resource)),
        }
    }

    /// Binding and unbinding write to the destination and read from the source and its topic (PRM-06, PRM-07,
    /// PRM-12). The default exchange is refused by the topology.
    pub(super) fn demand_binding(
        &mut self,
        source: &str,
        destination: Resource<'_>,
        routing_key: &str,
    ) -> Result<(), Refused> {
        self.demand(Right::Write, destination)?;
        if source.is_empty() || destination == Resource::Exchange("") {
            return Ok(());
        }
        self.demand(Right::Read, Resource::Exchange(source))?;
        self.demand_topics(Right::Read, source, [routing_key.as_bytes()])
    }

    /// Refuses topics that the user has no right on (PRM-20); for whoever demanded a right on the exchange.
    pub(super) fn demand_topics<'a>(
        &self,
        right: Right,
        exchange: &str,
        topics: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(), Refused> {
        let (Some(rights), Some(vhost)) = (&self.rights.topics, &self.vhost) else { return Ok(()) };
        if !rights.has(exchange) || !vhost.has_topics(exchange) {
            return Ok(());
        }
        for topic in topics {
            let topic = String::from_utf8_lossy(topic);
            if !rights.allows(right, exchange, &topic) {
                return Err(Refused::TopicNotAllowed {
                    right: right.name(),
                    topic: topic.into_owned(),
                    exchange: exchange.to_owned(),
                    vhost: vhost.name.to_string(),
                    user: self.user.to_string(),
                });
            }
        }
        Ok(())
    }

    /// PRM-01 and PRM-05.
    pub(super) fn demand_declare(&mut self, declare: &exchange::Declare) -> Result<(), Refused> {
        let name = clean_name(declare.exchange.as_str());
        let exchange = Resource::Exchange(&name);
        if declare.passive {
            return self.demand_any(exchange);
        }
        self.demand(Right::Configure, exchange)?;
        if let Some(alternate) = named_exchange(&declare.arguments, ALTERNATE_EXCHANGE) {
            self.demand(Right::Read, exchange)?;
            self.demand(Right::Write, Resource::Exchange(&alternate))?;
        }
        Ok(())
    }

    fn not_allowed(&self, right: Right, resource: Resource<'_>) -> Refused {
        Refused::NotAllowed {
            right: right.name(),
            kind: resource.kind(),
            name: resource.name().to_owned(),
            vhost: self.vhost.as_ref().map(|vhost| vhost.name.to_string()).unwrap_or_default(),
            user: self.user.to_string(),
        }
    }
}
