//! Direct exchange: octet equality of routing key and binding key (EXC-40).

use super::binding::{Binding, Destination};
use super::multiset::Multiset;
use foldhash::fast::RandomState;
use hashbrown::HashMap;

/// Destinations by binding key.
#[derive(Clone, Debug, Default)]
pub(super) struct Direct {
    // Invariant: no set is empty.
    destinations: HashMap<Box<[u8]>, Multiset<Destination>, RandomState>,
}

impl Direct {
    pub(super) fn insert(&mut self, binding: &Binding) {
        let key = binding.routing_key.as_bytes();
        self.destinations.entry(key.into()).or_default().insert(binding.destination);
    }

    pub(super) fn remove(&mut self, binding: &Binding) {
        let key = binding.routing_key.as_bytes();
        let set = self.destinations.get_mut(key).expect("a binding's key is known");
        set.remove(binding.destination);
        if set.is_empty() {
            self.destinations.remove(key);
        }
    }

    pub(super) fn route(&self, key: &[u8], found: &mut Vec<Destination>) {
        if let Some(set) = self.destinations.get(key) {
            found.extend(set.iter());
        }
    }
}
