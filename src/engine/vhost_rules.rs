//! What operators set for a vhost: policies, how many queues it may have, which type they have by default.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

use parking_lot::RwLock;

use super::{PolicySet, access::PolicyList};
use crate::broker::queue_type::QueueType;

/// Stands for no limit.
const UNLIMITED: u64 = u64::MAX;

/// The rules of one vhost. Read when something is declared, never for a message; but for the firehose, once for many.
#[derive(Debug)]
pub struct VhostRules {
    policies: RwLock<Arc<PolicySet>>,
    queues_max: AtomicU64,
    default_queue_type: RwLock<Option<QueueType>>,
    /// Whether the firehose is on.
    traced: AtomicBool,
}

impl Default for VhostRules {
    fn default() -> VhostRules {
        VhostRules {
            policies: RwLock::default(),
            queues_max: AtomicU64::new(UNLIMITED),
            default_queue_type: RwLock::default(),
            traced: AtomicBool::new(false),
        }
    }
}

impl VhostRules {
    pub fn policies(&self) -> Arc<PolicySet> {
        self.policies.read().clone()
    }

    /// Puts these in place, unless later ones are there already.
    pub(super) fn adopt_policies(&self, list: PolicyList) {
        let set = Arc::new(PolicySet::new(list));
        let mut current = self.policies.write();
        if current.version <= set.version {
            *current = set;
        }
    }

    /// How many queues there may be (LIM-01).
    pub fn queues_max(&self) -> Option<u64> {
        Some(self.queues_max.load(Relaxed)).filter(|max| *max != UNLIMITED)
    }

    pub(super) fn set_queues_max(&self, max: Option<u64>) {
        self.queues_max.store(max.unwrap_or(UNLIMITED), Relaxed);
    }

    /// The type of queues whose declares name none (QUE-55).
    pub fn default_queue_type(&self) -> Option<QueueType> {
        *self.default_queue_type.read()
    }

    #[inline]
    pub(super) fn is_traced(&self) -> bool {
        self.traced.load(Relaxed)
    }

    /// Says whether it was before.
    pub(super) fn set_traced(&self, traced: bool) -> bool {
        self.traced.swap(traced, Relaxed)
    }

    pub(super) fn set_default_queue_type(&self, queue_type: Option<QueueType>) {
        *self.default_queue_type.write() = queue_type;
    }
}
