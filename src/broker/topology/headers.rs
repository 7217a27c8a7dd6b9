//! Headers exchange: arguments of the binding against headers of the message (EXC-70 to EXC-78).
//!
//! Bindings are found by the headers of the message rather than tried one by one: each is filed under the name
//! and the hash of one value that it requires (one that accepts any of several values, under all of them), and
//! only those filed under something the message has are compared in full.

use super::binding::{Binding, BindingId, Destination};
use super::error::TopologyError;
use super::multiset::Multiset;
use super::route::HeaderView;
use crate::amqp::table::{FieldRef, hash_field, hash_value, value_matches, value_type_name};
use crate::broker::arguments::term_text;
use amq_protocol::types::{AMQPValue, FieldTable};
use foldhash::fast::{FixedState, RandomState};
use hashbrown::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::ops::Range;

const MATCH_ARGUMENT: &str = "x-match";

/// The bindings of a headers exchange.
#[derive(Clone, Debug, Default)]
pub(super) struct Headers {
    bindings: HashMap<BindingId, Criteria, FixedState>,
    by_name: HashMap<Box<[u8]>, Named, RandomState>,
    // Bindings that ask for nothing and so match everything.
    unconditional: Multiset<Destination>,
    hashing: RandomState,
}

/// The bindings filed under one header name.
#[derive(Clone, Debug, Default)]
struct Named {
    present: Multiset<BindingId>,
    by_value: HashMap<u64, Multiset<BindingId>, FixedState>,
}

/// How many of the criteria a message has to meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantity {
    All,
    Any,
}

/// One binding's arguments, parsed once.
#[derive(Clone, Debug)]
struct Criteria {
    quantity: Quantity,
    required: Box<[Criterion]>,
    // Which of the required headers the binding is filed under.
    filed: Range<usize>,
    destination: Destination,
}

#[derive(Clone, Debug)]
struct Criterion {
    name: Box<[u8]>,
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

impl Headers {
    /// Checks `x-match` (EXC-70).
    pub(super) fn validate(arguments: &FieldTable) -> Result<(), TopologyError> {
        parse_match(Some(arguments)).map(|_| ())
    }

    pub(super) fn insert(&mut self, id: BindingId, binding: &Binding) {
        let (quantity, with_x) = parse_match(binding.arguments()).expect("validated when bound");
        let arguments = binding.arguments().into_iter().flatten();
        let required = arguments
            .filter(|(name, _)| is_compared(name.as_str(), with_x))
            .map(|(name, value)| self.criterion(name.as_str(), value))
            .collect::<Box<[_]>>();
        let filed = match quantity {
            Quantity::Any => 0..required.len(),
            Quantity::All => self.rarest(&required),
        };
        if quantity == Quantity::All && required.is_empty() {
            self.unconditional.insert(binding.destination);
        }
        for criterion in &required[filed.clone()] {
            let named = self.by_name.entry(criterion.name.clone()).or_default();
            named.bindings_mut(&criterion.requirement).insert(id);
        }
        self.bindings.insert(id, Criteria { quantity, required, filed, destination: binding.destination });
    }

    pub(super) fn remove(&mut self, id: BindingId) {
        let criteria = self.bindings.remove(&id).expect("a binding is inserted before it is removed");
        if criteria.quantity == Quantity::All && criteria.required.is_empty() {
            self.unconditional.remove(criteria.destination);
        }
        for criterion in &criteria.required[criteria.filed.clone()] {
            let named = self.by_name.get_mut(&criterion.name).expect("filed under its name");
            named.bindings_mut(&criterion.requirement).remove(id);
            if named.forget_if_empty(&criterion.requirement) {
                self.by_name.remove(&criterion.name);
            }
        }
    }

    pub(super) fn route(&self, headers: &HeaderView<'_>, found: &mut Vec<Destination>) {
        found.extend(self.unconditional.iter());
        if self.by_name.is_empty() {
            return;
        }
        for (name, field) in headers.iter() {
            let Some(named) = self.by_name.get(name) else { continue };
            let equal = match named.by_value.is_empty() {
                true => None,
                false => named.by_value.get(&self.hash_field(field)),
            };
            let filed = named.present.iter().chain(equal.into_iter().flat_map(Multiset::iter));
            let matching = filed.map(|id| &self.bindings[&id]).filter(|criteria| criteria.meets(headers));
            found.extend(matching.map(|criteria| criteria.destination));
        }
    }

    fn criterion(&self, name: &str, value: &AMQPValue) -> Criterion {
        let requirement = match value {
            AMQPValue::Void => Requirement::Present,
            value => {
                let mut hasher = self.hashing.build_hasher();
                hash_value(value, &mut hasher);
                Requirement::Equal { value: value.clone(), hash: hasher.finish() }
            }
        };
        Criterion { name: name.as_bytes().into(), requirement }
    }

    fn hash_field(&self, field: FieldRef<'_>) -> u64 {
        let mut hasher = self.hashing.build_hasher();
        hash_field(field, &mut hasher);
        hasher.finish()
    }

    /// The required header that the fewest bindings are filed under; nothing if none is required.
    fn rarest(&self, required: &[Criterion]) -> Range<usize> {
        let filed_under = |criterion: &Criterion| {
            self.by_name.get(&criterion.name).map_or(0, |named| named.filed_under(&criterion.requirement))
        };
        let rarest = (0..required.len()).min_by_key(|place| filed_under(&required[*place]));
        rarest.map_or(0..0, |place| place..place + 1)
    }
}

impl Named {
    fn bindings_mut(&mut self, requirement: &Requirement) -> &mut Multiset<BindingId> {
        match requirement {
            Requirement::Present => &mut self.present,
            Requirement::Equal { hash, .. } => self.by_value.entry(*hash).or_default(),
        }
    }

    fn filed_under(&self, requirement: &Requirement) -> usize {
        match requirement {
            Requirement::Present => self.present.len(),
            Requirement::Equal { hash, .. } => self.by_value.get(hash).map_or(0, Multiset::len),
        }
    }

    /// Drops the set of this requirement if it is empty; true if nothing at all is filed here then.
    fn forget_if_empty(&mut self, requirement: &Requirement) -> bool {
        if let Requirement::Equal { hash, .. } = requirement
            && self.by_value.get(hash).is_some_and(Multiset::is_empty)
        {
            self.by_value.remove(hash);
        }
        self.present.is_empty() && self.by_value.is_empty()
    }
}

impl Criteria {
    fn meets(&self, headers: &HeaderView<'_>) -> bool {
        let is_met = |criterion: &Criterion| match (&criterion.requirement, headers.find(&criterion.name)) {
            (_, None) => false,
            (Requirement::Present, Some(_)) => true,
            (Requirement::Equal { value, .. }, Some(field)) => value_matches(value, field),
        };
        match self.quantity {
            Quantity::All => self.required.iter().all(is_met),
            Quantity::Any => self.required.iter().any(is_met),
        }
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
