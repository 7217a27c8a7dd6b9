//! Sums over queues and counts of everything.

use std::sync::Arc;

use crate::engine::{Node, Vhost};

/// What there is in some vhosts.
#[derive(Debug, Default, Clone, Copy)]
pub struct Totals {
    pub queues: u64,
    pub exchanges: u64,
    pub consumers: u64,
    pub ready: u64,
    pub ready_bytes: u64,
    pub unacknowledged: u64,
}

pub fn of_vhosts(vhosts: &[Arc<Vhost>]) -> Totals {
    let mut totals = Totals::default();
    for vhost in vhosts {
        totals.exchanges += vhost.exchange_count() as u64;
        for queue in vhost.queues() {
            let counts = queue.counts();
            totals.queues += 1;
            totals.consumers += u64::from(counts.consumers);
            totals.ready += counts.ready;
            totals.ready_bytes += counts.ready_bytes;
            totals.unacknowledged += counts.unacknowledged;
        }
    }
    totals
}

/// Octets of memory that messages take.
pub fn memory_used(node: &Node) -> u64 {
    node.alarms.account().held_bytes()
}
