//! A message: what routing and delivery need, in one shared allocation.

use std::fmt;

use bytes::Bytes;
use triomphe::ThinArc;

use super::memory::Account;

/// Bodies up to this many octets that came in one frame are copied into the message's own allocation;
/// a small body must not pin a large read buffer, and one allocation is cheaper than two.
pub const INLINE_BODY_MAX: usize = 4096;

/// What a message costs beside its octets: the allocation's own fields and a queue's entry.
const OVERHEAD: usize = 96;

/// A published message. Cloning shares it: fan-out copies nothing.
#[derive(Clone)]
pub struct Message(ThinArc<Head, u8>);

/// The slice behind the head holds exchange, routing key, property octets and an inline body, in this order.
struct Head {
    /// Milliseconds; [`NO_EXPIRATION`] for none.
    expiration: u64,
    /// A body that is not inline, as it came, a piece per frame.
    beside: Option<Box<Beside>>,
    properties_length: u32,
    inline_length: u32,
    exchange_length: u8,
    key_length: u8,
    priority: u8,
    persistent: bool,
    account: Account,
}

struct Beside {
    pieces: Box<[Bytes]>,
    length: u64,
}

/// Stands for an absent expiration; real ones are at most ten years.
const NO_EXPIRATION: u64 = u64::MAX;

/// The parts a message is made of.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// At most 255 octets, as it came in a short string.
    pub exchange: &'a [u8],
    /// At most 255 octets, as it came in a short string.
    pub routing_key: &'a [u8],
    /// Flag word and property list as received; smaller than a frame.
    pub properties: &'a [u8],
    pub persistent: bool,
    /// 0 when absent.
    pub priority: u8,
    /// Per-message time to live in milliseconds.
    pub expiration: Option<u64>,
    /// Whose memory it is.
    pub account: Account,
}

impl Message {
    /// Makes a message with its body in one piece; larger ones than [`INLINE_BODY_MAX`] are copied once.
    ///
    /// `scratch` is only reused memory.
    #[inline]
    pub fn new(parts: &Parts<'_>, body: &[u8], scratch: &mut Vec<u8>) -> Message {
        if INLINE_BODY_MAX < body.len() {
            return Message::from_pieces(parts, vec![Bytes::copy_from_slice(body)], scratch);
        }
        Message::build(parts, None, body, scratch)
    }

    /// Makes a message of a body that came in several frames.
    pub fn from_pieces(parts: &Parts<'_>, pieces: Vec<Bytes>, scratch: &mut Vec<u8>) -> Message {
        let length = pieces.iter().map(|piece| piece.len() as u64).sum();
        let beside = Box::new(Beside { pieces: pieces.into(), length });
        Message::build(parts, Some(beside), &[], scratch)
    }

    #[inline]
    fn build(
        parts: &Parts<'_>,
        beside: Option<Box<Beside>>,
        inline: &[u8],
        scratch: &mut Vec<u8>,
    ) -> Message {
        debug_assert!(parts.exchange.len() <= 255 && parts.routing_key.len() <= 255);
        scratch.clear();
        scratch.extend_from_slice(parts.exchange);
        scratch.extend_from_slice(parts.routing_key);
        scratch.extend_from_slice(parts.properties);
        scratch.extend_from_slice(inline);
        let head = Head {
            expiration: parts.expiration.unwrap_or(NO_EXPIRATION),
            beside,
            properties_length: parts.properties.len() as u32,
            inline_length: inline.len() as u32,
            exchange_length: parts.exchange.len() as u8,
            key_length: parts.routing_key.len() as u8,
            priority: parts.priority,
            persistent: parts.persistent,
            account: parts.account,
        };
        head.account.charge(head.cost());
        Message(ThinArc::from_header_and_slice(head, scratch))
    }

    #[inline]
    fn head(&self) -> &Head {
        &self.0.header.header
    }

    #[inline]
    fn octets(&self, from: usize, length: usize) -> &[u8] {
        self.0.slice.get(from..from + length).unwrap_or_default()
    }

    /// The exchange it was published to.
    #[inline]
    pub fn exchange(&self) -> &[u8] {
        self.octets(0, usize::from(self.head().exchange_length))
    }

    #[inline]
    pub fn routing_key(&self) -> &[u8] {
        let head = self.head();
        self.octets(usize::from(head.exchange_length), usize::from(head.key_length))
    }

    #[inline]
    fn names_length(&self) -> usize {
        usize::from(self.head().exchange_length) + usize::from(self.head().key_length)
    }

    /// Flag word and property list, octet for octet as they came in (BAS-01).
    #[inline]
    pub fn properties(&self) -> &[u8] {
        self.octets(self.names_length(), self.head().properties_length as usize)
    }

    /// Octets of body.
    #[inline]
    pub fn body_length(&self) -> u64 {
        match &self.head().beside {
            None => u64::from(self.head().inline_length),
            Some(beside) => beside.length,
        }
    }

    /// The body, when it lies in one inline piece.
    #[inline]
    pub fn inline_body(&self) -> Option<&[u8]> {
        let head = self.head();
        let from = self.names_length() + head.properties_length as usize;
        head.beside.is_none().then(|| self.octets(from, head.inline_length as usize))
    }

    /// The pieces of a body that is not inline.
    pub fn pieces(&self) -> &[Bytes] {
        self.head().beside.as_ref().map_or(&[], |beside| &beside.pieces)
    }

    pub fn is_persistent(&self) -> bool {
        self.head().persistent
    }

    /// The priority property, 0 when absent.
    #[inline]
    pub fn priority(&self) -> u8 {
        self.head().priority
    }

    /// Per-message time to live in milliseconds.
    #[inline]
    pub fn expiration(&self) -> Option<u64> {
        Some(self.head().expiration).filter(|expiration| *expiration != NO_EXPIRATION)
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("exchange", &String::from_utf8_lossy(self.exchange()))
            .field("routing_key", &String::from_utf8_lossy(self.routing_key()))
            .field("body_length", &self.body_length())
            .finish_non_exhaustive()
    }
}

impl Head {
    /// What a message with this head costs in memory.
    #[inline]
    fn cost(&self) -> i64 {
        let names = usize::from(self.exchange_length) + usize::from(self.key_length);
        let slice = names + self.properties_length as usize + self.inline_length as usize;
        let beside = self.beside.as_ref().map_or(0, |beside| beside.length);
        (OVERHEAD + slice) as i64 + beside as i64
    }
}

impl Drop for Head {
    #[inline]
    fn drop(&mut self) {
        self.account.charge(-self.cost());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTS: Parts<'static> = Parts {
        exchange: b"ex",
        routing_key: b"key",
        properties: &[0x10, 0, 2],
        persistent: true,
        priority: 3,
        expiration: Some(9),
        account: Account::UNCOUNTED,
    };

    #[test]
    fn parts_come_back_as_they_went_in() {
        let message = Message::new(&PARTS, b"body", &mut Vec::new());
        assert_eq!((message.exchange(), message.routing_key()), (&b"ex"[..], &b"key"[..]));
        assert_eq!(message.properties(), &[0x10, 0, 2]);
        assert_eq!(message.inline_body(), Some(&b"body"[..]));
        assert_eq!((message.priority(), message.expiration()), (3, Some(9)));
        assert!(message.is_persistent());
    }

    #[test]
    fn large_bodies_stay_beside_the_message() {
        let body = vec![7; INLINE_BODY_MAX + 1];
        let message = Message::new(&PARTS, &body, &mut Vec::new());
        assert_eq!(message.inline_body(), None);
        assert_eq!(message.body_length(), body.len() as u64);
        assert_eq!(message.pieces().concat(), body);
    }
}
