//! The destinations of what this connection published lately.
//!
//! Valid while the vhost's generation stands: every change of bindings moves it on. Routes without
//! destinations are not kept, so that declaring a queue need not move it.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use smallvec::SmallVec;

use crate::engine::{QueueRef, stats::ExchangeMeter};

/// Routes kept; beyond that the cache starts anew, so that random routing keys cost bounded memory.
const ROUTES_MAX: usize = 4096;

/// Where messages with one exchange and routing key go.
#[derive(Debug)]
pub struct Route {
    pub queues: SmallVec<[QueueRef; 2]>,
    pub exchange: Arc<ExchangeMeter>,
}

/// A cache of routes.
#[derive(Debug, Default)]
pub struct Routes {
    generation: u64,
    /// Exchange's length, exchange, routing key.
    known: HashMap<Box<[u8]>, Arc<Route>, RandomState>,
    current_key: Vec<u8>,
    current: Option<Arc<Route>>,
    scratch: Vec<u8>,
}

impl Routes {
    /// Makes the route of an exchange and routing key the current one, if it is known and `generation` is
    /// still that of the vhost.
    #[inline]
    pub fn find(&mut self, generation: u64, exchange: &[u8], routing_key: &[u8]) -> bool {
        if generation != self.generation {
            self.clear();
            self.generation = generation;
            return false;
        }
        if self.current.is_some()
            && let Some((&length, names)) = self.current_key.split_first()
            && usize::from(length) == exchange.len()
            && names.split_at_checked(exchange.len()) == Some((exchange, routing_key))
        {
            return true;
        }
        make_key(&mut self.scratch, exchange, routing_key);
        let Some(route) = self.known.get(self.scratch.as_slice()) else { return false };
        self.current = Some(route.clone());
        std::mem::swap(&mut self.current_key, &mut self.scratch);
        true
    }

    /// The route found or inserted last.
    #[inline]
    pub fn current(&self) -> Option<&Route> {
        self.current.as_deref()
    }

    /// Remembers a route that was computed under the generation last asked for.
    pub fn insert(&mut self, exchange: &[u8], routing_key: &[u8], route: Arc<Route>) {
        if ROUTES_MAX <= self.known.len() {
            self.known.clear();
        }
        make_key(&mut self.current_key, exchange, routing_key);
        self.known.insert(self.current_key.as_slice().into(), route.clone());
        self.current = Some(route);
    }

    /// Forgets everything, also what keeps deleted queues in memory.
    pub fn clear(&mut self) {
        self.known.clear();
        self.current = None;
        self.current_key.clear();
    }
}

fn make_key(key: &mut Vec<u8>, exchange: &[u8], routing_key: &[u8]) {
    key.clear();
    key.push(exchange.len().min(255) as u8);
    key.extend_from_slice(exchange);
    key.extend_from_slice(routing_key);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route() -> Route {
        Route { queues: SmallVec::new(), exchange: Arc::default() }
    }

    #[test]
    fn random_routing_keys_cost_bounded_memory() {
        let mut routes = Routes::default();
        for number in 0..=ROUTES_MAX as u32 {
            assert!(!routes.find(1, b"exchange", &number.to_be_bytes()));
            routes.insert(b"exchange", &number.to_be_bytes(), Arc::new(route()));
            assert!(routes.known.len() <= ROUTES_MAX);
        }
        assert!(routes.find(1, b"exchange", &(ROUTES_MAX as u32).to_be_bytes()));
    }

    #[test]
    fn a_new_generation_forgets_every_route() {
        let mut routes = Routes::default();
        assert!(!routes.find(1, b"ex", b"key"));
        routes.insert(b"ex", b"key", Arc::new(route()));
        assert!(routes.find(1, b"ex", b"key"));
        // Where one name ends and the other begins is part of the key.
        assert!(!routes.find(1, b"exk", b"ey"));
        assert!(!routes.find(2, b"ex", b"key"));
        assert!(routes.current().is_none());
    }
}
