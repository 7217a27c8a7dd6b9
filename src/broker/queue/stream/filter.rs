//! Filter values: which messages a consumer wants, and which chunks need not be read for it (STR-10).

use foldhash::fast::RandomState;
use hashbrown::HashSet;

use crate::{
    amqp::{properties::Properties, table::FieldRef},
    broker::Message,
};

/// The header with a message's filter value.
const HEADER: &[u8] = b"x-stream-filter-value";
/// In the first octet of the properties' flag word: there are headers.
const HEADERS_FLAG: u8 = 0x20;
/// Bits that a value sets in a chunk's filter.
const BITS: u64 = 2;

/// A message's filter value, if it has one.
pub fn filter_value(message: &Message) -> Option<&[u8]> {
    let octets = message.properties();
    if octets.first()? & HEADERS_FLAG == 0 {
        return None;
    }
    // Octets that were checked when they came in.
    match Properties::scan(octets, usize::from(u16::MAX)).ok()?.headers()?.find(HEADER)? {
        FieldRef::LongStr(value) => Some(value),
        _ => None,
    }
}

/// Which messages a consumer wants.
#[derive(Debug, Clone)]
pub struct Filter {
    /// A consumer may name thousands, and every message is looked up among them.
    values: HashSet<Box<[u8]>, RandomState>,
    match_unfiltered: bool,
}

/// Values of a consumer beyond which all chunks are read: to look for so many in each chunk's filter takes longer,
/// and some are found in almost any.
const LOOKED_FOR_MAX: usize = 64;

impl Filter {
    /// `None` when everything is wanted.
    pub fn new(values: Vec<Vec<u8>>, match_unfiltered: bool) -> Option<Filter> {
        let values: HashSet<Box<[u8]>, RandomState> = values.into_iter().map(Vec::into_boxed_slice).collect();
        (!values.is_empty()).then_some(Filter { values, match_unfiltered })
    }

    pub fn wants(&self, message: &Message) -> bool {
        match filter_value(message) {
            None => self.match_unfiltered,
            Some(value) => self.values.contains(value),
        }
    }

    /// Whether a chunk may hold anything that is wanted.
    pub fn may_want(&self, chunk: &ChunkFilter) -> bool {
        self.match_unfiltered && chunk.has_unfiltered
            || LOOKED_FOR_MAX < self.values.len() && !chunk.bits.is_empty()
            || self.values.iter().any(|value| chunk.may_contain(value))
    }
}

/// What filter values a chunk's messages have: a Bloom filter, so that it never misses one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChunkFilter {
    /// Whether there are messages without a value.
    pub has_unfiltered: bool,
    /// Empty when no message has one.
    pub bits: Box<[u8]>,
}

impl ChunkFilter {
    /// The filter of a chunk of these messages, of so many octets.
    pub fn of<'a>(messages: impl Iterator<Item = &'a Message>, octets: usize) -> ChunkFilter {
        let mut filter = ChunkFilter::default();
        for message in messages {
            match filter_value(message) {
                None => filter.has_unfiltered = true,
                Some(value) => filter.insert(value, octets),
            }
        }
        filter
    }

    fn insert(&mut self, value: &[u8], octets: usize) {
        if self.bits.is_empty() {
            self.bits = vec![0; octets.max(1)].into();
        }
        for bit in places(value, self.bits.len()) {
            if let Some(octet) = self.bits.get_mut(bit / 8) {
                *octet |= 1 << (bit % 8);
            }
        }
    }

    fn may_contain(&self, value: &[u8]) -> bool {
        let is_set = |bit: usize| self.bits.get(bit / 8).is_some_and(|octet| octet & (1 << (bit % 8)) != 0);
        !self.bits.is_empty() && places(value, self.bits.len()).all(is_set)
    }
}

/// The bits of a value in a filter of so many octets; part of the format of files, so that it never changes.
fn places(value: &[u8], octets: usize) -> impl Iterator<Item = usize> {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for octet in value {
        hash = (hash ^ u64::from(*octet)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    let (start, step) = (hash & 0xffff_ffff, hash >> 32 | 1);
    let bits = (octets.max(1) * 8) as u64;
    (0..BITS).map(move |turn| (start.wrapping_add(step.wrapping_mul(turn)) % bits) as usize)
}
