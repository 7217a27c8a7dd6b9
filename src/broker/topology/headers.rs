//! Headers exchange: arguments of the binding against headers of the message (EXC-70 to EXC-78).
//!
//! Bindings are found by the headers of the message rather than tried one by one: each is filed under the name
//! and the hash of one value that it requires (one that accepts any of several values, under all of them), and
//! only those filed under something the message has are compared in full. Bindings with equal arguments are
//! filed and compared as one.

use super::binding::{Binding, Destination};
use super::error::TopologyError;
use super::intern::{InternId, Interner};
use super::multiset::Multiset;
use super::slab::Slab;
use crate::amqp::table::{FieldRef, TableRef, hash_field, hash_value, value_matches, value_type_name};
use crate::broker::arguments::term_text;
use amq_protocol::types::{AMQPValue, FieldTable};
use foldhash::fast::{FixedState, RandomState};
use hashbrown::HashMap;
use smallvec::SmallVec;
use std::hash::{BuildHasher, Hasher};
use std::ops::Range;

const MATCH_ARGUMENT: &str = "x-match";

type CriteriaId = u32;

/// The bindings of a headers exchange.
#[derive(Clone, Debug, Default)]
pub(super) struct Headers {
    criteria: Slab<Criteria>,
    by_arguments: HashMap<Box<[u8]>, CriteriaId, RandomState>,
    names: Interner,
    present: HashMap<InternId, Multiset<CriteriaId>, FixedState>,
    equal: HashMap<(InternId, u64), Multiset<CriteriaId>, FixedState>,
    // Those that ask for nothing and so match everything.
    unconditional: Multiset<CriteriaId>,
    hashing: RandomState,
}

/// How many of the criteria a message has to meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantity {
    All,
    Any,
}

/// Some arguments, parsed once, and where the bindings that have them lead.
#[derive(Clone, Debug)]
struct Criteria {
    quantity: Quantity,
    required: Box<[Criterion]>,
    // Which of the required headers these criteria are filed under.
    filed: Range<usize>,
    destinations: Multiset<Destination>,
}

#[derive(Clone, Debug)]
struct Criterion {
    name: InternId,
    requirement: Requirement,
}

#[derive(Clone, Debug)]
enum Requirement {
    /// Any value of any type will do (EXC-74).
    Present,
    Equal {
        value: AMQPValue,
        hash: u64,
    },
}

/// A header of the message under a name that some binding asks for.
#[derive(Clone, Copy)]
struct Known<'a> {
    name: InternId,
    hash: u64,
    field: FieldRef<'a>,
}

/// The headers of a message that some binding asks for, sorted by name; of duplicates the first.
type KnownHeaders<'a> = SmallVec<[Known<'a>; 8]>;

impl Headers {
    /// Checks `x-match` (EXC-70).
    pub(super) fn validate(arguments: &FieldTable) -> Result<(), TopologyError> {
        parse_match(Some(arguments)).map(|_| ())
    }

    pub(super) fn insert(&mut self, binding: &Binding) {
        let identity = binding.arguments_identity();
        let place = match self.by_arguments.get(identity) {
            Some(place) => *place,
            None => {
                let place = self.file(binding.arguments());
                self.by_arguments.insert(identity.into(), place);
                place
            }
        };
        self.criteria[place].destinations.insert(binding.destination);
    }

    pub(super) fn remove(&mut self, binding: &Binding) {
        let identity = binding.arguments_identity();
        let place = self.by_arguments[identity];
        self.criteria[place].destinations.remove(binding.destination);
        if self.criteria[place].destinations.is_empty() {
            self.by_arguments.remove(identity);
            self.unfile(place);
        }
    }

    pub(super) fn route(&self, headers: TableRef<'_>, found: &mut Vec<Destination>) {
        for place in self.unconditional.iter() {
            found.extend(self.criteria[place].destinations.iter());
        }
        let headers = self.known(headers);
        for header in &headers {
            let present = self.present.get(&header.name);
            let equal = self.equal.get(&(header.name, header.hash));
            let filed = present.into_iter().chain(equal).flat_map(Multiset::iter);
            for criteria in filed.map(|place| &self.criteria[place]) {
                if criteria.are_met(&headers) {
                    found.extend(criteria.destinations.iter());
                }
            }
        }
    }

    /// Parses arguments and files what they require.
    fn file(&mut self, arguments: Option<&FieldTable>) -> CriteriaId {
        let (quantity, with_x) = parse_match(arguments).expect("validated when bound");
        let compared = arguments.into_iter().flatten().filter(|(name, _)| is_compared(name.as_str(), with_x));
        let required: Box<[_]> = compared.map(|(name, value)| self.criterion(name.as_str(), value)).collect();
        let filed = match quantity {
            Quantity::Any => 0..required.len(),
            Quantity::All => self.rarest(&required),
        };
        let destinations = Multiset::default();
        let place = self.criteria.insert(Criteria { quantity, required, filed, destinations });
        let Self { criteria, present, equal, unconditional, .. } = self;
        if criteria[place].are_none() {
            unconditional.insert(place);
        }
        for Criterion { name, requirement } in criteria[place].filed_under() {
            match requirement {
                Requirement::Present => present.entry(*name).or_default().insert(place),
                Requirement::Equal { hash, .. } => equal.entry((*name, *hash)).or_default().insert(place),
            }
        }
        place
    }

    fn unfile(&mut self, place: CriteriaId) {
        let criteria = self.criteria.remove(place);
        if criteria.are_none() {
            self.unconditional.remove(place);
        }
        for Criterion { name, requirement } in criteria.filed_under() {
            match requirement {
                Requirement::Present => forget(&mut self.present, *name, place),
                Requirement::Equal { hash, .. } => forget(&mut self.equal, (*name, *hash), place),
            }
        }
        for criterion in &criteria.required {
            self.names.release(criterion.name);
        }
    }

    fn known<'a>(&self, headers: TableRef<'a>) -> KnownHeaders<'a> {
        let mut known = KnownHeaders::new();
        if self.names.is_empty() {
            return known;
        }
        for (name, field) in headers {
            if let Some(name) = self.names.find(name) {
                let mut hasher = self.hashing.build_hasher();
                hash_field(field, &mut hasher);
                known.push(Known { name, hash: hasher.finish(), field });
            }
        }
        // The sort is stable, so the first of several stays in front of the others.
        known.sort_by_key(|header| header.name);
        known.dedup_by_key(|header| header.name);
        known
    }

    fn criterion(&mut self, name: &str, value: &AMQPValue) -> Criterion {
        let requirement = match value {
            AMQPValue::Void => Requirement::Present,
            value => {
                let mut hasher = self.hashing.build_hasher();
                hash_value(value, &mut hasher);
                Requirement::Equal { value: value.clone(), hash: hasher.finish() }
            }
        };
        Criterion { name: self.names.acquire(name.as_bytes()), requirement }
    }

    /// The required header that the fewest bindings are filed under; nothing if none is required.
    fn rarest(&self, required: &[Criterion]) -> Range<usize> {
        let filed = |Criterion { name, requirement }: &Criterion| match requirement {
            Requirement::Present => self.present.get(name).map_or(0, Multiset::len),
            Requirement::Equal { hash, .. } => self.equal.get(&(*name, *hash)).map_or(0, Multiset::len),
        };
        let rarest = (0..required.len()).min_by_key(|place| filed(&required[*place]));
        rarest.map_or(0..0, |place| place..place + 1)
    }
}

impl Criteria {
    fn are_none(&self) -> bool {
        self.quantity == Quantity::All && self.required.is_empty()
    }

    fn filed_under(&self) -> &[Criterion] {
        &self.required[self.filed.clone()]
    }

    fn are_met(&self, headers: &[Known<'_>]) -> bool {
        match self.quantity {
            Quantity::All => self.required.iter().all(|criterion| criterion.is_met(headers)),
            Quantity::Any => self.required.iter().any(|criterion| criterion.is_met(headers)),
        }
    }
}

impl Criterion {
    fn is_met(&self, headers: &[Known<'_>]) -> bool {
        let Ok(place) = headers.binary_search_by_key(&self.name, |header| header.name) else { return false };
        match &self.requirement {
            Requirement::Present => true,
            Requirement::Equal { value, hash } => {
                let Known { hash: found, field, .. } = headers[place];
                *hash == found && value_matches(value, field)
            }
        }
    }
}

/// Takes criteria out of a set, and the set out of the map if nothing else is in it.
fn forget<Key: std::hash::Hash + Eq>(
    filed: &mut HashMap<Key, Multiset<CriteriaId>, FixedState>,
    key: Key,
    place: CriteriaId,
) {
    let set = filed.get_mut(&key).expect("criteria are filed");
    set.remove(place);
    if set.is_empty() {
        filed.remove(&key);
    }
}

/// Whether a binding argument takes part in matching (EXC-72).
fn is_compared(name: &str, with_x: bool) -> bool {
    name != MATCH_ARGUMENT && (with_x || !name.starts_with("x-"))
}

/// What `x-match` says: how many criteria must be met, and whether names beginning with `x-` count.
fn parse_match(arguments: Option<&FieldTable>) -> Result<(Quantity, bool), TopologyError> {
    let value = match arguments.and_then(|arguments| arguments.inner().get(MATCH_ARGUMENT)) {
        None => return Ok((Quantity::All, false)),
        Some(value) => value,
    };
    let AMQPValue::LongString(text) = value else {
        return Err(TopologyError::MatchType { found: value_type_name(value), value: term_text(value) });
    };
    match text.as_bytes() {
        b"all" => Ok((Quantity::All, false)),
        b"any" => Ok((Quantity::Any, false)),
        b"all-with-x" => Ok((Quantity::All, true)),
        b"any-with-x" => Ok((Quantity::Any, true)),
        _ => Err(TopologyError::MatchValue { value: term_text(value) }),
    }
}
