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
/// Octets on the wire between routing key and properties, properties and body: the publish's bits and end, the
/// header's head, class, weight and size; its end, the body's head.
const GAPS: [usize; 2] = [2 + 7 + 12, 1 + 7];

/// What a message costs beside its octets: the allocation's own fields and a queue's entry.
const OVERHEAD: usize = 72;

/// A published message. Cloning shares it: fan-out copies nothing.
#[derive(Clone)]
pub struct Message(ThinArc<Head, u8>);

/// The slice behind the head holds exchange and routing key as short strings, property octets and an inline body, in
/// this order; a framed one has what separated the last three on the wire between them. Behind them stands what few
/// messages have, each part only with its flag: hidden keys and their length, the priority, the expiration.
///
/// Sixteen octets: a backlog of small messages is mostly these.
struct Head {
    /// A body that is not inline, as it came, a piece per frame.
    beside: Option<Box<Beside>>,
    /// The slice knows it, too, but not when the head is dropped.
    slice_length: u32,
    inline_length: u16,
    flags: u8,
    account: Account,
}

const PERSISTENT: u8 = 1;
const HAS_DEATHS: u8 = 2;
const FRAMED: u8 = 4;
const HIDDEN_KEYS: u8 = 8;
const PRIORITY: u8 = 16;
const EXPIRATION: u8 = 32;
/// Any of these: the slice has a tail.
const TAIL: u8 = HIDDEN_KEYS | PRIORITY | EXPIRATION;

/// Octets of the parts of the tail, but for the hidden keys themselves.
const HIDDEN_LENGTH_OCTETS: usize = 4;
const PRIORITY_OCTETS: usize = 1;
const EXPIRATION_OCTETS: usize = 8;

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

    /// Makes a message whose parts and body lie in `frames` as they came: from the length of the exchange's name to
    /// the end of the body. Parts that are not from there must not be used with it.
    #[inline]
    pub fn of_frames(parts: &Parts<'_>, body: &[u8], frames: &[u8], scratch: &mut Vec<u8>) -> Message {
        let names = 1 + parts.exchange.len() + 1 + parts.routing_key.len();
        let length = names + GAPS[0] + parts.properties.len() + GAPS[1] + body.len();
        let mut flags = flags_of(parts, Secrets::default());
        let is_apt = (FRAMED_BODY_MIN..=INLINE_BODY_MAX).contains(&body.len()) && flags & TAIL == 0;
        if !is_apt || frames.len() != length {
            return Message::new(parts, body, scratch);
        }
        flags |= FRAMED;
        Message::allocate(None, body.len(), flags, parts.account, frames)
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
        debug_assert!(parts.exchange.len() <= 255 && parts.routing_key.len() <= 255);
        debug_assert!(inline.len() <= INLINE_BODY_MAX);
        let flags = flags_of(parts, secrets);
        scratch.clear();
        scratch.push(parts.exchange.len() as u8);
        scratch.extend_from_slice(parts.exchange);
        scratch.push(parts.routing_key.len() as u8);
        scratch.extend_from_slice(parts.routing_key);
        scratch.extend_from_slice(parts.properties);
        scratch.extend_from_slice(inline);
        if flags & TAIL != 0 {
            put_tail(flags, parts, secrets, scratch);
        }
        Message::allocate(beside, inline.len(), flags, parts.account, scratch)
    }

    #[inline]
    fn allocate(
        beside: Option<Box<Beside>>,
        inline_length: usize,
        flags: u8,
        account: Account,
        slice: &[u8],
    ) -> Message {
        let (slice_length, inline_length) = (slice.len() as u32, inline_length as u16);
        let head = Head { beside, slice_length, inline_length, flags, account };
        account.charge(head.cost());
        Message(ThinArc::from_header_and_slice(head, slice))
    }

    #[inline]
    fn head(&self) -> &Head {
        &self.0.header.header
    }

    #[inline]
    fn octets(&self, from: usize, length: usize) -> &[u8] {
        self.0.slice.get(from..from + length).unwrap_or_default()
    }

    /// The short string at an octet of the slice.
    #[inline]
    fn short_string(&self, at: usize) -> &[u8] {
        let length = self.0.slice.get(at).copied().unwrap_or(0);
        self.octets(at + 1, usize::from(length))
    }

    /// The exchange it was published to.
    #[inline]
    pub fn exchange(&self) -> &[u8] {
        self.short_string(0)
    }

    #[inline]
    pub fn routing_key(&self) -> &[u8] {
        self.short_string(1 + self.exchange().len())
    }

    /// Flag word and property list, octet for octet as they came in (BAS-01).
    #[inline]
    pub fn properties(&self) -> &[u8] {
        let head = self.head();
        let at = 1 + self.exchange().len() + 1 + self.routing_key().len() + head.gap(GAPS[0]);
        let end = self.body_at().saturating_sub(head.gap(GAPS[1]));
        self.0.slice.get(at..end).unwrap_or_default()
    }

    #[inline]
    fn body_at(&self) -> usize {
        let behind = usize::from(self.head().inline_length) + self.tail_length();
        self.0.slice.len().saturating_sub(behind)
    }

    /// Octets behind the inline body.
    #[inline]
    fn tail_length(&self) -> usize {
        if self.has(TAIL) { self.hidden_keys().len() + self.behind_hidden_keys() } else { 0 }
    }

    /// Octets behind the hidden keys.
    fn behind_hidden_keys(&self) -> usize {
        let part = |flag, octets| usize::from(self.has(flag)) * octets;
        part(HIDDEN_KEYS, HIDDEN_LENGTH_OCTETS)
            + part(PRIORITY, PRIORITY_OCTETS)
            + part(EXPIRATION, EXPIRATION_OCTETS)
    }

    /// Octets of the slice that end so many before its end.
    fn tail_octets<const N: usize>(&self, behind: usize) -> Option<[u8; N]> {
        let end = self.0.slice.len().checked_sub(behind)?;
        self.0.slice.get(end.checked_sub(N)?..end)?.try_into().ok()
    }

    #[inline]
    fn has(&self, flag: u8) -> bool {
        self.head().flags & flag != 0
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
        head.beside.is_none().then(|| self.octets(self.body_at(), usize::from(head.inline_length)))
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
        self.has(PERSISTENT)
    }

    /// The priority property, 0 when absent.
    #[inline]
    pub fn priority(&self) -> u8 {
        if !self.has(PRIORITY) {
            return 0;
        }
        let behind = usize::from(self.has(EXPIRATION)) * EXPIRATION_OCTETS;
        self.tail_octets(behind).map_or(0, u8::from_le_bytes)
    }

    /// The priority property, if there is one.
    pub fn given_priority(&self) -> Option<u8> {
        let flags = self.properties().first().copied().unwrap_or(0);
        (flags & PRIORITY_FLAG != 0).then(|| self.priority())
    }

    /// Per-message time to live in milliseconds.
    #[inline]
    pub fn expiration(&self) -> Option<u64> {
        if self.has(EXPIRATION) { self.tail_octets(0).map(u64::from_le_bytes) } else { None }
    }

    /// Whether its x-death header was made by the broker; a client's own one is not history (DLX-25).
    pub fn has_deaths(&self) -> bool {
        self.has(HAS_DEATHS)
    }

    /// Routing keys beside those that the message shows, as short strings one after the other.
    pub fn hidden_keys(&self) -> &[u8] {
        if !self.has(HIDDEN_KEYS) {
            return &[];
        }
        let behind = self.behind_hidden_keys();
        let length = self.tail_octets(behind - HIDDEN_LENGTH_OCTETS).map_or(0, u32::from_le_bytes) as usize;
        let end = self.0.slice.len().saturating_sub(behind);
        self.octets(end.saturating_sub(length), length)
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
    /// What stands before a part of a framed message.
    #[inline]
    fn gap(&self, octets: usize) -> usize {
        usize::from(self.flags & FRAMED != 0) * octets
    }

    /// What a message with this head costs in memory.
    #[inline]
    fn cost(&self) -> i64 {
        let beside = self.beside.as_ref().map_or(0, |beside| beside.length);
        (OVERHEAD + self.slice_length as usize) as i64 + beside as i64
    }
}

/// What a message of these parts has, but for being framed.
#[inline]
fn flags_of(parts: &Parts<'_>, secrets: Secrets<'_>) -> u8 {
    let flag = |is_set, flag| if is_set { flag } else { 0 };
    flag(parts.persistent, PERSISTENT)
        | flag(secrets.has_deaths, HAS_DEATHS)
        | flag(!secrets.hidden_keys.is_empty(), HIDDEN_KEYS)
        | flag(parts.priority != 0, PRIORITY)
        | flag(parts.expiration.is_some(), EXPIRATION)
}

/// Appends what stands behind the body.
fn put_tail(flags: u8, parts: &Parts<'_>, secrets: Secrets<'_>, slice: &mut Vec<u8>) {
    if flags & HIDDEN_KEYS != 0 {
        slice.extend_from_slice(secrets.hidden_keys);
        slice.extend_from_slice(&(secrets.hidden_keys.len() as u32).to_le_bytes());
    }
    if flags & PRIORITY != 0 {
        slice.push(parts.priority);
    }
    if let Some(expiration) = parts.expiration {
        slice.extend_from_slice(&expiration.to_le_bytes());
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
            let frames = [&b"\x02ex\x03key"[..], &gap(GAPS[0]), &[0x10, 0, 2], &gap(GAPS[1]), &body].concat();
            let plain_parts = Parts { priority: 0, expiration: None, ..PARTS };
            let framed = Message::of_frames(&plain_parts, &body, &frames, &mut Vec::new());
            let plain = Message::new(&plain_parts, &body, &mut Vec::new());
            assert_eq!(framed.has(FRAMED), (FRAMED_BODY_MIN..=INLINE_BODY_MAX).contains(&length));
            let parts = |message: &Message| {
                let names = (message.exchange().to_vec(), message.routing_key().to_vec());
                let inline = message.inline_body().map(<[u8]>::to_vec);
                (names, message.properties().to_vec(), inline, message.pieces().to_vec())
            };
            assert_eq!(parts(&framed), parts(&plain));
            let hidden = framed.with_hidden_keys([&b"one"[..]], &mut Vec::new());
            assert_eq!((hidden.hidden_keys(), parts(&hidden)), (&b"\x03one"[..], parts(&plain)));
            // Parts from elsewhere are not looked for in the frames.
            let elsewhere = Parts { properties: &[0, 0], ..plain_parts };
            let other = Message::of_frames(&elsewhere, &body, &frames, &mut Vec::new());
            assert_eq!(other.properties(), &[0, 0]);
            let marked = Message::of_frames(&PARTS, &body, &frames, &mut Vec::new());
            assert_eq!((marked.priority(), marked.expiration(), parts(&marked)), (3, Some(9), parts(&plain)));
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
        assert_eq!(size_of::<Head>(), 16);
    }

    #[test]
    fn every_choice_of_rare_parts_comes_back() {
        for choice in 0..8 {
            let priority = if choice & 1 != 0 { 255 } else { 0 };
            let expiration = (choice & 2 != 0).then_some(315_360_000_000);
            let keys: &[&[u8]] = if choice & 4 != 0 { &[b"one", b"", &[b'x'; 255]] } else { &[] };
            let parts = Parts { priority, expiration, ..PARTS };
            for body in [&b""[..], b"body", &[7; INLINE_BODY_MAX], &[7; INLINE_BODY_MAX + 1]] {
                let plain = Message::new(&parts, body, &mut Vec::new());
                let message = plain.with_hidden_keys(keys.iter().copied(), &mut Vec::new());
                let hidden = keys.iter().flat_map(|key| [&[key.len() as u8][..], key].concat());
                assert_eq!(message.hidden_keys(), hidden.collect::<Vec<u8>>());
                assert_eq!((message.priority(), message.expiration()), (priority, expiration));
                assert_eq!((message.exchange(), message.routing_key()), (&b"ex"[..], &b"key"[..]));
                assert_eq!(message.properties(), &[0x10, 0, 2]);
                let inline = message.inline_body().unwrap_or_default();
                assert_eq!([inline, &message.pieces().concat()].concat(), body);
            }
        }
    }
}
