//! Consistent-hash exchange: each message to one destination, by a hash and the weights of the bindings (EXC-80 to
//! EXC-83).
//!
//! The ring is a row of buckets, as many for a destination as its weight, in the order of the bindings. Only where
//! each destination's buckets end is kept, so a large weight costs nothing. Destinations are looked through one by
//! one when bindings change: rings are short, and a removal moves those behind it anyway.

use super::binding::{Binding, Destination};
use super::error::FurtherError;
use super::hashing::{ABSENT, hash, hash_keys, jump};
use super::route::Message;
use crate::amqp::properties::{Value, named};
use crate::amqp::table::hash_field;
use crate::broker::arguments::{term_text, value_text};
use amq_protocol::types::{AMQPValue, FieldTable};
use smallvec::{SmallVec, smallvec};
use std::hash::Hasher;

const HEADER_ARGUMENT: &str = "hash-header";
const PROPERTY_ARGUMENT: &str = "hash-property";
/// The properties that can be hashed.
const PROPERTIES: [&str; 3] = ["correlation_id", "message_id", "timestamp"];
/// The greatest weight (EXC-80).
const WEIGHT_MAX: u64 = 10_000;

/// The bindings of a consistent-hash exchange.
#[derive(Clone, Debug)]
pub(super) struct ConsistentHash {
    hashed: Hashed,
    ring: Vec<Member>,
}

/// What of a message is hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Hashed {
    RoutingKeys,
    Header(Box<[u8]>),
    Property(&'static str),
}

#[derive(Clone, Debug)]
struct Member {
    destination: Destination,
    /// One per binding; only the oldest counts (EXC-82).
    weights: SmallVec<[u64; 1]>,
    /// The number of buckets up to and including this member's.
    end: u64,
}

impl ConsistentHash {
    /// Of an exchange with these arguments (EXC-83).
    pub(super) fn new(arguments: &FieldTable) -> Result<Self, FurtherError> {
        let argument = |name| arguments.inner().get(name);
        let hashed = match (argument(HEADER_ARGUMENT), argument(PROPERTY_ARGUMENT)) {
            (None, None) => Hashed::RoutingKeys,
            (Some(header), None) => Hashed::Header(value_text(header).into_bytes().into()),
            (None, Some(property)) => {
                let name = value_text(property);
                let known = PROPERTIES.into_iter().find(|known| *known == name);
                Hashed::Property(known.ok_or(FurtherError::HashProperty { name })?)
            }
            (Some(_), Some(_)) => return Err(FurtherError::TwoHashSources),
        };
        Ok(Self { hashed, ring: Vec::new() })
    }

    /// Checks the weight (EXC-80).
    pub(super) fn validate(binding: &Binding) -> Result<(), FurtherError> {
        weight(&binding.routing_key).map(drop)
    }

    /// Whether messages with the same routing keys go the same way.
    pub(super) fn is_by_keys(&self) -> bool {
        self.hashed == Hashed::RoutingKeys
    }

    pub(super) fn insert(&mut self, binding: &Binding) {
        let weight = weight(&binding.routing_key).expect("validated before");
        match self.ring.iter_mut().find(|member| member.destination == binding.destination) {
            Some(member) => member.weights.push(weight),
            None => {
                let (destination, end) = (binding.destination, self.bucket_count() + weight);
                self.ring.push(Member { destination, weights: smallvec![weight], end });
            }
        }
    }

    pub(super) fn remove(&mut self, binding: &Binding) {
        let weight = weight(&binding.routing_key).expect("validated before");
        let is_meant = |member: &Member| member.destination == binding.destination;
        let place = self.ring.iter().position(is_meant).expect("a binding's destination is known");
        let weights = &mut self.ring[place].weights;
        let oldest = weights.iter().position(|known| *known == weight).expect("inserted before");
        weights.remove(oldest);
        if weights.is_empty() {
            self.ring.remove(place);
        }
        self.number_buckets();
    }

    pub(super) fn route(&self, message: Message<'_>, found: &mut Vec<Destination>) {
        let buckets = self.bucket_count();
        if buckets == 0 {
            return;
        }
        let bucket = jump(self.hash(message), buckets);
        let place = self.ring.partition_point(|member| member.end <= bucket);
        found.extend(self.ring.get(place).map(|member| member.destination));
    }

    fn hash(&self, message: Message<'_>) -> u64 {
        match &self.hashed {
            Hashed::RoutingKeys => hash_keys(&message.keys),
            Hashed::Header(name) => {
                let field = message.headers.find(name);
                field.map_or(ABSENT, |field| hash(|hasher| hash_field(field, hasher)))
            }
            Hashed::Property(name) => {
                let value = named(message.properties).find(|(found, _)| found == name);
                value.map_or(ABSENT, |(_, value)| hash_property(value))
            }
        }
    }

    fn bucket_count(&self) -> u64 {
        self.ring.last().map_or(0, |member| member.end)
    }

    fn number_buckets(&mut self) {
        let mut end = 0;
        for member in &mut self.ring {
            end += member.weights.first().copied().unwrap_or_default();
            member.end = end;
        }
    }
}

fn hash_property(value: Value<'_>) -> u64 {
    hash(|hasher| match value {
        Value::Short(octets) => hasher.write(octets),
        Value::Time(seconds) => hasher.write_u64(seconds),
        Value::Octet(octet) => hasher.write_u8(octet),
        Value::Table(table) => hasher.write(table.as_bytes()),
    })
}

/// The weight that a binding key is: a decimal number, perhaps signed, of any length.
fn weight(key: &str) -> Result<u64, FurtherError> {
    let digits = key.strip_prefix(['+', '-']).unwrap_or(key);
    if digits.is_empty() || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(FurtherError::WeightNotInteger { key: term_text(&AMQPValue::LongString(key.into())) });
    }
    let number = digits.trim_start_matches('0');
    if number.is_empty() || key.starts_with('-') {
        return Err(FurtherError::WeightTooSmall);
    }
    let weight = number.parse().unwrap_or(u64::MAX);
    if WEIGHT_MAX < weight {
        return Err(FurtherError::WeightTooLarge { max: WEIGHT_MAX });
    }
    Ok(weight)
}
