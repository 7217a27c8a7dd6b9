//! The meters of the exchanges that a connection publishes to.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use crate::engine::{
    Vhost,
    stats::{ConnectionMeter, ExchangeMeter},
};

/// Exchanges that a connection counts for; with more of them it begins anew.
const EXCHANGES_MAX: usize = 1024;

/// A meter for each exchange that was published to, by name.
#[derive(Debug, Default)]
pub struct ExchangeMeters {
    known: HashMap<Vec<u8>, Arc<ExchangeMeter>, RandomState>,
}

impl ExchangeMeters {
    /// The meter of an exchange, known to everybody through that of the connection.
    pub fn get(
        &mut self,
        connection: &ConnectionMeter,
        vhost: Option<&Vhost>,
        exchange: &[u8],
    ) -> &Arc<ExchangeMeter> {
        if EXCHANGES_MAX <= self.known.len() && !self.known.contains_key(exchange) {
            // Routes in the cache go on counting with old meters, which nobody asks any more, until they are
            // found anew: few counts are lost, and only of a connection like this.
            vhost.inspect(|vhost| vhost.take_over(connection));
            self.known.clear();
        }
        let name = || connection.add_exchange(&String::from_utf8_lossy(exchange));
        self.known.entry_ref(exchange).or_insert_with(name)
    }
}
