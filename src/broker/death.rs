//! Dead letters: what becomes of a message that a queue gave up, and where it must not go again.
//!
//! The history of a message travels in its own headers (DLX-20 to DLX-26). Only the broker writes it: what a
//! client puts there is no history and is replaced. All other headers keep their octets and their order.

#[cfg(test)]
mod tests;

use smallvec::SmallVec;

use super::{Message, Millis, Parts, queue::Death};
use crate::amqp::{
    properties::{Change, Properties, rewrite},
    table::{ArrayRef, FieldRef, TableRef},
};

const DEATHS: &[u8] = b"x-death";
const FIRST: [&[u8]; 3] = [b"x-first-death-reason", b"x-first-death-queue", b"x-first-death-exchange"];
const LAST: [&[u8]; 3] = [b"x-last-death-reason", b"x-last-death-queue", b"x-last-death-exchange"];

/// Octets of history kept beside the latest event; the oldest events go first. A history must leave room
/// for the rest of a header frame.
const HISTORY_BYTES_MAX: usize = 64 << 10;
/// Octets of a short string.
const SHORT_MAX: usize = 255;

/// Where a queue's dead messages go.
#[derive(Debug, Clone, Copy)]
pub struct DeadLetters<'a> {
    /// May be empty: the default exchange.
    pub exchange: &'a str,
    /// In place of all keys that the message had (DLX-04).
    pub routing_key: Option<&'a str>,
}

/// One death.
#[derive(Debug, Clone, Copy)]
pub struct Demise<'a> {
    pub queue: &'a str,
    pub reason: Death,
    pub now: Millis,
}

/// What a dead-lettered message is routed by, beside its exchange and routing key.
#[derive(Debug, Default)]
pub struct Extras<'a> {
    pub headers: Option<TableRef<'a>>,
    /// Of CC and BCC.
    pub keys: SmallVec<[&'a [u8]; 4]>,
}

fn reason_name(reason: Death) -> &'static str {
    match reason {
        Death::Rejected => "rejected",
        Death::Expired => "expired",
        Death::MaxLength => "maxlen",
        Death::DeliveryLimit => "delivery_limit",
    }
}

/// The message as it goes to the dead-letter exchange: new names, its history extended, no expiration
/// (DLX-07). `scratch` is only reused memory.
pub fn dead_letter(
    message: &Message,
    demise: &Demise<'_>,
    to: &DeadLetters<'_>,
    scratch: &mut Vec<u8>,
) -> Message {
    let before = properties_of(message);
    let headers = headers_after(message, &before, demise, to);
    let mut properties = rewrite(message.properties(), Change::Headers(&headers));
    if before.expiration.is_some() {
        properties = rewrite(&properties, Change::NoExpiration);
    }
    let parts = Parts {
        exchange: short(to.exchange.as_bytes()),
        routing_key: to.routing_key.map_or(message.routing_key(), |key| short(key.as_bytes())),
        properties: &properties,
        persistent: message.is_persistent(),
        priority: message.priority(),
        expiration: None,
        account: message.account(),
    };
    let hidden_keys = if to.routing_key.is_some() { &[] } else { message.hidden_keys() };
    message.after_death(&parts, hidden_keys, scratch)
}

/// Names come as long strings in a queue's arguments, but go out as short ones.
fn short(name: &[u8]) -> &[u8] {
    name.get(..SHORT_MAX).unwrap_or(name)
}

/// The checked properties of a message.
fn properties_of(message: &Message) -> Properties<'_> {
    let scanned = Properties::scan(message.properties(), usize::MAX);
    debug_assert!(scanned.is_ok(), "properties are checked when they come in");
    scanned.unwrap_or_default()
}

/// What a dead-lettered message is routed by.
pub fn extras(message: &Message) -> Extras<'_> {
    let headers = properties_of(message).headers();
    let mut keys = SmallVec::new();
    keys.extend(headers.into_iter().flat_map(carbon_copies).filter(|key| key.len() <= SHORT_MAX));
    let mut hidden = message.hidden_keys();
    while let Some((length, rest)) = hidden.split_first() {
        let Some((key, rest)) = rest.split_at_checked(usize::from(*length)) else { break };
        keys.push(key);
        hidden = rest;
    }
    Extras { headers, keys }
}

/// The keys of the CC header (BAS-06).
fn carbon_copies(headers: TableRef<'_>) -> impl Iterator<Item = &[u8]> {
    let copies = match headers.find(b"CC") {
        Some(FieldRef::Array(copies)) => copies,
        _ => ArrayRef::default(),
    };
    copies.iter().filter_map(|copy| match copy {
        FieldRef::LongStr(key) => Some(key),
        _ => None,
    })
}

/// Whether a message that died of `reason` has been in this queue before without anybody rejecting it since:
/// it would go round for ever (DLX-30). `message` already knows of its latest death.
pub fn is_cycle(message: &Message, reason: Death, queue: &str) -> bool {
    if reason == Death::Rejected {
        return false;
    }
    let rejected = reason_name(Death::Rejected).as_bytes();
    for event in events(message, properties_of(message).headers().unwrap_or_default()) {
        if text(event, b"reason") == rejected {
            return false;
        }
        if text(event, b"queue") == queue.as_bytes() {
            return true;
        }
    }
    false
}

/// Whether a header is part of the history of a message.
pub fn is_history(name: &[u8]) -> bool {
    name == DEATHS || FIRST.contains(&name) || LAST.contains(&name)
}

/// The exchange and the routing key that a message was published with before it died for the first time.
pub fn first_publish<'a>(message: &Message, headers: TableRef<'a>) -> Option<(&'a [u8], &'a [u8])> {
    let [reason, queue, _] = FIRST.map(|name| text(headers, name));
    let is_first =
        |event: &TableRef<'_>| text(*event, b"reason") == reason && text(*event, b"queue") == queue;
    // The first one may have happened again, which puts it before others; without it, the oldest is the best.
    let event = events(message, headers).find(is_first).or_else(|| events(message, headers).last())?;
    let Some(FieldRef::Array(keys)) = event.find(b"routing-keys") else { return None };
    let key = keys.iter().find_map(|key| match key {
        FieldRef::LongStr(key) => Some(key),
        _ => None,
    })?;
    Some((short(text(event, b"exchange")), short(key)))
}

/// The events in the history, latest first; none in what a client made up.
fn events<'a>(message: &Message, headers: TableRef<'a>) -> impl Iterator<Item = TableRef<'a>> + use<'a> {
    let deaths = match headers.find(DEATHS) {
        Some(FieldRef::Array(deaths)) if message.has_deaths() => deaths,
        _ => ArrayRef::default(),
    };
    deaths.iter().filter_map(|event| match event {
        FieldRef::Table(event) => Some(event),
        _ => None,
    })
}

/// A text field, empty when it is not there.
fn text<'a>(table: TableRef<'a>, name: &[u8]) -> &'a [u8] {
    match table.find(name) {
        Some(FieldRef::LongStr(text)) => text,
        _ => &[],
    }
}

/// The headers with this death noted; existing ones first (DLX-26).
fn headers_after(
    message: &Message,
    before: &Properties<'_>,
    demise: &Demise<'_>,
    to: &DeadLetters<'_>,
) -> Vec<u8> {
    let headers = before.headers().unwrap_or_default();
    let mut out = Vec::with_capacity(headers.as_bytes().len() + 512);
    // A new routing key replaces the copies, too (DLX-05).
    let is_replaced = |name: &[u8]| to.routing_key.is_some() && name == b"CC";
    headers.copy_fields(&mut out, |name| !is_history(name) && !is_replaced(name));

    put_name(&mut out, DEATHS);
    put_sized(&mut out, b'A', |out| put_events(out, message, before, demise));
    let latest = [reason_name(demise.reason).as_bytes(), demise.queue.as_bytes(), message.exchange()];
    for (name, value) in FIRST.into_iter().zip(latest) {
        let first = if message.has_deaths() { text(headers, name) } else { value };
        put_text(&mut out, name, first);
    }
    for (name, value) in LAST.into_iter().zip(latest) {
        put_text(&mut out, name, value);
    }
    out
}

/// The latest event, then the earlier ones of other queues or reasons (DLX-20).
fn put_events(out: &mut Vec<u8>, message: &Message, before: &Properties<'_>, demise: &Demise<'_>) {
    let headers = before.headers().unwrap_or_default();
    let reason = reason_name(demise.reason).as_bytes();
    let is_same = |event: &TableRef<'_>| {
        text(*event, b"reason") == reason && text(*event, b"queue") == demise.queue.as_bytes()
    };
    put_sized(out, b'F', |out| match events(message, headers).find(is_same) {
        Some(event) => put_repeated(out, event),
        None => put_new(out, message, before, demise),
    });
    let end_max = out.len() + HISTORY_BYTES_MAX;
    for event in events(message, headers).filter(|event| !is_same(event)) {
        if end_max < out.len() + event.as_bytes().len() {
            break;
        }
        put_sized(out, b'F', |out| out.extend_from_slice(event.as_bytes()));
    }
}

/// The first event of this queue and reason (DLX-21).
fn put_new(out: &mut Vec<u8>, message: &Message, before: &Properties<'_>, demise: &Demise<'_>) {
    put_count(out, 1);
    put_text(out, b"reason", reason_name(demise.reason).as_bytes());
    put_text(out, b"queue", demise.queue.as_bytes());
    put_name(out, b"time");
    out.push(b'T');
    out.extend_from_slice(&(demise.now / 1000).to_be_bytes());
    put_text(out, b"exchange", message.exchange());
    put_name(out, b"routing-keys");
    put_sized(out, b'A', |out| {
        put_long_string(out, message.routing_key());
        carbon_copies(before.headers().unwrap_or_default()).for_each(|key| put_long_string(out, key));
    });
    if let Some(expiration) = before.expiration {
        put_text(out, b"original-expiration", expiration);
    }
}

/// An event that happened again: everything but the count stays as it was the first time (DLX-22).
fn put_repeated(out: &mut Vec<u8>, event: TableRef<'_>) {
    let count = match event.find(b"count") {
        Some(FieldRef::I64(count)) => count,
        _ => 0,
    };
    put_count(out, count.saturating_add(1));
    event.copy_fields(out, |name| name != b"count");
}

fn put_name(out: &mut Vec<u8>, name: &[u8]) {
    debug_assert!(name.len() <= SHORT_MAX, "our own names are short");
    out.push(name.len() as u8);
    out.extend_from_slice(name);
}

fn put_count(out: &mut Vec<u8>, count: i64) {
    put_name(out, b"count");
    out.push(b'l');
    out.extend_from_slice(&count.to_be_bytes());
}

fn put_text(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    put_name(out, name);
    put_long_string(out, value);
}

fn put_long_string(out: &mut Vec<u8>, value: &[u8]) {
    put_sized(out, b'S', |out| out.extend_from_slice(value));
}

/// A field type, a length to be known later, and what `content` writes.
fn put_sized(out: &mut Vec<u8>, kind: u8, content: impl FnOnce(&mut Vec<u8>)) {
    out.push(kind);
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    content(out);
    // Smaller than a frame and a history together.
    let length = (out.len() - at - 4) as u32;
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}
