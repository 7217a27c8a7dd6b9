//! basic.publish: checked, routed, gathered, and handed to each queue in one go.

use std::{borrow::Cow, sync::Arc};

use smallvec::SmallVec;

use super::{Core, Output, channel::Mode, errors, routes::Route, transaction::Publish};
use crate::{
    amqp::{
        ChannelId, Failure, MethodId, ReplyCode, encode,
        properties::{Change, Properties, rewrite},
        table::{ArrayRef, FieldRef, TableIter, TableRef},
    },
    broker::{
        Message, Millis, Parts,
        topology::{RoutingKeys, Traits},
    },
    engine::{Held, Queues, REPLY_TO, Replies, Resource, Right, Routed, Vhost, stats::ExchangeMeter},
    protocol::{Body, Content},
};

/// The longest time to live, ten years in milliseconds (CH-68).
const EXPIRATION_MAX: u64 = 315_360_000_000;
/// Extra routing keys of a message.
#[derive(Debug, Default)]
struct Copies<'a> {
    keys: SmallVec<[&'a [u8]; 4]>,
    /// Hidden from readers.
    bcc: Option<ArrayRef<'a>>,
}

impl Core {
    /// Handles a complete publish. Returns and confirms go out in order: a return at once, its confirm at
    /// the flush (CNF-05).
    #[inline]
    pub(super) fn publish(
        &mut self,
        id: ChannelId,
        content: Content<'_>,
        out: &mut Output,
    ) -> Result<(), Failure> {
        self.try_publish(id, content, out).map_err(|failure| failure.at(MethodId::PUBLISH))
    }

    #[inline]
    fn try_publish(&mut self, id: ChannelId, content: Content<'_>, out: &mut Output) -> Result<(), Failure> {
        if content.immediate {
            return Err(Failure::connection(ReplyCode::NotImplemented, "immediate=true"));
        }
        if self.batch.is_full() {
            self.flush(out);
        }
        let depth_max = self.settings.limits.table_depth_max;
        let properties = Properties::scan(&content.properties, depth_max)?;
        let headers = properties.headers();
        let copies = match headers {
            None => Copies::default(),
            Some(headers) => copies(headers)?,
        };
        let route = self.route(&content, headers, &copies)?;
        let expiration = self.check_properties(&properties)?;

        let mut octets: Cow<'_, [u8]> = Cow::Borrowed(&content.properties);
        if properties.reply_to == Some(REPLY_TO.as_bytes()) {
            octets = Cow::Owned(self.with_reply_name(id, &octets)?);
        }
        if copies.bcc.is_some() {
            octets = Cow::Owned(without_bcc(&octets, headers));
        }
        let parts = Parts {
            exchange: &content.exchange,
            routing_key: &content.routing_key,
            properties: &octets,
            persistent: properties.is_persistent(),
            priority: properties.priority.unwrap_or(0),
            expiration,
            account: self.node.alarms.account(),
        };
        let message = match content.body {
            Body::Whole(body) if matches!(octets, Cow::Borrowed(_)) => {
                Message::of_frames(&parts, body, content.frames, &mut self.batch.scratch)
            }
            Body::Whole(body) => Message::new(&parts, body, &mut self.batch.scratch),
            Body::Pieces(pieces) => match pieces.as_slice() {
                [] => Message::new(&parts, &[], &mut self.batch.scratch),
                [only] if only.len() <= crate::broker::message::INLINE_BODY_MAX => {
                    Message::new(&parts, only, &mut self.batch.scratch)
                }
                _ => Message::from_pieces(&parts, pieces, &mut self.batch.scratch),
            },
        };
        let message = match copies.bcc {
            None => message,
            // Its readers never see these keys, but should it die, they count again (DLX-04).
            Some(bcc) => message.with_hidden_keys(long_strings(bcc), &mut self.batch.scratch),
        };
        if let Some(found) = route.as_ref().filter(|found| found.traced) {
            self.trace_publish(id, &message, &found.queues);
        }
        self.hand_in(id, route, message, content.mandatory, out)
    }

    /// Finds the destinations. The cache answers most; `None` says that its current route is meant.
    #[inline]
    fn route(
        &mut self,
        content: &Content<'_>,
        headers: Option<TableRef<'_>>,
        copies: &Copies<'_>,
    ) -> Result<Option<Found>, Failure> {
        let Some(vhost) = &self.vhost else { return Ok(Some(Found::default())) };
        let (exchange, routing_key) = (&*content.exchange, &*content.routing_key);
        let cacheable = copies.keys.is_empty();
        // A change of rights voids cached routes as one of bindings does: both numbers only grow.
        let generation = vhost.generation().wrapping_add(self.node.access.generation());
        if cacheable && self.routes.find(generation, exchange, routing_key) {
            return Ok(None);
        }
        let vhost = vhost.clone();
        let name = String::from_utf8_lossy(exchange);
        self.demand(Right::Write, Resource::Exchange(&name)).map_err(errors::of_queue)?;
        if exchange.is_empty() && Replies::is_reply_name(routing_key) {
            return Ok(Some(Found { reply: true, traced: vhost.is_traced(), ..Found::default() }));
        }
        let keys = RoutingKeys { key: routing_key, extra: &copies.keys };
        let traits = Traits { headers, properties: &content.properties };
        let (queues, info) = vhost.route(exchange, &keys, &traits).map_err(errors::of_topology)?;
        let topics = std::iter::once(routing_key).chain(copies.keys.iter().copied());
        self.demand_topics(Right::Write, &name, topics).map_err(errors::of_queue)?;
        let traced = vhost.is_traced();
        if cacheable && info.by_keys_alone && !queues.is_empty() && !traced {
            let exchange_meter = self.exchange_meter(exchange);
            let route = Route { queues, exchange: exchange_meter };
            self.routes.insert(exchange, routing_key, Arc::new(route));
            return Ok(None);
        }
        Ok(Some(Found { queues, remembered: info.is_remembered, traced, ..Found::default() }))
    }

    /// user-id and expiration (CH-67, CH-68); the time to live in milliseconds.
    #[inline]
    fn check_properties(&self, properties: &Properties<'_>) -> Result<Option<u64>, Failure> {
        if let Some(user_id) = properties.user_id
            && user_id != self.user.as_bytes()
        {
            let text = format!(
                "user_id property set to '{}' but authenticated user was '{}'",
                String::from_utf8_lossy(user_id),
                self.user
            );
            return Err(Failure::channel(ReplyCode::PreconditionFailed, text));
        }
        properties.expiration.map(parse_expiration).transpose()
    }

    /// The properties with reply-to naming this channel's requester (BAS-81).
    fn with_reply_name(&self, id: ChannelId, octets: &[u8]) -> Result<Vec<u8>, Failure> {
        let reply = self.channels.get(&id).and_then(|channel| channel.reply.as_ref());
        let Some((_, name)) = reply else {
            let text = "fast reply consumer does not exist";
            return Err(Failure::channel(ReplyCode::PreconditionFailed, text));
        };
        Ok(rewrite(octets, Change::ReplyTo(name.as_bytes())))
    }

    #[inline]
    fn hand_in(
        &mut self,
        id: ChannelId,
        mut found: Option<Found>,
        message: Message,
        mandatory: bool,
        out: &mut Output,
    ) -> Result<(), Failure> {
        let Some(channel) = self.channels.get_mut(&id) else { return Ok(()) };
        let remembered = found.as_ref().is_some_and(|found| found.remembered);
        if remembered && !matches!(channel.mode, Mode::Transaction(_)) {
            let Routed { queues, held, mut notes } = remember(self.vhost.as_deref(), &message, self.now);
            self.batch.notes.append(&mut notes);
            found = Some(Found { queues, held, ..Found::default() });
        }
        let held = found.as_mut().map(|found| std::mem::take(&mut found.held)).unwrap_or_default();
        let current = || self.routes.current().map(|route| route.queues.as_slice()).unwrap_or_default();
        let queues = found.as_ref().map_or_else(current, |found| found.queues.as_slice());
        let reply = found.as_ref().is_some_and(|found| found.reply);
        channel.meter.published.add(1);
        self.meter.sizes.note(message.body_length());
        let confirm = match &mut channel.mode {
            Mode::Plain => None,
            Mode::Confirm(confirms) => {
                confirms.published += 1;
                channel.meter.to_confirm.add(1);
                Some((id, confirms.published))
            }
            Mode::Transaction(transaction) => {
                let queues = queues.iter().cloned().collect();
                transaction.publishes.push(Publish { queues, reply, remembered, message, mandatory });
                return Ok(());
            }
        };
        if confirm.is_some() && !channel.is_dirty {
            channel.is_dirty = true;
            self.dirty.push(id);
        }
        let meter = match (&found, self.routes.current()) {
            (None, Some(route)) => &route.exchange,
            _ => self.exchanges.get(&self.meter, self.vhost.as_deref(), message.exchange()),
        };
        meter.taken.add(1);
        meter.given.add(queues.len() as u64);
        if !held.is_empty() {
            self.batch.add_held(held, &message);
        }
        if !queues.is_empty() {
            self.batch.add_all(queues, message, confirm);
        } else {
            let delivered = reply && self.reply(&message);
            self.not_routed(id, &message, mandatory, delivered, out);
        }
        Ok(())
    }

    /// A message that reaches no queue: returned to who asked for that, or dropped. A direct reply that was
    /// `delivered` is neither.
    pub(super) fn not_routed(
        &self,
        id: ChannelId,
        message: &Message,
        mandatory: bool,
        delivered: bool,
        out: &mut Output,
    ) {
        if delivered {
            return;
        }
        let meter = self.channels.get(&id).map(|channel| &channel.meter);
        if mandatory {
            meter.inspect(|meter| meter.returned.add(1));
            put_return(out, id, message, self.frame_max());
        } else {
            meter.inspect(|meter| meter.dropped.add(1));
        }
    }

    fn exchange_meter(&mut self, exchange: &[u8]) -> Arc<ExchangeMeter> {
        self.exchanges.get(&self.meter, self.vhost.as_deref(), exchange).clone()
    }

    /// Counts a committed publish.
    pub(super) fn count_committed(&mut self, publish: &Publish) {
        let meter = self.exchange_meter(publish.message.exchange());
        meter.taken.add(1);
        meter.given.add(publish.queues.len() as u64);
    }

    /// Delivers a direct reply; false when nobody waits for it any more.
    pub(super) fn reply(&mut self, message: &Message) -> bool {
        let Some(vhost) = &self.vhost else { return false };
        self.node.replies.deliver(&vhost.name, message.routing_key(), message.clone())
    }

    /// Lets exchanges remember a committed publish that they asked to; that decides on its queues.
    pub(super) fn remember_committed(&mut self, publish: &mut Publish) {
        if publish.remembered {
            let Routed { queues, held, mut notes } =
                remember(self.vhost.as_deref(), &publish.message, self.now);
            self.batch.notes.append(&mut notes);
            self.batch.add_held(held, &publish.message);
            publish.queues = queues;
        }
    }

    /// Hands in a committed publish of a transaction; returns those that a queue refused meanwhile.
    pub(super) fn hand_in_committed(
        &mut self,
        publish: Publish,
        id: ChannelId,
        serial: u64,
    ) -> Vec<(ChannelId, u64)> {
        self.batch.add_all(&publish.queues, publish.message, Some((id, serial)));
        if self.batch.is_full() { self.flush_batch() } else { Vec::new() }
    }
}

/// Destinations that the cache does not hold.
#[derive(Debug, Default)]
pub struct Found {
    queues: Queues,
    /// The routing key is a direct reply name.
    reply: bool,
    /// Exchanges remember the message, which decides on its queues.
    remembered: bool,
    /// The firehose is on.
    traced: bool,
    /// Where it waits.
    held: Held,
}

/// What becomes of a message that exchanges remember from now on.
fn remember(vhost: Option<&Vhost>, message: &Message, now: Millis) -> Routed {
    let exchange = String::from_utf8_lossy(message.exchange());
    vhost.map(|vhost| vhost.route_message(&exchange, message, now)).unwrap_or_default()
}

/// basic.return with its content (BAS-05).
pub fn put_return(out: &mut Output, channel: ChannelId, message: &Message, frame_max: u32) {
    let fields = encode::Return {
        reply_code: ReplyCode::NoRoute.id(),
        reply_text: ReplyCode::NoRoute.name().as_bytes(),
        exchange: message.exchange(),
        routing_key: message.routing_key(),
    };
    encode::basic_return(out.buffer(), channel, &fields);
    out.content(channel, message, frame_max);
}

/// CC and BCC of a message (BAS-06, BAS-07).
fn copies(headers: TableRef<'_>) -> Result<Copies<'_>, Failure> {
    let mut copies = Copies::default();
    for name in ["CC", "BCC"] {
        match headers.find(name.as_bytes()) {
            None => {}
            Some(FieldRef::Array(array)) => {
                if name == "BCC" {
                    copies.bcc = Some(array);
                }
                // A routing key is a short string; a longer one can match nothing.
                copies.keys.extend(long_strings(array).filter(|key| key.len() <= 255));
            }
            Some(other) => {
                let kind = other.type_name();
                let text = format!("invalid message: {{unacceptable_type_in_header,\"{name}\",{kind}}}");
                return Err(Failure::channel(ReplyCode::PreconditionFailed, text));
            }
        }
    }
    Ok(copies)
}

fn long_strings(array: ArrayRef<'_>) -> impl Iterator<Item = &[u8]> {
    array.iter().filter_map(|value| match value {
        FieldRef::LongStr(text) => Some(text),
        _ => None,
    })
}

/// The properties without the BCC header, every other header untouched.
fn without_bcc(octets: &[u8], headers: Option<TableRef<'_>>) -> Vec<u8> {
    let Some(headers) = headers else { return octets.to_vec() };
    let mut kept = Vec::with_capacity(headers.as_bytes().len());
    let mut fields: TableIter<'_> = headers.iter();
    loop {
        let before = fields.rest();
        let Some((name, _)) = fields.next() else { break };
        if name != b"BCC" {
            let used = before.len() - fields.rest().len();
            kept.extend_from_slice(before.get(..used).unwrap_or_default());
        }
    }
    rewrite(octets, Change::Headers(&kept))
}

/// A decimal number of milliseconds up to ten years; anything else gets RabbitMQ's text (CH-68).
fn parse_expiration(octets: &[u8]) -> Result<u64, Failure> {
    let refuse = |reason: String| {
        let given = String::from_utf8_lossy(octets);
        let text = format!("invalid expiration '{given}': {reason}");
        Failure::channel(ReplyCode::PreconditionFailed, text)
    };
    let (negative, digits) = match octets {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let count = digits.iter().take_while(|octet| octet.is_ascii_digit()).count();
    let (number, leftover) = digits.split_at_checked(count).unwrap_or_default();
    if number.is_empty() {
        return Err(refuse("no_integer".to_owned()));
    }
    if !leftover.is_empty() {
        return Err(refuse(format!("{{leftover_string,\"{}\"}}", String::from_utf8_lossy(leftover))));
    }
    let text = String::from_utf8_lossy(number);
    let text = text.trim_start_matches('0');
    let value: u64 = if text.is_empty() { 0 } else { text.parse().unwrap_or(u64::MAX) };
    if negative && value != 0 {
        return Err(refuse(format!("{{value_negative,-{text}}}")));
    }
    if EXPIRATION_MAX < value {
        return Err(refuse(format!("{{value_too_large,{text}}}")));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ch_68_expirations_are_decimal_milliseconds_up_to_ten_years() {
        for (text, value) in [("0", 0), ("+5", 5), ("007", 7), ("-0", 0), ("315360000000", EXPIRATION_MAX)] {
            assert_eq!(parse_expiration(text.as_bytes()), Ok(value));
        }
        for (text, reason) in [
            ("abc", "no_integer"),
            ("", "no_integer"),
            (" 5", "no_integer"),
            ("-1", "{value_negative,-1}"),
            ("1.5", "{leftover_string,\".5\"}"),
            ("315360000001", "{value_too_large,315360000001}"),
            ("99999999999999999999999", "{value_too_large,99999999999999999999999}"),
        ] {
            let failure = parse_expiration(text.as_bytes()).unwrap_err();
            assert_eq!(failure.text, format!("PRECONDITION_FAILED - invalid expiration '{text}': {reason}"));
        }
    }
}
