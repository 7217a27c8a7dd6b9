//! Content headers: scanned, never decoded.
//!
//! Properties travel through the broker as the octets that came in (BAS-01), so this finds single
//! properties in them and rewrites the few that the broker changes.

use amq_protocol::{
    frame::WriteContext,
    protocol::basic::{AMQPProperties, gen_properties, parse_properties},
};
use nom::{Parser, combinator::all_consuming};

use super::{
    Failure, ReplyCode,
    method::bad_table,
    reader::{Reader, Truncated},
    table::{TableRef, check_table},
};

const CONTENT_TYPE: u16 = 1 << 15;
const CONTENT_ENCODING: u16 = 1 << 14;
const HEADERS: u16 = 1 << 13;
const DELIVERY_MODE: u16 = 1 << 12;
const PRIORITY: u16 = 1 << 11;
const CORRELATION_ID: u16 = 1 << 10;
const REPLY_TO: u16 = 1 << 9;
const EXPIRATION: u16 = 1 << 8;
const MESSAGE_ID: u16 = 1 << 7;
const TIMESTAMP: u16 = 1 << 6;
const TYPE: u16 = 1 << 5;
const USER_ID: u16 = 1 << 4;
const APP_ID: u16 = 1 << 3;
const CLUSTER_ID: u16 = 1 << 2;
/// More flag words follow: nobody sends it, RabbitMQ does not support it (WIR-50).
const CONTINUATION: u16 = 1;

/// The properties of a content in wire order with the kind of each.
const ORDER: [(u16, Kind); 14] = [
    (CONTENT_TYPE, Kind::Short),
    (CONTENT_ENCODING, Kind::Short),
    (HEADERS, Kind::Table),
    (DELIVERY_MODE, Kind::Octet),
    (PRIORITY, Kind::Octet),
    (CORRELATION_ID, Kind::Short),
    (REPLY_TO, Kind::Short),
    (EXPIRATION, Kind::Short),
    (MESSAGE_ID, Kind::Short),
    (TIMESTAMP, Kind::Time),
    (TYPE, Kind::Short),
    (USER_ID, Kind::Short),
    (APP_ID, Kind::Short),
    (CLUSTER_ID, Kind::Short),
];

#[derive(Debug, Clone, Copy)]
enum Kind {
    Short,
    Table,
    Octet,
    Time,
}

/// The fixed part of a content header frame's payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentHeader<'a> {
    pub class: u16,
    pub weight: u16,
    /// Octets of body that will follow, as the peer claims.
    pub body_size: u64,
    /// Flag word and property list, as received.
    pub properties: &'a [u8],
}

impl<'a> ContentHeader<'a> {
    /// Splits the payload of a header frame; `None` when it is too short.
    #[inline]
    pub fn parse(payload: &'a [u8]) -> Option<ContentHeader<'a>> {
        let mut reader = Reader::new(payload);
        let header = ContentHeader {
            class: reader.u16().ok()?,
            weight: reader.u16().ok()?,
            body_size: reader.u64().ok()?,
            properties: reader.rest(),
        };
        (2 <= header.properties.len()).then_some(header)
    }
}

/// What the broker needs to know of a content's properties, borrowed from the octets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Properties<'a> {
    pub delivery_mode: Option<u8>,
    pub priority: Option<u8>,
    pub expiration: Option<&'a [u8]>,
    pub reply_to: Option<&'a [u8]>,
    pub user_id: Option<&'a [u8]>,
    /// Body of the headers table; checked by [`Properties::scan`].
    pub headers: Option<&'a [u8]>,
}

impl<'a> Properties<'a> {
    /// Checks `octets` (flag word and list) completely and picks out what matters.
    ///
    /// `depth_max` bounds the nesting of the headers table. A malformed list is a connection error 502
    /// (CON-100, WIR-50).
    #[inline]
    pub fn scan(octets: &'a [u8], depth_max: usize) -> Result<Properties<'a>, Failure> {
        // The two commonest lists by far: nothing, or only a delivery mode.
        match *octets {
            [0, 0] => return Ok(Properties::default()),
            [0x10, 0, mode] => return Ok(Properties { delivery_mode: Some(mode), ..Properties::default() }),
            _ => {}
        }
        let found = Properties::scan_list(octets).map_err(|Truncated| malformed("it is truncated"))?;
        let properties = found.ok_or_else(|| malformed("octets trail or the flags continue"))?;
        if let Some(headers) = properties.headers {
            check_table(headers, depth_max).map_err(|error| bad_table(&error))?;
        }
        Ok(properties)
    }

    fn scan_list(octets: &'a [u8]) -> Result<Option<Properties<'a>>, Truncated> {
        let mut reader = Reader::new(octets);
        let flags = reader.u16()?;
        if flags & CONTINUATION != 0 {
            return Ok(None);
        }
        let mut found = Properties::default();
        for (bit, kind) in ORDER {
            if flags & bit == 0 {
                continue;
            }
            match kind {
                Kind::Short => {
                    let value = reader.short()?;
                    match bit {
                        EXPIRATION => found.expiration = Some(value),
                        REPLY_TO => found.reply_to = Some(value),
                        USER_ID => found.user_id = Some(value),
                        _ => {}
                    }
                }
                Kind::Table => found.headers = Some(reader.long()?),
                Kind::Octet if bit == PRIORITY => found.priority = Some(reader.u8()?),
                Kind::Octet => found.delivery_mode = Some(reader.u8()?),
                Kind::Time => drop(reader.u64()?),
            }
        }
        Ok(reader.is_empty().then_some(found))
    }

    /// Whether the message asks to survive a restart.
    pub fn is_persistent(&self) -> bool {
        self.delivery_mode == Some(2)
    }

    /// The headers table, for matching.
    pub fn headers(&self) -> Option<TableRef<'a>> {
        self.headers.map(TableRef::new)
    }
}

/// The names of the properties, in wire order.
const NAMES: [&str; 14] = [
    "content_type",
    "content_encoding",
    "headers",
    "delivery_mode",
    "priority",
    "correlation_id",
    "reply_to",
    "expiration",
    "message_id",
    "timestamp",
    "type",
    "user_id",
    "app_id",
    "cluster_id",
];

/// The value of a property.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    Short(&'a [u8]),
    Table(TableRef<'a>),
    Octet(u8),
    Time(u64),
}

/// The properties in checked octets, by name, for people to look at.
pub fn list(octets: &[u8]) -> Vec<(&'static str, Value<'_>)> {
    named(octets).collect()
}

/// The properties in checked octets, by name.
pub fn named(octets: &[u8]) -> impl Iterator<Item = (&'static str, Value<'_>)> {
    let mut reader = Reader::new(octets);
    let flags = reader.u16().unwrap_or(0);
    let present = ORDER.iter().zip(NAMES).filter(move |((bit, _), _)| flags & bit != 0);
    present.map_while(move |((_, kind), name)| {
        let value = match kind {
            Kind::Short => Value::Short(reader.short().ok()?),
            Kind::Table => Value::Table(TableRef::new(reader.long().ok()?)),
            Kind::Octet => Value::Octet(reader.u8().ok()?),
            Kind::Time => Value::Time(reader.u64().ok()?),
        };
        Some((name, value))
    })
}

fn malformed(what: &str) -> Failure {
    Failure::connection(ReplyCode::SyntaxError, format!("malformed content properties: {what}"))
}

/// Properties as octets; their strings are short ones.
pub fn encode(properties: &AMQPProperties) -> Vec<u8> {
    let written = gen_properties(properties)(WriteContext::from(Vec::new()));
    written.expect("writing to a vector cannot fail").into_inner().0
}

/// The properties of checked octets; `None` when they are not all text where text should be.
pub fn decode(octets: &[u8]) -> Option<AMQPProperties> {
    all_consuming(parse_properties).parse(octets).ok().map(|(_, properties)| properties)
}

/// A property that [`rewrite`] changes.
#[derive(Debug, Clone, Copy)]
pub enum Change<'a> {
    /// A new reply-to, in place of the one there.
    ReplyTo(&'a [u8]),
    /// No expiration any more.
    NoExpiration,
    /// A new body of the headers table; adds the property when it was absent.
    Headers(&'a [u8]),
}

/// Copies checked property octets with one property changed; everything else keeps its octets.
///
/// Values longer than their length field allows are left as they were; ours never are.
pub fn rewrite(octets: &[u8], change: Change<'_>) -> Vec<u8> {
    let mut reader = Reader::new(octets);
    let flags = reader.u16().unwrap_or(0);
    let (changed, new) = match change {
        Change::NoExpiration => (EXPIRATION, None),
        Change::ReplyTo(value) => match u8::try_from(value.len()) {
            Ok(length) => (REPLY_TO, Some((vec![length], value))),
            Err(_) => return octets.to_vec(),
        },
        Change::Headers(body) => match u32::try_from(body.len()) {
            Ok(length) => (HEADERS, Some((length.to_be_bytes().to_vec(), body))),
            Err(_) => return octets.to_vec(),
        },
    };
    let mut out = Vec::with_capacity(octets.len() + new.as_ref().map_or(0, |(_, value)| value.len() + 4));
    let flags_after = if new.is_some() { flags | changed } else { flags & !changed };
    out.extend_from_slice(&flags_after.to_be_bytes());
    for (bit, kind) in ORDER {
        let before = reader.rest();
        if flags & bit != 0 {
            let skipped = match kind {
                Kind::Short => reader.short().map(drop),
                Kind::Table => reader.long().map(drop),
                Kind::Octet => reader.u8().map(drop),
                Kind::Time => reader.u64().map(drop),
            };
            debug_assert!(skipped.is_ok(), "properties are checked before they are rewritten");
        }
        if bit == changed {
            if let Some((length, value)) = &new {
                out.extend_from_slice(length);
                out.extend_from_slice(value);
            }
        } else if flags & bit != 0 {
            let used = before.len() - reader.rest().len();
            out.extend_from_slice(before.get(..used).unwrap_or_default());
        }
    }
    out
}

/// The header that counts how often a quorum queue's message came back.
pub const ACQUIRED_COUNT: &[u8] = b"x-acquired-count";
/// The header that counts how often it did so in a way that counts against its delivery limit.
pub const DELIVERY_COUNT: &[u8] = b"x-delivery-count";
/// The header with a message's place in its stream.
pub const STREAM_OFFSET: &[u8] = b"x-stream-offset";

/// Writes checked property octets with these numbers as the last of the headers, in place of those that are there;
/// everything else keeps its octets. `out` is emptied first and keeps its memory.
pub fn put_with_headers(octets: &[u8], added: &[(&[u8], i64)], out: &mut Vec<u8>) {
    out.clear();
    let flags = octets.first_chunk().map_or(0, |flags| u16::from_be_bytes(*flags));
    // Only content type and encoding come before the headers.
    let mut reader = Reader::new(octets.get(2..).unwrap_or_default());
    for (bit, _) in ORDER.iter().take_while(|(bit, _)| *bit != HEADERS) {
        if flags & bit != 0 {
            // Octets that were checked when they came in.
            let _ = reader.short();
        }
    }
    let before = octets.len() - reader.rest().len();
    out.extend_from_slice(&(flags | HEADERS).to_be_bytes());
    out.extend_from_slice(octets.get(2..before).unwrap_or_default());
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    if flags & HEADERS != 0 {
        let headers = TableRef::new(reader.long().unwrap_or_default());
        headers.copy_fields(out, |known| added.iter().all(|(name, _)| known != *name));
    }
    for (name, value) in added {
        out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(name);
        out.push(b'l');
        out.extend_from_slice(&value.to_be_bytes());
    }
    let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
    out.extend_from_slice(reader.rest());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wir_51_no_properties_is_two_zero_octets() {
        assert_eq!(Properties::scan(&[0, 0], 32), Ok(Properties::default()));
    }

    #[test]
    fn wir_50_a_continued_flag_word_is_502() {
        let failure = Properties::scan(&[0x00, 0x01, 0, 0], 32).unwrap_err();
        assert_eq!(failure.code, ReplyCode::SyntaxError);
    }

    #[test]
    fn properties_are_listed_by_name() {
        let octets = [&[0xB0, 0x40, 1, b't', 0, 0, 0, 3, 1, b'k', b'V', 2][..], &7u64.to_be_bytes()].concat();
        let expected = [
            ("content_type", Value::Short(b"t")),
            ("headers", Value::Table(TableRef::new(&[1, b'k', b'V']))),
            ("delivery_mode", Value::Octet(2)),
            ("timestamp", Value::Time(7)),
        ];
        assert_eq!(list(&octets), expected);
        assert_eq!(list(octets.get(..5).unwrap()), expected[..1], "what is cut off is left out");
    }

    #[test]
    fn con_100_truncated_and_trailing_lists_are_502() {
        for octets in [&[0x80, 0, 9, b'x'][..], &[0x10, 0], &[0x10, 0, 2, 0], &[0x20, 0, 0, 0, 0, 9]] {
            assert_eq!(Properties::scan(octets, 32).unwrap_err().code, ReplyCode::SyntaxError);
        }
    }

    #[test]
    fn rewriting_touches_one_property_only() {
        // content-type "t", reply-to "old", expiration "60".
        let octets = [&[0x83, 0x00, 1, b't', 3][..], b"old", &[2], b"60"].concat();
        let with_reply = rewrite(&octets, Change::ReplyTo(b"longer"));
        let scanned = Properties::scan(&with_reply, 32).unwrap();
        assert_eq!(scanned.reply_to, Some(&b"longer"[..]));
        assert_eq!(scanned.expiration, Some(&b"60"[..]));
        let without = rewrite(&with_reply, Change::NoExpiration);
        let scanned = Properties::scan(&without, 32).unwrap();
        assert_eq!((scanned.expiration, scanned.reply_to), (None, Some(&b"longer"[..])));
        let with_headers = rewrite(&without, Change::Headers(&[1, b'k', b'V']));
        assert_eq!(Properties::scan(&with_headers, 32).unwrap().headers, Some(&[1, b'k', b'V'][..]));
    }

    #[test]
    fn what_no_short_string_can_hold_changes_nothing() {
        let octets = [&[0x02, 0x00, 3][..], b"old"].concat();
        assert_eq!(rewrite(&octets, Change::ReplyTo(&[b'x'; 256])), octets);
    }
}
