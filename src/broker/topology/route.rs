//! Routing: from an exchange and a message's keys and headers to the distinct queues it reaches.
//!
//! Exchanges are walked in breadth, each once, so cycles of bindings and of alternate exchanges end (EXC-23,
//! EXC-30). An exchange that finds nothing hands the message to its alternate exchange (EXC-21).

use super::Topology;
use super::binding::{Destination, ExchangeId};
use super::error::TopologyError;
use super::exchange::Exchange;
use super::kind::RouterScratch;
use super::random::Dice;
use super::seen::Seen;
use crate::amqp::table::TableRef;
use std::sync::Arc;

/// The routing keys of a message, as the octets they came as.
#[derive(Clone, Copy, Debug)]
pub struct RoutingKeys<'a> {
    /// The routing key published with.
    pub key: &'a [u8],
    /// The keys of the `CC` and `BCC` headers (BAS-06, BAS-07).
    pub extra: &'a [&'a [u8]],
}

impl<'a> RoutingKeys<'a> {
    /// The routing key alone.
    pub fn only(key: &'a [u8]) -> Self {
        Self { key, extra: &[] }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &'a [u8]> {
        std::iter::once(self.key).chain(self.extra.iter().copied())
    }
}

/// What some exchanges route by, beside the routing keys.
#[derive(Clone, Copy, Debug, Default)]
pub struct Traits<'a> {
    /// The headers table.
    pub headers: Option<TableRef<'a>>,
    /// All properties, as checked octets.
    pub properties: &'a [u8],
}

/// What the caller may conclude from a route besides the queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteInfo {
    /// Whether the same exchange and keys lead to the same queues for as long as [`Topology::generation`] stands
    /// still, and nothing else has to be done for the message.
    pub by_keys_alone: bool,
    /// Whether exchanges took part that remember messages: [`Topology::histories`] names those that keep them,
    /// and others must be asked for each, see [`Topology::route_through`].
    pub is_remembered: bool,
}

/// What becomes of a message at an exchange that must be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// It goes where the bindings say.
    Through,
    /// The bindings match nothing; it may go to the alternate exchange.
    Stopped,
    /// It waits there, and goes nowhere from there now (EXC-90).
    Held,
}

/// Space to route in, kept between messages so that routing does not allocate.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    exchanges: Seen,
    queues: Seen,
    found: Vec<Destination>,
    router: RouterScratch,
}

impl Scratch {
    /// With a seed for choices at random; without one they are the same for every new scratch.
    pub fn seeded(seed: u64) -> Self {
        let dice = Dice::seeded(seed);
        Self { router: RouterScratch { dice, ..Default::default() }, ..Self::default() }
    }
}

/// What exchanges match by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    pub(super) keys: RoutingKeys<'a>,
    pub(super) headers: TableRef<'a>,
    pub(super) properties: &'a [u8],
}

impl<Q: Clone> Topology<Q> {
    /// Whether a client may publish to this exchange (CH-34, CH-35).
    pub fn publishable(&self, exchange: &str) -> Result<(), TopologyError> {
        let found = self.exchange(exchange).ok_or_else(|| self.no_exchange(exchange))?;
        match found.internal() {
            true => Err(TopologyError::InternalExchange { name: exchange.to_owned(), vhost: self.vhost() }),
            false => Ok(()),
        }
    }

    /// Appends to `out` the queues that a message published to `exchange` reaches, each once (EXC-10).
    pub fn route(
        &self,
        exchange: &str,
        keys: &RoutingKeys<'_>,
        traits: &Traits<'_>,
        out: &mut Vec<Q>,
        scratch: &mut Scratch,
    ) -> Result<RouteInfo, TopologyError> {
        self.route_through(exchange, keys, traits, out, scratch, &mut |_| Passage::Through)
    }

    /// As [`Topology::route`], but `passes` decides which exchanges the message passes. It is asked once for each
    /// exchange on the way.
    pub fn route_through(
        &self,
        exchange: &str,
        keys: &RoutingKeys<'_>,
        traits: &Traits<'_>,
        out: &mut Vec<Q>,
        scratch: &mut Scratch,
        passes: &mut dyn FnMut(&Exchange) -> Passage,
    ) -> Result<RouteInfo, TopologyError> {
        scratch.queues.clear();
        scratch.exchanges.clear();
        if exchange.is_empty() {
            self.route_by_name(keys, out, scratch);
            return Ok(RouteInfo { by_keys_alone: true, is_remembered: false });
        }
        let first = self.exchange_id(exchange).ok_or_else(|| self.no_exchange(exchange))?;
        scratch.exchanges.insert(first);
        let Traits { headers, properties } = *traits;
        let message = Message { keys: *keys, headers: headers.unwrap_or_default(), properties };
        let mut info = RouteInfo { by_keys_alone: true, is_remembered: false };
        let mut walked = 0;
        while let Some(id) = scratch.exchanges.at(walked) {
            walked += 1;
            let exchange = &self.exchanges[id];
            info.by_keys_alone &= exchange.router.is_by_keys();
            info.is_remembered |= exchange.has_memory();
            self.expand(exchange, message, passes(exchange), out, scratch);
        }
        Ok(info)
    }

    /// The exchanges that the message routed last with this scratch went through and that remember it, with how
    /// many messages each remembers (EXC-87). Nothing may have changed since.
    pub fn histories(&self, scratch: &Scratch) -> impl Iterator<Item = (&Arc<str>, u64)> {
        scratch.exchanges.iter().filter_map(|id| {
            let exchange = &self.exchanges[id];
            exchange.history_length().map(|length| (exchange.shared_name(), length))
        })
    }

    /// The default exchange: every queue is bound to it by its name (EXC-11).
    fn route_by_name(&self, keys: &RoutingKeys<'_>, out: &mut Vec<Q>, scratch: &mut Scratch) {
        for key in keys.iter() {
            let queue = str::from_utf8(key).ok().and_then(|name| self.queue_id(name));
            self.reach(queue.map(Destination::Queue), out, scratch);
        }
    }

    /// Follows the bindings of one exchange that match, if the message passes.
    fn expand(
        &self,
        exchange: &Exchange,
        message: Message<'_>,
        passes: Passage,
        out: &mut Vec<Q>,
        scratch: &mut Scratch,
    ) {
        if passes == Passage::Held {
            return;
        }
        let mut found = std::mem::take(&mut scratch.found);
        if passes == Passage::Through {
            exchange.router.route(message, &mut scratch.router, &mut found);
        }
        if found.is_empty() {
            let alternate = self.alternate(exchange).map(Destination::Exchange);
            self.reach(alternate, out, scratch);
        }
        self.reach(found.drain(..), out, scratch);
        scratch.found = found;
    }

    fn reach(
        &self,
        destinations: impl IntoIterator<Item = Destination>,
        out: &mut Vec<Q>,
        scratch: &mut Scratch,
    ) {
        for destination in destinations {
            match destination {
                Destination::Queue(id) => {
                    if scratch.queues.insert(id) {
                        out.push(self.queues[id].handle.clone());
                    }
                }
                Destination::Exchange(id) => {
                    scratch.exchanges.insert(id);
                }
            }
        }
    }

    /// The alternate exchange, if it is set and exists (EXC-24).
    fn alternate(&self, exchange: &Exchange) -> Option<ExchangeId> {
        exchange.alternate_exchange().and_then(|name| self.exchange_id(name))
    }
}
