//! Fanout exchange: every destination bound, whatever the key and the arguments (EXC-41).

use super::binding::{Binding, Destination};
use super::multiset::Multiset;

/// The destinations, each counted once per binding.
#[derive(Clone, Debug, Default)]
pub(super) struct Fanout {
    destinations: Multiset<Destination>,
}

impl Fanout {
    pub(super) fn insert(&mut self, binding: &Binding) {
        self.destinations.insert(binding.destination);
    }

    pub(super) fn remove(&mut self, binding: &Binding) {
        self.destinations.remove(binding.destination);
    }

    pub(super) fn route(&self, found: &mut Vec<Destination>) {
        found.extend(self.destinations.iter());
    }
}
