//! A message: what routing and delivery need, in one shared allocation.

use std::fmt;

use bytes::Bytes;
use smallvec::{SmallVec, smallvec};
use triomphe::ThinArc;

use super::memory::Account;

/// Bodies up to this many octets that came in one frame are copied into the message's own allocation;
/// a small body must not pin a large read buffer, and one allocation is cheaper than two.
pub const INLINE_BODY_MAX: usize = 4096;

/// Bodies from this many octets on keep what stood between the parts on the wire, rather than to be moved once
/// more; in smaller messages it would be much beside little.
const FRAMED_BODY_MIN: usize = 512;
/// Octets on the wire between exchange and routing key, routing key and properties, properties and body: the
/// key's length; the publish's bits and end, the header's head, class, weight and size; its end, the body's head.
const GAPS: [usize; 3] = [1, 2 + 7 + 12, 1 + 7];

/// What a message costs beside its octets: the allocation's own fields and a queue's entry.
const OVERHEAD: usize = 96;

/// A published message. Cloning shares it: fan-out copies nothing.
#[derive(Clone)]
pub struct Message(ThinArc<Head, u8>);

/// The slice behind the head holds exchange, routing key, property octets, an inline body and hidden keys, in
/// this order; a framed one has what separated the first four on the wire between them.
struct Head {
    /// Milliseconds; [`NO_EXPIRATION`] for none.
    expiration: u64,
    /// A body that is not inline, as it came, a piece per frame.
    beside: Option<Box<Beside>>,
    properties_length: u32,
    inline_length: u32,
    hidden_length: u32,
    exchange_length: u8,
    key_length: u8,
    priority: u8,
    persistent: bool,
    has_deaths: bool,
    framed: bool,
    account: Account,
}

/// What only the broker knows of a message; no client can set it.
#[derive(Debug, Clone, Copy, Default)]
struct Secrets<'a> {
    has_deaths: bool,
    /// Short strings one after the other.
    hidden_keys: &'a [u8],
}

/// What a restart gives back of a message beside its [`Parts`] and its body.
#[derive(Debug, Clone, Copy)]
pub struct Recovered<'a> {
    /// As [`Message::has_deaths`] said.
    pub has_deaths: bool,
    /// As [`Message::hidden_keys`] gave them.
    pub hidden_keys: &'a [u8],
}

#[derive(Clone)]
struct Beside {
    pieces: SmallVec<[Bytes; 1]>,
    length: u64,
}

/// In the first octet of the properties' flag word: there is a priority (WIR-51).
const PRIORITY_FLAG: u8 = 0x08;
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
            return Message::beside(parts, smallvec![Bytes::copy_from_slice(body)], scratch);
        }
        Message::build(parts, None, body, Secrets::default(), scratch)
    }

    /// Makes a message whose parts and body lie in `frames` as they came: from the exchange's name to the end of
    /// the body. Parts that are not from there must not be used with it.
    #[inline]
    pub fn of_frames(parts: &Parts<'_>, body: &[u8], frames: &[u8], scratch: &mut Vec<u8>) -> Message {
        let gaps: usize = GAPS.iter().sum();
        let length = parts.exchange.len() + parts.routing_key.len() + parts.properties.len() + body.len();
        if !(FRAMED_BODY_MIN..=INLINE_BODY_MAX).contains(&body.len()) || frames.len() != length + gaps {
            return Message::new(parts, body, scratch);
        }
        let mut head = Head::new(parts, None, body, Secrets::default());
        head.framed = true;
        head.account.charge(head.cost());
        Message(ThinArc::from_header_and_slice(head, frames))
    }

    /// Makes a message of a body that came in several frames.
    pub fn from_pieces(parts: &Parts<'_>, pieces: Vec<Bytes>, scratch: &mut Vec<u8>) -> Message {
        Message::beside(parts, pieces.into(), scratch)
    }

    fn beside(parts: &Parts<'_>, pieces: SmallVec<[Bytes; 1]>, scratch: &mut Vec<u8>) -> Message {
        let length = pieces.iter().map(|piece| piece.len() as u64).sum();
        let beside = Box::new(Beside { pieces, length });
        Message::build(parts, Some(beside), &[], Secrets::default(), scratch)
    }

    /// A message that was stored.
    pub fn recovered(
        parts: &Parts<'_>,
        recovered: Recovered<'_>,
        body: &[u8],
        scratch: &mut Vec<u8>,
    ) -> Message {
        let Recovered { has_deaths, hidden_keys } = recovered;
        let secrets = Secrets { has_deaths, hidden_keys };
        if body.len() <= INLINE_BODY_MAX {
            return Message::build(parts, None, body, secrets, scratch);
        }
        let beside = Beside { pieces: smallvec![Bytes::copy_from_slice(body)], length: body.len() as u64 };
        Message::build(parts, Some(Box::new(beside)), &[], secrets, scratch)
    }

    /// The message under new names and with new properties, after a queue gave it up. The x-death header
    /// among them must be the broker's own: [`Message::has_deaths`] says so from now on.
    ///
    /// `hidden_keys` is what [`Message::hidden_keys`] gave, or empty.
    pub fn after_death(&self, parts: &Parts<'_>, hidden_keys: &[u8], scratch: &mut Vec<u8>) -> Message {
        self.rebuild(parts, Secrets { has_deaths: true, hidden_keys }, scratch)
    }

    /// The message under other names and with other properties, with what else its readers must not see.
    pub fn renamed(&self, parts: &Parts<'_>, has_deaths: bool, scratch: &mut Vec<u8>) -> Message {
        self.rebuild(parts, Secrets { has_deaths, hidden_keys: self.hidden_keys() }, scratch)
    }

    /// The message with other properties.
    pub fn with_properties(&self, properties: &[u8], scratch: &mut Vec<u8>) -> Message {
        let parts = Parts { properties, ..self.parts() };
        let secrets = Secrets { has_deaths: self.has_deaths(), hidden_keys: self.hidden_keys() };
        self.rebuild(&parts, secrets, scratch)
    }

    /// The message with routing keys that its readers must not see, such as those of BCC (BAS-07).
    pub fn with_hidden_keys<'a>(
        &self,
        keys: impl IntoIterator<Item = &'a [u8]>,
        scratch: &mut Vec<u8>,
    ) -> Message {
        let mut hidden_keys = Vec::new();
        for key in keys {
            // Routing keys are short strings; nothing can be routed by a longer one.
            if let Ok(length) = u8::try_from(key.len()) {
                hidden_keys.push(length);
                hidden_keys.extend_from_slice(key);
            }
        }
        let secrets = Secrets { has_deaths: self.has_deaths(), hidden_keys: &hidden_keys };
        self.rebuild(&self.parts(), secrets, scratch)
    }

    /// The body under other names and with other properties, and nothing else of the message.
    pub fn copied_as(&self, parts: &Parts<'_>, scratch: &mut Vec<u8>) -> Message {
        self.rebuild(parts, Secrets::default(), scratch)
    }

    fn parts(&self) -> Parts<'_> {
        Parts {
            exchange: self.exchange(),
            routing_key: self.routing_key(),
            properties: self.properties(),
            persistent: self.is_persistent(),
            priority: self.priority(),
            expiration: self.expiration(),
            account: self.head().account,
        }
    }

    /// A body in pieces is shared with the original, an inline one copied.
    fn rebuild(&self, parts: &Parts<'_>, secrets: Secrets<'_>, scratch: &mut Vec<u8>) -> Message {
        let inline = self.inline_body().unwrap_or_default();
        Message::build(parts, self.head().beside.clone(), inline, secrets, scratch)
    }

    #[inline]
    fn build(
        parts: &Parts<'_>,
        beside: Option<Box<Beside>>,
        inline: &[u8],
        secrets: Secrets<'_>,
        scratch: &mut Vec<u8>,
    ) -> Message {
        scratch.clear();
        scratch.extend_from_slice(parts.exchange);
        scratch.extend_from_slice(parts.routing_key);
        scratch.extend_from_slice(parts.properties);
        scratch.extend_from_slice(inline);
        scratch.extend_from_slice(secrets.hidden_keys);
        let head = Head::new(parts, beside, inline, secrets);
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
        self.octets(head.key_at(), usize::from(head.key_length))
    }

    /// Flag word and property list, octet for octet as they came in (BAS-01).
    #[inline]
    pub fn properties(&self) -> &[u8] {
        let head = self.head();
        self.octets(head.properties_at(), head.properties_length as usize)
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
        head.beside.is_none().then(|| self.octets(head.body_at(), head.inline_length as usize))
    }

    /// The pieces of a body that is not inline.
    pub fn pieces(&self) -> &[Bytes] {
        self.head().beside.as_ref().map_or(&[], |beside| &beside.pieces)
    }

    /// Tells it from every other living message; clones have the same.
    #[inline]
    pub fn address(&self) -> usize {
        std::ptr::from_ref(self.head()).addr()
    }

    /// Whose memory it is.
    pub fn account(&self) -> Account {
        self.head().account
    }

    pub fn is_persistent(&self) -> bool {
        self.head().persistent
    }

    /// The priority property, 0 when absent.
    #[inline]
    pub fn priority(&self) -> u8 {
        self.head().priority
    }

    /// The priority property, if there is one.
    pub fn given_priority(&self) -> Option<u8> {
        let flags = self.properties().first().copied().unwrap_or(0);
        (flags & PRIORITY_FLAG != 0).then(|| self.priority())
    }

    /// Per-message time to live in milliseconds.
    #[inline]
    pub fn expiration(&self) -> Option<u64> {
        Some(self.head().expiration).filter(|expiration| *expiration != NO_EXPIRATION)
    }

    /// Whether its x-death header was made by the broker; a client's own one is not history (DLX-25).
    pub fn has_deaths(&self) -> bool {
        self.head().has_deaths
    }

    /// Routing keys beside those that the message shows, as short strings one after the other.
    pub fn hidden_keys(&self) -> &[u8] {
        let length = self.head().hidden_length as usize;
        self.octets(self.0.slice.len() - length, length)
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
    #[inline]
    fn new(parts: &Parts<'_>, beside: Option<Box<Beside>>, inline: &[u8], secrets: Secrets<'_>) -> Head {
        debug_assert!(parts.exchange.len() <= 255 && parts.routing_key.len() <= 255);
        Head {
            expiration: parts.expiration.unwrap_or(NO_EXPIRATION),
            beside,
            properties_length: parts.properties.len() as u32,
            inline_length: inline.len() as u32,
            hidden_length: secrets.hidden_keys.len() as u32,
            exchange_length: parts.exchange.len() as u8,
            key_length: parts.routing_key.len() as u8,
            priority: parts.priority,
            persistent: parts.persistent,
            has_deaths: secrets.has_deaths,
            framed: false,
            account: parts.account,
        }
    }

    /// What stands before a part of a framed message.
    #[inline]
    fn gap(&self, octets: usize) -> usize {
        usize::from(self.framed) * octets
    }

    #[inline]
    fn key_at(&self) -> usize {
        usize::from(self.exchange_length) + self.gap(GAPS[0])
    }

    #[inline]
    fn properties_at(&self) -> usize {
        self.key_at() + usize::from(self.key_length) + self.gap(GAPS[1])
    }

    #[inline]
    fn body_at(&self) -> usize {
        self.properties_at() + self.properties_length as usize + self.gap(GAPS[2])
    }

    /// What a message with this head costs in memory.
    #[inline]
    fn cost(&self) -> i64 {
        let names = usize::from(self.exchange_length) + usize::from(self.key_length);
        let lists = self.properties_length as usize + self.hidden_length as usize;
        let slice = names + lists + self.inline_length as usize + self.gap(GAPS.iter().sum());
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
    fn parts_in_their_frames_are_found_between_what_separates_them() {
        for length in [0, FRAMED_BODY_MIN - 1, FRAMED_BODY_MIN, INLINE_BODY_MAX, INLINE_BODY_MAX + 1] {
            let body = vec![b'b'; length];
            let gap = |octets| vec![0xAA; octets];
            let frames =
                [b"ex", &gap(GAPS[0])[..], b"key", &gap(GAPS[1]), &[0x10, 0, 2], &gap(GAPS[2]), &body]
                    .concat();
            let framed = Message::of_frames(&PARTS, &body, &frames, &mut Vec::new());
            let plain = Message::new(&PARTS, &body, &mut Vec::new());
            assert_eq!(framed.head().framed, (FRAMED_BODY_MIN..=INLINE_BODY_MAX).contains(&length));
            let parts = |message: &Message| {
                let names = (message.exchange().to_vec(), message.routing_key().to_vec());
                let inline = message.inline_body().map(<[u8]>::to_vec);
                (names, message.properties().to_vec(), inline, message.pieces().to_vec())
            };
            assert_eq!(parts(&framed), parts(&plain));
            let hidden = framed.with_hidden_keys([&b"one"[..]], &mut Vec::new());
            assert_eq!((hidden.hidden_keys(), parts(&hidden)), (&b"\x03one"[..], parts(&plain)));
            // Parts from elsewhere are not looked for in the frames.
            let elsewhere = Parts { properties: &[0, 0], ..PARTS };
            let other = Message::of_frames(&elsewhere, &body, &frames, &mut Vec::new());
            assert_eq!(other.properties(), &[0, 0]);
        }
    }

    #[test]
    fn large_bodies_stay_beside_the_message() {
        let body = vec![7; INLINE_BODY_MAX + 1];
        let message = Message::new(&PARTS, &body, &mut Vec::new());
        assert_eq!(message.inline_body(), None);
        assert_eq!(message.body_length(), body.len() as u64);
        assert_eq!(message.pieces().concat(), body);
    }

    #[test]
    fn hidden_keys_and_deaths_change_nothing_else() {
        for body in [&b"body"[..], &[7; INLINE_BODY_MAX + 1]] {
            let scratch = &mut Vec::new();
            let plain = Message::new(&PARTS, body, scratch);
            assert!(plain.hidden_keys().is_empty() && !plain.has_deaths());
            let hidden = plain.with_hidden_keys([&b"one"[..], &[b'x'; 256], b""], scratch);
            assert_eq!(hidden.hidden_keys(), b"\x03one\x00");
            let dead = hidden.after_death(&PARTS, hidden.hidden_keys(), scratch);
            assert!(dead.has_deaths() && dead.hidden_keys() == hidden.hidden_keys());
            for message in [hidden, dead] {
                assert_eq!((message.exchange(), message.routing_key()), (&b"ex"[..], &b"key"[..]));
                assert_eq!((message.properties(), message.expiration()), (&[0x10, 0, 2][..], Some(9)));
                assert_eq!(message.inline_body(), plain.inline_body());
                assert_eq!(message.pieces(), plain.pieces());
            }
        }
    }

    #[test]
    fn a_message_costs_no_more_than_its_fields_need() {
        assert!(size_of::<Head>() <= 48, "{}", size_of::<Head>());
    }
}
