//! Modulus-hash exchange: each message to one destination, by its keys and the order of names (EXC-86).

use super::binding::{Binding, Destination};
use super::hashing::hash_keys;
use super::route::RoutingKeys;
use std::sync::Arc;

/// The destinations by name, exchanges first; the order does not depend on when they were bound.
#[derive(Clone, Debug, Default)]
pub(super) struct ModulusHash {
    members: Vec<Member>,
}

#[derive(Clone, Debug)]
struct Member {
    name: Arc<str>,
    destination: Destination,
    /// How many bindings lead there.
    count: u32,
}

impl Member {
    fn order(&self) -> (bool, &str) {
        order(self.destination, &self.name)
    }
}

fn order(destination: Destination, name: &str) -> (bool, &str) {
    (matches!(destination, Destination::Queue(_)), name)
}

impl ModulusHash {
    pub(super) fn insert(&mut self, binding: &Binding, name: &Arc<str>) {
        let destination = binding.destination;
        match self.place(destination, name) {
            Ok(place) => self.members[place].count += 1,
            Err(place) => {
                self.members.insert(place, Member { name: name.clone(), destination, count: 1 });
            }
        }
    }

    pub(super) fn remove(&mut self, binding: &Binding, name: &str) {
        let place = self.place(binding.destination, name).expect("removed as often as inserted");
        self.members[place].count -= 1;
        if self.members[place].count == 0 {
            self.members.remove(place);
        }
    }

    pub(super) fn route(&self, keys: &RoutingKeys<'_>, found: &mut Vec<Destination>) {
        let index = hash_keys(keys).checked_rem(self.members.len() as u64);
        let member = index.and_then(|index| self.members.get(index as usize));
        found.extend(member.map(|member| member.destination));
    }

    /// Where this destination is, or where it would have to be.
    fn place(&self, destination: Destination, name: &str) -> Result<usize, usize> {
        self.members.binary_search_by(|member| member.order().cmp(&order(destination, name)))
    }
}
